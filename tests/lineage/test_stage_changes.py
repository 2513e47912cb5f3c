"""Which stages came, went, or have another name."""

from __future__ import annotations

import json

import pytest

from tests.support.planning import deliver, evaluate, ingest, model, reads, spec, transform
from tidemill.lineage.stage_changes import Member, Moved, earlier, heard, members, moved, told
from tidemill.workflow.stage import Flow


def member(name: str, kind: str = "transform", *inputs: str, gives: str = "") -> Member:
    """A stage; `gives` names its contract."""
    contract = spec("day") if gives == "Table" else None
    return Member(name=name, kind=kind, contract=contract, inputs=inputs)


def roster(*found: Member) -> dict[str, Member]:
    return {each.name: each for each in found}


RAW = member("raw", "ingest", gives="Table")
CLEAN = member("clean", "transform", "raw", gives="Table")
MOD, OUT = member("mod", "model", "clean"), member("out", "deliver", "clean")
THEN = roster(RAW, CLEAN, MOD, OUT)
Now = dict[str, Member]
MOVES: dict[str, tuple[Now, list[Moved]]] = {
    "nothing": (THEN, []),
    "one came": (
        roster(*THEN.values(), member("more", "transform", "raw", gives="Table")),
        [Moved(stage="more", what="new", kind="transform")],
    ),
    "one went, with whom it took along": (
        roster(RAW, member("mod", "model", "raw")),
        [
            Moved(
                stage="clean", what="removed", kind="transform",
                readers=(("mod", "now reads raw"), ("out", "also removed")),
            ),
            Moved(stage="out", what="removed", kind="deliver"),
        ],
    ),
    "one went, and nobody reads instead": (
        roster(RAW, member("mod", "model")),
        [
            Moved(
                stage="clean", what="removed", kind="transform",
                readers=(("mod", "no longer reads it"), ("out", "also removed")),
            ),
            Moved(stage="out", what="removed", kind="deliver"),
        ],
    ),
    "one has another name": (
        roster(RAW, member("tidy", "transform", "raw", gives="Table"),
               member("mod", "model", "tidy"), member("out", "deliver", "tidy")),
        [Moved(stage="tidy", what="renamed", kind="transform", was="clean")],
    ),
    "all have other names": (
        roster(member("rows", "ingest", gives="Table"),
               member("tidy", "transform", "rows", gives="Table"),
               member("trees", "model", "tidy"), member("file", "deliver", "tidy")),
        [
            Moved(stage="rows", what="renamed", kind="ingest", was="raw"),
            Moved(stage="tidy", what="renamed", kind="transform", was="clean"),
            Moved(stage="trees", what="renamed", kind="model", was="mod"),
            Moved(stage="file", what="renamed", kind="deliver", was="out"),
        ],
    ),
    # Which of two it became can't be told.
    "two that it may have become": (
        roster(RAW, MOD, OUT, *(member(n, "transform", "raw", gives="Table") for n in ("a", "b"))),
        [
            Moved(stage="a", what="new", kind="transform"),
            Moved(stage="b", what="new", kind="transform"),
            Moved(
                stage="clean", what="removed", kind="transform",
                readers=(("mod", "no longer reads it"), ("out", "no longer reads it")),
            ),
        ],
    ),
    "another kind of the same name's contract": (
        roster(member("rows", "transform", "raw", gives="Table"), CLEAN, MOD, OUT),
        [
            Moved(stage="rows", what="new", kind="transform"),
            Moved(stage="raw", what="removed", kind="ingest", readers=(("clean", "no longer reads it"),)),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MOVES)
def test_moves(name: str) -> None:
    now, expected = MOVES[name]
    assert list(moved(THEN, now)) == expected


def test_two_of_which_only_one_has_a_successor() -> None:
    twins = roster(RAW, *(member(n, "transform", "raw", gives="Table") for n in ("a", "b")))
    now = roster(RAW, member("c", "transform", "raw", gives="Table"))
    assert [(each.stage, each.what) for each in moved(twins, now)] == [
        ("c", "new"), ("a", "removed"), ("b", "removed"),
    ]  # fmt: skip


def test_contracts_go_with_the_new_name() -> None:
    move = Moved(stage="tidy", what="renamed", kind="transform", was="clean")
    other = Moved(stage="x", what="new", kind="transform")
    assert earlier(THEN, (move, other)) == {"raw": spec("day"), "tidy": spec("day")}


def test_another_process_can_tell_of_a_workflow() -> None:
    raw = ingest("raw")
    mod = model("mod", reads(raw))
    stages = (raw, transform("clean", "day", reads(raw)), mod, evaluate("ev", mod, reads(raw)))
    flow = Flow(name="tides", owner="", stages=(*stages, deliver("out", mod, raw)))
    found = members(flow)
    assert found["raw"] == Member(name="raw", kind="ingest", contract=raw.output, inputs=())
    assert found["ev"].inputs == ("mod", "raw")
    assert heard(json.loads(json.dumps(told(found)))) == found
