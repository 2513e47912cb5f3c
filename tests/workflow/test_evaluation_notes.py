"""What `check` says of evaluations that may score a model on the rows that it was trained on."""

from __future__ import annotations

import pytest

from tests.support.planning import evaluate, flow_of, ingest, model, reads
from tidemill.workflow.evaluation_notes import evaluation_notes
from tidemill.workflow.stage import Input
from tidemill.workflow.window import last

DAYS, WHOLE, OTHER, TENANTS = (
    ingest("days"), ingest("whole", "whole"), ingest("other", "whole"), ingest("tenants", "value"),
)  # fmt: skip
BASE = (DAYS, WHOLE, OTHER, TENANTS)
TRAIN, JUDGE = reads(DAYS, last("60d", before=last("7d"))), reads(DAYS, last("7d"))


@pytest.mark.parametrize(
    ("trained", "scored", "named"),
    [
        ([reads(WHOLE)], [reads(WHOLE)], "'whole'"),
        ([reads(TENANTS), reads(OTHER)], [reads(TENANTS), reads(OTHER)], "'tenants' and 'other'"),
        ([reads(WHOLE), reads(OTHER)], [reads(WHOLE)], "'whole'"),
        # Other rows: nothing to say.
        ([reads(WHOLE)], [reads(OTHER)], ""),
        # A window tells rows apart, and a lookup beside it may be the same.
        ([TRAIN, reads(WHOLE)], [JUDGE, reads(WHOLE)], ""),
    ],
)
def test_rows_that_both_read_are_named(
    trained: list[Input], scored: list[Input], named: str
) -> None:
    mod = model("mod", *trained)
    found = [*evaluation_notes(flow_of(*BASE, mod, evaluate("ev", mod, *scored)))]
    assert len(found) == bool(named)
    if named:
        assert found[0].startswith(f"ev: it reads all of {named}, as the training of 'mod' does;")
