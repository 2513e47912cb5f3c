"""Which stages came, went, or have another name."""

from __future__ import annotations

import json

import pytest

from tests.support.planning import deliver, evaluate, ingest, model, reads, spec, transform
from tidemill.lineage.stage_changes import (
    StageChange,
    StageEntry,
    earlier_contracts,
    find_stage_changes,
    stage_entries,
    stages_as_json,
    stages_from_json,
)
from tidemill.workflow.stage import Flow


def member(name: str, kind: str = "transform", *inputs: str, gives: str = "") -> StageEntry:
    """A stage; `gives` names its contract."""
    contract = spec("day") if gives == "Table" else None
    return StageEntry(name=name, kind=kind, contract=contract, inputs=inputs)


def roster(*found: StageEntry) -> dict[str, StageEntry]:
    return {each.name: each for each in found}


RAW = member("raw", "ingest", gives="Table")
CLEAN = member("clean", "transform", "raw", gives="Table")
MOD, OUT = member("mod", "model", "clean"), member("out", "deliver", "clean")
THEN = roster(RAW, CLEAN, MOD, OUT)
Now = dict[str, StageEntry]
MOVES: dict[str, tuple[Now, list[StageChange]]] = {
    "nothing": (THEN, []),
    "one came": (
        roster(*THEN.values(), member("more", "transform", "raw", gives="Table")),
        [StageChange(stage="more", what="new", kind="transform")],
    ),
    "one went, with whom it took along": (
        roster(RAW, member("mod", "model", "raw")),
        [
            StageChange(
                stage="clean", what="removed", kind="transform",
                readers=(("mod", "now reads raw"), ("out", "also removed")),
            ),
            StageChange(stage="out", what="removed", kind="deliver"),
        ],
    ),
    "one went, and nobody reads instead": (
        roster(RAW, member("mod", "model")),
        [
            StageChange(
                stage="clean", what="removed", kind="transform",
                readers=(("mod", "no longer reads it"), ("out", "also removed")),
            ),
            StageChange(stage="out", what="removed", kind="deliver"),
        ],
    ),
    "one has another name": (
        roster(RAW, member("tidy", "transform", "raw", gives="Table"),
               member("mod", "model", "tidy"), member("out", "deliver", "tidy")),
        [StageChange(stage="tidy", what="renamed", kind="transform", was="clean")],
    ),
    "all have other names": (
        roster(member("rows", "ingest", gives="Table"),
               member("tidy", "transform", "rows", gives="Table"),
               member("trees", "model", "tidy"), member("file", "deliver", "tidy")),
        [
            StageChange(stage="rows", what="renamed", kind="ingest", was="raw"),
            StageChange(stage="tidy", what="renamed", kind="transform", was="clean"),
            StageChange(stage="trees", what="renamed", kind="model", was="mod"),
            StageChange(stage="file", what="renamed", kind="deliver", was="out"),
        ],
    ),
    # Which of two it became can't be told.
    "two that it may have become": (
        roster(RAW, MOD, OUT, *(member(n, "transform", "raw", gives="Table") for n in ("a", "b"))),
        [
            StageChange(stage="a", what="new", kind="transform"),
            StageChange(stage="b", what="new", kind="transform"),
            StageChange(
                stage="clean", what="removed", kind="transform",
                readers=(("mod", "no longer reads it"), ("out", "no longer reads it")),
            ),
        ],
    ),
    "another kind of the same name's contract": (
        roster(member("rows", "transform", "raw", gives="Table"), CLEAN, MOD, OUT),
        [
            StageChange(stage="rows", what="new", kind="transform"),
            StageChange(
                stage="raw", what="removed", kind="ingest", readers=(("clean", "no longer reads it"),)
            ),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MOVES)
def test_moves(name: str) -> None:
    now, expected = MOVES[name]
    assert list(find_stage_changes(THEN, now)) == expected


def test_two_of_which_only_one_has_a_successor() -> None:
    twins = roster(RAW, *(member(n, "transform", "raw", gives="Table") for n in ("a", "b")))
    now = roster(RAW, member("c", "transform", "raw", gives="Table"))
    assert [(each.stage, each.what) for each in find_stage_changes(twins, now)] == [
        ("c", "new"), ("a", "removed"), ("b", "removed"),
    ]  # fmt: skip


def test_contracts_go_with_the_new_name() -> None:
    move = StageChange(stage="tidy", what="renamed", kind="transform", was="clean")
    other = StageChange(stage="x", what="new", kind="transform")
    assert earlier_contracts(THEN, (move, other)) == {"raw": spec("day"), "tidy": spec("day")}


def test_another_process_can_tell_of_a_workflow() -> None:
    raw = ingest("raw")
    mod = model("mod", reads(raw))
    stages = (raw, transform("clean", "day", reads(raw)), mod, evaluate("ev", mod, reads(raw)))
    flow = Flow(name="tides", owner="", stages=(*stages, deliver("out", mod, raw)))
    found = stage_entries(flow)
    assert found["raw"] == StageEntry(name="raw", kind="ingest", contract=raw.output, inputs=())
    assert found["ev"].inputs == ("mod", "raw")
    assert stages_from_json(json.loads(json.dumps(stages_as_json(found)))) == found
