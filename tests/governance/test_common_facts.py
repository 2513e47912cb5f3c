"""Every change has the facts that all kinds of changes have."""

from __future__ import annotations

from dataclasses import replace

from tidemill.governance.common_facts import ChangeContext, common_facts
from tidemill.governance.facts import FACTS
from tidemill.ledger.policy import SubjectKind

CONTEXT = ChangeContext(workflow="flights", environment="dev", author="ana", profile="small")


def test_what_all_kinds_have_is_filled() -> None:
    shared = {spec.name for spec in FACTS if spec.kinds == frozenset(SubjectKind)}
    found = common_facts(CONTEXT, "delays")
    assert found.keys() == shared
    assert found == {
        "name": "delays",
        "workflow": "flights",
        "environment": "dev",
        "profile": "small",
        "author": "ana",
        "owner": "",
        "sampled": False,
    }
    assert common_facts(replace(CONTEXT, sample=0.5), "delays")["sampled"] is True
