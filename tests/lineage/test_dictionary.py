"""Who gives and who reads each column, and where personal data may go."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.planning import deliver, flow_of, ingest, model, reads, transform
from tidemill.contracts.column import Column
from tidemill.contracts.dtype import DType
from tidemill.contracts.spec import ContractSpec, Reads
from tidemill.lineage.dictionary import DataFlowTarget, TableUse, build_dictionary, entry_of
from tidemill.reuse.recipe import Recipe
from tidemill.workflow.stage import Kind, Stage


def table(stage: Stage, *names: str, pii: str = "", **rest: Any) -> Stage:
    """The stage with another contract; `pii` is the column that is personal."""
    columns = tuple(
        Column(name=name, dtype=DType("Int64"), pii="email" if name == pii else "")
        for name in names
    )
    return replace(stage, output=ContractSpec(name="T", version="1.0.0", columns=columns), **rest)


def noted(raw: object) -> None:
    """What it does,
    in short.

    At length."""


RAW = table(ingest("raw"), "id", "mail", "unread", pii="mail", function=noted)
CLEAN = table(transform("clean", "day", reads(RAW)), "id", "domain", "extra")
OTHER = table(ingest("other"), "k")
COUNTS = table(transform("counts", "day", reads(OTHER), reads(CLEAN)), "n")
APART = table(transform("apart", "day", reads(CLEAN)), "id")
BLIND = table(transform("blind", "day", reads(CLEAN)), "x")
BELOW = table(transform("below", "day", reads(BLIND)), "y", "z")
MODEL = model("model", reads(APART))
SENT = deliver("sent", MODEL, CLEAN)
FLOW = replace(
    flow_of(RAW, OTHER, CLEAN, COUNTS, APART, BLIND, BELOW, MODEL, SENT), name="shop", owner="us"
)
RECIPES = {
    "raw": Recipe(digest="0"),
    "other": Recipe(digest="9"),
    "clean": Recipe(
        digest="1",
        lineage={
            "id": {"raw": ("id",)},
            "domain": {"raw": ("mail",)},
            "other": {"raw": ("mail", "id")},
            "also": {"raw": ("mail",)},
        },
        reads={"raw": ("id", "mail")},
    ),
    "counts": Recipe(
        digest="2",
        lineage={"n": {"other": ("k",), "clean": ("id", "domain")}},
        reads={"other": ("k",), "clean": ("id", "domain")},
    ),
    "apart": Recipe(digest="3", lineage={"id": {"clean": ("id",)}}, reads={"clean": ("id",)}),
    "blind": Recipe(digest="4", opaque="it calls f", reads={"clean": ("id", "domain")}),
    "below": Recipe(
        digest="5", lineage={"y": {"blind": ("x",)}, "z": {"blind": ()}}, reads={"blind": ("x",)}
    ),
    "model": Recipe(digest="6", reads={"apart": ("id",)}),
    "sent": Recipe(digest="7"),
}
BOOK = build_dictionary(FLOW, RECIPES)
ENTRIES = {entry.stage: entry for entry in BOOK.entries}


def test_every_table_in_order() -> None:
    assert (BOOK.workflow, BOOK.owner) == ("shop", "us")
    assert list(ENTRIES) == ["raw", "other", "clean", "counts", "apart", "blind", "below"]


def test_who_reads_which_columns() -> None:
    assert ENTRIES["raw"].uses == (
        TableUse(stage="clean", kind=Kind.TRANSFORM, columns=("id", "mail"), place="flow.py:1"),
    )
    assert [use.stage for use in ENTRIES["raw"].readers("mail")] == ["clean"]
    assert ENTRIES["raw"].readers("unread") == ()
    # What isn't followed may read any column, and so may a delivery.
    readers = [use.stage for use in ENTRIES["clean"].readers("extra")]
    assert readers == ["blind", "sent"]


def test_what_columns_come_from() -> None:
    assert ENTRIES["clean"].origins("domain") == (("raw", "mail"),)
    assert ENTRIES["clean"].origins("extra") == ()
    assert ENTRIES["counts"].origins("n") == (
        ("other", "k"),
        ("clean", "id"),
        ("clean", "domain"),
    )
    assert (ENTRIES["clean"].opaque, ENTRIES["raw"].opaque) == ("", "")
    assert ENTRIES["blind"].opaque == "it calls f"
    assert ENTRIES["blind"].inputs == ("clean",)


def test_a_query_that_no_reason_explains() -> None:
    unsaid = {**RECIPES, "blind": Recipe(digest="4")}
    assert entry_of(FLOW, unsaid, "blind").opaque == "its query can't be followed"


def test_what_a_stage_does_is_the_first_paragraph_of_its_docstring() -> None:
    assert ENTRIES["raw"].about == "What it does, in short."
    assert ENTRIES["clean"].about == ""


def test_where_personal_data_may_go() -> None:
    [mail] = BOOK.personal
    assert (mail.stage, mail.column, mail.pii) == ("raw", "mail", "email")
    assert mail.reached == (
        # Those that the contract names come first.
        DataFlowTarget(stage="clean", kind=Kind.TRANSFORM, columns=("domain", "also", "other")),
        DataFlowTarget(stage="counts", kind=Kind.TRANSFORM, columns=("n",)),
        DataFlowTarget(stage="blind", kind=Kind.TRANSFORM, columns=None),
        # Of what a stage makes that isn't followed, any column may hold it.
        DataFlowTarget(stage="below", kind=Kind.TRANSFORM, columns=("y",)),
        DataFlowTarget(stage="sent", kind=Kind.DELIVER, columns=None),
    )


def test_a_model_that_learns_from_it_hands_it_to_what_uses_the_model() -> None:
    marked = table(APART, "id", pii="id")
    flow = flow_of(RAW, CLEAN, marked, MODEL, SENT)
    [_, own] = build_dictionary(flow, RECIPES).personal
    assert [(each.stage, each.columns) for each in own.reached] == [("model", None), ("sent", None)]


@pytest.mark.parametrize("stage", ["counts", "below"])
def test_where_it_ends(stage: str) -> None:
    marked = replace(
        FLOW,
        stages=tuple(
            table(s, *(s.output.names), pii=s.output.names[0])
            if s.name == stage and s.output
            else s
            for s in FLOW.stages
        ),
    )
    last = build_dictionary(marked, RECIPES).personal[-1]
    assert (last.stage, last.reached) == (stage, ())


@pytest.mark.parametrize(
    ("columns", "reached"), [(("id",), []), (("mail",), ["blind"]), (("id", "mail"), ["blind"])]
)
def test_code_that_says_what_it_reads_is_handed_no_more(
    columns: tuple[str, ...], reached: list[str]
) -> None:
    assert RAW.output is not None
    said = Reads(contract=RAW.output, columns=columns)
    blind = table(transform("blind", "day", replace(reads(RAW), reads=said)), "x")
    book = build_dictionary(flow_of(RAW, blind), RECIPES)
    assert [each.stage for each in book.personal[0].reached] == reached
    assert book.entries[0].uses[0].columns == columns
