"""The facts about a contract that differs from the published one."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

import tidemill as tm
from tests.governance.test_delivery_facts import CONTEXT
from tests.support.contracts import spec_of
from tests.support.planning import deliver, flow_of, ingest, model, reads, transform
from tidemill.contracts.spec import ContractSpec
from tidemill.governance.contract_facts import (
    ContractChange,
    contract_change,
    contract_facts,
    contract_text,
    read_contract,
    text_digest,
)
from tidemill.governance.facts import known_facts, specs_of
from tidemill.ledger.policy import SubjectKind
from tidemill.reuse.recipe import Recipe


class Before(tm.Contract, version="1.0.0", key=("id",)):
    id = tm.Int64(min=0)
    mail = tm.String(pii="mail")
    positive = tm.rule(pl.col("id") > 0)


class After(tm.Contract, version="2.0.0", key=("id",)):
    id = tm.Int64(min=0, description="whose")


class Documented(tm.Contract, version="1.0.0", key=("id",)):
    id = tm.Int64(min=0, description="whose")
    mail = tm.String(pii="mail")
    positive = tm.rule(pl.col("id") > 0)


OLD, NEW, SAME = spec_of(Before), spec_of(After), spec_of(Documented)


def test_a_recorded_contract_is_the_same_wherever_its_code_is() -> None:
    text = contract_text(OLD)
    assert contract_text(replace(OLD, place="elsewhere.py:9")) == text
    assert contract_text(read_contract(text)) == text
    assert text_digest(text) == text_digest(contract_text(OLD))
    assert text_digest("") == ""
    assert text_digest(text) != text_digest(contract_text(NEW))


def test_every_declared_fact_has_a_value_of_its_type() -> None:
    change = ContractChange(stage="raw", old=OLD, new=NEW, tables=("sent",))
    found = contract_facts(CONTEXT, change)
    assert found.keys() == specs_of(SubjectKind.CONTRACT).keys()
    assert known_facts(SubjectKind.CONTRACT, found) == found
    assert found["broken_consumers"] == ("sent",)
    changes = found["breaking_changes"]
    assert isinstance(changes, tuple)
    assert any(change.startswith("mail") for change in changes)


@pytest.mark.parametrize("old", [OLD, SAME])
def test_what_readers_do_not_notice_breaks_nobody(old: ContractSpec) -> None:
    change = ContractChange(stage="raw", old=old, new=SAME, tables=("sent",))
    assert (change.breaking, change.broken) == ((), ())


def test_an_earlier_contract_that_is_not_recorded_is_not_known() -> None:
    found = contract_facts(CONTEXT, ContractChange(stage="raw", old=None, new=NEW))
    assert (found["broken_consumers"], found["breaking_changes"]) == (None, None)
    assert found["public"] is False


def test_stages_and_tables_that_read_what_is_gone_are_broken() -> None:
    raw = replace(ingest("raw"), output=NEW)
    clean = transform("clean", "day", reads(raw))
    guess = model("guess", reads(raw))
    sent = replace(deliver("sent", guess, raw), model="", public=True)
    flow = flow_of(raw, clean, guess, sent)
    lineage = {"id": {"raw": ("mail",)}}
    recipes = {name: Recipe(digest=name) for name in flow.names}
    recipes["clean"] = Recipe(digest="c", lineage=lineage, reads={"raw": ("mail",)})
    change = contract_change(flow, recipes, "raw", OLD)
    assert change.broken == ("clean", "sent")
    assert (change.tables, change.public) == (("sent",), True)
    # A table of predictions has other rows.
    scored = flow_of(raw, guess, deliver("sent", guess, raw))
    assert contract_change(scored, recipes, "raw", OLD).tables == ()
