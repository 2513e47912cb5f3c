"""Whom a change breaks, by what each consumer declares that it reads and relies on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from tests.support.contract_changes import LOOSER, STRICT, TIGHTER, changed
from tests.support.planning import deliver, ingest, model, reads, transform
from tidemill.contracts import column_types as tm
from tidemill.contracts.column import Column
from tidemill.contracts.compatibility.changes import Diff
from tidemill.contracts.compatibility.diff import diff
from tidemill.contracts.declaration import DeclaredContract
from tidemill.contracts.dtype import DType
from tidemill.contracts.spec import ContractSpec, Reads, rule
from tidemill.contracts.table_rules import Budget, Rows
from tidemill.lineage.impact import Consumer, consequences, consumers_of
from tidemill.lineage.version_review import review_contract
from tidemill.reuse.recipe import Recipe
from tidemill.workflow.stage import Flow, Input


@pytest.mark.parametrize(
    ("found", "columns", "expected"),
    [
        (LOOSER, ("x",), [(False, "reads x")]),
        (LOOSER, ("id",), []),
        (LOOSER, None, [(False, "judged by code, which may read any column")]),
        # What tightens is for the producer to keep.
        (TIGHTER, ("x",), []),
        (changed(STRICT, {}), ("x",), [(True, "reads x")]),
        (
            changed(STRICT, {}),
            None,
            [(False, "judged by code, which may read any column")],
        ),
        (changed({"x": tm.Int8()}, STRICT), ("x",), []),
        # The same numbers in another unit: no check sees it.
        (
            changed({"x": tm.Int64(unit="g")}, {"x": tm.Int64(unit="kg")}),
            ("x",),
            [(False, "reads x")],
        ),
        (changed({}, {"x": tm.Int64(description="y")}), ("x",), []),
        (changed({}, {}, "1.0.0", "1.0.0", key=("id",)), ("id",), []),
    ],
)
def test_consequences(
    found: Diff, columns: tuple[str, ...] | None, expected: list[tuple[bool, str]]
) -> None:
    given = consequences(found, [Consumer(stage="report", columns=columns)])
    assert [(each.breaks, each.why) for each in given] == expected
    assert {each.stage for each in given} <= {"report"}


def test_what_is_about_the_table_is_for_all_its_readers() -> None:
    old = type("Orders", (DeclaredContract,), {"id": tm.Int64()}, key=("id",))
    new = type("Orders", (DeclaredContract,), {"id": tm.Int64()})
    [found] = consequences(diff(old, new), [Consumer(stage="report", columns=())])
    assert (found.breaks, found.why) == (False, "reads the table")


def test_words_for_people_bother_nobody() -> None:
    found = changed(STRICT, {"x": tm.Int64(description="y", unit="kg")})
    assert len(found.changes) == 2
    assert consequences(found, [Consumer(stage="report", columns=("x",))]) == ()


POSITIVE = rule(pl.col("x") > 0)
BODY: dict[str, Any] = {
    "id": tm.Int64(unique=True),
    "x": tm.Int64(min=0, max=9),
    "y": tm.Enum(["a", "b"]),
    "positive": POSITIVE,
    "size": Rows(min=1, on_fail="fail"),
    "share": Budget(max_bad=0.1),
}


def contract(**changes: Any) -> type[DeclaredContract]:
    """The contract with some attributes changed, or without those that are None."""
    body = {name: value for name, value in (BODY | changes).items() if value is not None}
    return type("Orders", (DeclaredContract,), body, key=("id",))


def keyed(*key: str) -> type[DeclaredContract]:
    body = BODY | {"id": tm.Int64()}
    return type("Orders", (DeclaredContract,), body, key=key)


def told(
    said: Reads | ContractSpec, old: type[DeclaredContract], new: type[DeclaredContract]
) -> list[str]:
    columns = said.columns if isinstance(said, Reads) else said.names
    consumer = Consumer(stage="report", columns=columns, relies=said, place="f.py:7")
    found = review_contract(
        "orders", old.__tidemill_contract__, new.__tidemill_contract__, [consumer]
    )
    return [f"{each.change}: {each.why}{'!' * each.breaks}" for each in found.consequences]


OLD = contract()
# What is relied on, how the contract changes, and what that is to the consumer (! where it breaks).
RELIED: list[tuple[Reads, type[DeclaredContract], list[str]]] = [
    # Whoever says nothing may be broken by all that loosens in what it reads.
    (OLD.reads("x"), contract(x=tm.Int64(min=-1, max=9)), ["x: min 0 -> -1: reads x"]),
    # Whoever says something only by that.
    (OLD.reads("x", guarantees=[]), contract(x=tm.Int64(min=-1)), []),
    (OLD.reads("x", guarantees=["x.max"]), contract(x=tm.Int64(min=-1, max=9)), []),
    (OLD.reads("x", guarantees=["x.min"]), contract(x=tm.Int64(min=-1, max=9)), [
        "x: min 0 -> -1: relies on x.min!",
    ]),
    # Of values that are named it may lose what it doesn't need.
    (OLD.reads("x", x=tm.Int64(min=-5)), contract(x=tm.Int64(min=-1, max=9)), []),
    (OLD.reads("x", x=tm.Int64(min=-5)), contract(x=tm.Int64(min=-6, max=9)), [
        "x: min 0 -> -6: relies on x.min!",
    ]),
    (OLD.reads("x", guarantees=["x.null"]), contract(x=tm.Int64(min=0, max=9, nullable=True)), [
        "x: nullable no -> yes: relies on x.null!",
    ]),
    (OLD.reads("x", guarantees=["x.min"]), contract(x=tm.Int64(min=0, max=9, on_fail="warn")), [
        "x: on_fail quarantine -> warn: relies on x.min!",
    ]),
    (OLD.reads("y", guarantees=[replace(tm.String(isin=["a", "b"]), name="y")]),
     contract(y=tm.Enum(["a", "b", "c"])), ["y: type Enum + 'c': relies on y.isin!"]),
    # A type must be there in any case; whoever reads it meets another.
    (OLD.reads("y", guarantees=[]), contract(y=tm.String()), ["y: type Enum('a', 'b') -> String: reads y"]),
    (OLD.reads("x", guarantees=[]), contract(x=None, positive=None), ["x: column removed: reads x!"]),
    (OLD.reads("y", guarantees=["x.min"]), contract(x=None, positive=None), [
        "x: column removed: relies on x!",
    ]),
    (OLD.reads("y", guarantees=[]), contract(x=None, positive=None), []),
    (OLD.reads("x", guarantees=["positive"]), contract(positive=None), [
        "positive: rule removed: relies on positive!",
    ]),
    (OLD.reads("x", guarantees=["positive"]), contract(positive=None, above=POSITIVE), []),
    (OLD.reads("x", guarantees=[]), contract(positive=None), []),
    (OLD.reads("x"), contract(positive=None), ["positive: rule removed: reads the table"]),
    (OLD.reads("x", guarantees=["rows"]), contract(size=None), ["rows: min 1 -> none: relies on rows!"]),
    (OLD.reads("x", guarantees=["budget"]), contract(share=Budget(max_bad=0.2)), [
        "budget: max_bad 0.1 -> 0.2: relies on budget!",
    ]),
    # The same numbers in another unit are felt by whoever reads them.
    (contract(x=tm.Int64(unit="g")).reads("x", guarantees=[]), contract(x=tm.Int64(unit="kg")), [
        "x: unit g -> kg: reads x",
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("said", "new", "expected"), RELIED)
def test_what_is_relied_on(said: Reads, new: type[DeclaredContract], expected: list[str]) -> None:
    old: type[DeclaredContract] = type("Orders", (DeclaredContract,), {}, base=True)
    old.__tidemill_contract__ = said.contract
    assert told(said, old, new) == expected


def test_a_key_that_is_no_more() -> None:
    old, new = keyed("id"), keyed("id", "y")
    assert told(old.reads("id", guarantees=["key"]), old, new) == [
        "the table: key (id) -> (id, y): relies on key!"
    ]
    # That a column is unique may follow from the key.
    assert told(old.reads("id", id=tm.Int64(unique=True)), old, new) == [
        "the table: key (id) -> (id, y): relies on id.unique!"
    ]


def test_a_contract_of_its_own_is_what_it_relies_on() -> None:
    paid: type[DeclaredContract] = type("Paid", (DeclaredContract,), {"x": tm.Int64(min=-3)})
    wanted = paid.__tidemill_contract__
    assert told(wanted, OLD, contract(x=tm.Int64(min=-1))) == []
    assert told(wanted, OLD, contract(x=tm.Int64(min=-4))) == ["x: min 0 -> -4: relies on x.min!"]


def test_a_guarantee_that_it_never_had_is_no_change() -> None:
    said = OLD.reads("x", x=tm.Int64(min=5))
    assert told(said, OLD, contract(x=tm.Int64(min=0, max=8))) == []


def test_broken_consumers_are_listed_with_where_they_are() -> None:
    said = OLD.reads("x", guarantees=["x.min"])
    consumer = Consumer(stage="report", columns=("x",), relies=said, place="f.py:7")
    new = contract(x=tm.Int64(min=-1, max=9)).__tidemill_contract__
    found = review_contract(
        "orders", OLD.__tidemill_contract__, replace(new, version="2.0.0"), [consumer]
    )
    # Neither the mode nor a major version lets a named consumer be broken.
    assert (found.faults, found.failed) == ((), True)
    assert found.broken == ("report (f.py:7) is broken by x: min 0 -> -1 (it relies on x.min)",)


def test_readers_of_a_stage() -> None:
    raw = ingest("raw")
    assert raw.output is not None
    said = Reads(contract=raw.output, columns=("x",))
    slim = ContractSpec(
        name="Slim", version="1.0.0", columns=(Column(name="x", dtype=DType("Int64")),)
    )
    clear, opaque = (
        transform("clear", "whole", reads(raw)),
        transform("opaque", "whole", reads(raw)),
    )
    narrow = transform("narrow", "whole", replace(reads(raw), reads=said))
    own = transform("own", "whole", Input(name="raw", contract=slim))
    mod = model("mod", reads(raw))
    out = deliver("out", mod, raw)
    item = replace(out.inputs[0], reads=said)
    some = replace(deliver("some", mod, raw), inputs=(item,))
    plain = replace(deliver("plain", mod, raw), model="")
    stages = (raw, clear, opaque, narrow, own, mod, out, some, plain)
    flow = Flow(name="tides", owner="", stages=stages)
    recipes = {stage.name: Recipe(digest=stage.name) for stage in stages}
    seen = {"raw": ("own",)}
    recipes["clear"] = Recipe(digest="c", reads=seen, lineage={"x": seen})
    found = {each.stage: (each.columns, each.relies) for each in consumers_of(flow, recipes, "raw")}
    assert found == {
        "clear": (("own",), None),
        "opaque": (None, None),
        "narrow": (("x",), said),
        "own": (("x",), slim),
        "mod": (None, None),
        "out": (None, None),
        "some": (("x",), said),
        "plain": (None, None),
    }
    why = {each.stage: each.why for each in consumers_of(flow, recipes, "raw")}
    assert (why["mod"], why["out"], why["plain"]) == (
        "judged by code, which may read any column",
        "delivers what its model makes of it",
        "delivers it as it is",
    )
    assert consumers_of(flow, recipes, "mod") == ()
