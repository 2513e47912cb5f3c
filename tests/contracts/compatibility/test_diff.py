"""The classic changes of a contract, and the direction of each."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import date
from typing import Any

import polars as pl
import pytest

from tidemill.contracts import column_types as tm
from tidemill.contracts.column import Column
from tidemill.contracts.compatibility.changes import Change
from tidemill.contracts.compatibility.diff import COLUMN_TERMS, SEPARATE_FIELDS, TABLE_TERMS, diff
from tidemill.contracts.declaration import DeclaredContract
from tidemill.contracts.dtype import DType
from tidemill.contracts.spec import ContractSpec, rule
from tidemill.contracts.table_rules import Budget, Rows

ID = {"id": tm.Int64()}


def contract(body: dict[str, Any], **arguments: Any) -> type[DeclaredContract]:
    return type("Orders", (DeclaredContract,), body, **arguments)


def one(old: type[DeclaredContract], new: type[DeclaredContract]) -> Change:
    [change] = diff(old, new).changes
    return change


def of_column(old: Column, new: Column) -> Change:
    return one(contract({"x": old}), contract({"x": new}))


_REQUIRED, _OPTIONAL = tm.Int64(nullable=True), tm.Int64(nullable=True, optional=True)
TIGHTENS, LOOSENS, BOTH, NEUTRAL, SURVIVED = "tightens", "loosens", "both", "neutral", "survived"


def verdict(change: Change) -> str:
    return SURVIVED if change.survived else str(change.direction)


@pytest.mark.parametrize(
    ("old", "new", "expected", "words"),
    [
        # Nullability, both ways.
        (tm.Int64(), tm.Int64(nullable=True), LOOSENS, "nullable no -> yes"),
        (tm.Int64(nullable=True), tm.Int64(), TIGHTENS, "nullable yes -> no"),
        # Bounds, both ways and at both ends.
        (tm.Int64(), tm.Int64(min=0), TIGHTENS, "min none -> 0"),
        (tm.Int64(min=0), tm.Int64(min=5), TIGHTENS, "min 0 -> 5"),
        (tm.Int64(min=5), tm.Int64(min=0), LOOSENS, "min 5 -> 0"),
        (tm.Int64(min=5), tm.Int64(), LOOSENS, "min 5 -> none"),
        (tm.Int64(max=5), tm.Int64(max=9), LOOSENS, "max 5 -> 9"),
        (tm.Int64(max=9), tm.Int64(max=5), TIGHTENS, "max 9 -> 5"),
        # A bound that leaves the value itself out is the tighter one.
        (tm.Int64(min=0), tm.Int64(min_exclusive=0), TIGHTENS, "min 0 -> 0 (exclusive)"),
        (tm.Int64(max_exclusive=9), tm.Int64(max=9), LOOSENS, "max 9 (exclusive) -> 9"),
        (tm.String(), tm.String(min_length=2), TIGHTENS, "min_length none -> 2"),
        (tm.String(max_length=2), tm.String(max_length=3), LOOSENS, "max_length 2 -> 3"),
        (tm.Int64(), tm.Int64(unique=True), TIGHTENS, "unique no -> yes"),
        (tm.Int64(unique=True), tm.Int64(), LOOSENS, "unique yes -> no"),
        # Allowed values.
        (tm.Int64(), tm.Int64(isin=[1, 2]), TIGHTENS, "isin none -> (1, 2)"),
        (tm.Int64(isin=[1, 2]), tm.Int64(), LOOSENS, "isin (1, 2) -> none"),
        (tm.Int64(isin=[1]), tm.Int64(isin=[1, 2]), LOOSENS, "isin + 2"),
        (tm.Int64(isin=[1, 2]), tm.Int64(isin=[1]), TIGHTENS, "isin - 2"),
        (tm.Int64(isin=[1, 2]), tm.Int64(isin=[1, 3]), BOTH, "isin + 3, - 2"),
        (tm.Int64(isin=[1, 2]), tm.Int64(isin=[2, 1]), NEUTRAL, "isin another order"),
        # Categories: readers meet values that they don't know.
        (tm.Enum(["a"]), tm.Enum(["a", "b"]), LOOSENS, "type Enum + 'b'"),
        (tm.Enum(["a", "b"]), tm.Enum(["a"]), TIGHTENS, "type Enum - 'b'"),
        (tm.Enum(["a"]), tm.Enum(["b"]), BOTH, "type Enum + 'b', - 'a'"),
        (tm.Enum(["a", "b"]), tm.Enum(["b", "a"]), NEUTRAL, "type Enum another order"),
        (tm.Enum(["a"]), tm.String(), LOOSENS, "type Enum('a') -> String"),
        # Types: the widenings that readers survive, the others, and the way back.
        (tm.Int32(), tm.Int64(), SURVIVED, "type Int32 -> Int64"),
        (tm.UInt8(), tm.Int16(), SURVIVED, "type UInt8 -> Int16"),
        (tm.Float32(), tm.Float64(), SURVIVED, "type Float32 -> Float64"),
        (tm.Decimal(9, 2), tm.Decimal(12, 2), SURVIVED, "type Decimal(9, 2) -> Decimal(12, 2)"),
        (tm.Decimal(9, 2), tm.Decimal(12, 4), LOOSENS, "type Decimal(9, 2) -> Decimal(12, 4)"),
        (tm.List(tm.Int8()), tm.List(tm.Int64()), SURVIVED, "type List(Int8) -> List(Int64)"),
        (tm.List(tm.Int8()), tm.List(tm.Float64()), LOOSENS, None),
        (tm.Array(tm.Int8(), 3), tm.Array(tm.Int64(), 3), SURVIVED, None),
        (tm.Array(tm.Int8(), 3), tm.Array(tm.Int8(), 4), BOTH, None),
        (tm.Int32(), tm.Float64(), LOOSENS, "type Int32 -> Float64"),
        (tm.Int64(), tm.Int32(), TIGHTENS, "type Int64 -> Int32"),
        (tm.String(), tm.Int64(), BOTH, "type String -> Int64"),
        # A regular expression.
        (tm.String(), tm.String(regex="^a"), TIGHTENS, "regex none -> ^a"),
        (tm.String(regex="^a"), tm.String(), LOOSENS, "regex ^a -> none"),
        (tm.String(regex="^a"), tm.String(regex="^b"), BOTH, "regex ^a -> ^b"),
        # What follows: published rows keep what fails or quarantines, not what warns.
        (tm.Int64(), tm.Int64(on_fail="warn"), LOOSENS, "on_fail quarantine -> warn"),
        (tm.Int64(), tm.Int64(on_fail="fail"), TIGHTENS, "on_fail quarantine -> fail"),
        (tm.Date(partition="1d"), tm.Date(partition="1mo"), BOTH, "partition day -> month"),
        # Whether it may be left out, and what then stands there.
        (_OPTIONAL, _REQUIRED, TIGHTENS, "optional yes -> no"),
        (_REQUIRED, _OPTIONAL, LOOSENS, "optional no -> yes"),
        # Words for people.
        (tm.Int64(), tm.Int64(pii="email"), NEUTRAL, "pii none -> email"),
        (tm.Int64(), tm.Int64(description="x"), NEUTRAL, "description added"),
        (tm.Int64(description="x"), tm.Int64(description="y"), NEUTRAL, "description changed"),
        (tm.Int64(description="x"), tm.Int64(), NEUTRAL, "description removed"),
        (tm.Int64(), tm.Int64(unit="kg"), NEUTRAL, "unit none -> kg"),
        (
            tm.Date(format="%d.%m.%Y"),
            tm.Date(format="%Y/%m/%d", null_values="-"),
            NEUTRAL,
            "format of text changed: format, null_values",
        ),
        (tm.Int64(), tm.Int64(role="label"), NEUTRAL, "role none -> label"),
    ],
)
def test_a_column_changes(old: Column, new: Column, expected: str, words: str | None) -> None:
    change = of_column(old, new)
    assert verdict(change) == expected
    assert words is None or str(change) == f"x: {words}"
    assert change.column == "x"


@pytest.mark.parametrize(
    ("old", "new", "expected", "words"),
    [
        # A key of fewer columns promises more.
        ({}, {"key": ("id",)}, TIGHTENS, "key none -> (id)"),
        ({"key": ("id",)}, {}, LOOSENS, "key (id) -> none"),
        ({"key": ("id",)}, {"key": ("id", "day")}, LOOSENS, "key (id) -> (id, day)"),
        ({"key": ("id", "day")}, {"key": ("id",)}, TIGHTENS, "key (id, day) -> (id)"),
        ({"key": ("id",)}, {"key": ("day",)}, BOTH, "key (id) -> (day)"),
        ({"key": ("id", "day")}, {"key": ("day", "id")}, NEUTRAL, "key (id, day) -> (day, id)"),
        # Readers ask for columns by name: more of them break nobody.
        ({}, {"unknown_columns": "keep"}, SURVIVED, "unknown_columns fail -> keep"),
        ({"unknown_columns": "drop"}, {}, TIGHTENS, "unknown_columns drop -> fail"),
        (
            {"unknown_columns": "keep"},
            {"unknown_columns": "drop"},
            NEUTRAL,
            "unknown_columns keep -> drop",
        ),
    ],
)
def test_the_table_changes(
    old: dict[str, Any], new: dict[str, Any], expected: str, words: str
) -> None:
    body = {"id": tm.Int64(), "day": tm.Date()}
    change = one(contract(body, **old), contract(body, **new))
    assert (verdict(change), str(change)) == (expected, f"the table: {words}")
    assert not change.column


POSITIVE, BELOW_NINE = pl.col("id") > 0, pl.col("id") < 9
LONG = [pl.col("id").is_in([0, 1, 2, last, 97, 98, 99]) for last in (90, 91)]


@pytest.mark.parametrize(
    ("old", "new", "expected", "words"),
    [
        ({}, {"r": rule(POSITIVE)}, TIGHTENS, f"r: rule added: {POSITIVE}"),
        ({"r": rule(POSITIVE)}, {}, LOOSENS, "r: rule removed"),
        (
            {"r": rule(POSITIVE)},
            {"r": rule(BELOW_NINE)},
            BOTH,
            f"r: rule {POSITIVE} -> {BELOW_NINE}",
        ),
        (
            {"r": rule(LONG[0])},
            {"r": rule(LONG[1])},
            BOTH,
            f"r: rule changed in a part that its text doesn't show: {LONG[1]}",
        ),
        ({"r": rule(POSITIVE)}, {"s": rule(POSITIVE)}, NEUTRAL, "s: rule renamed from r"),
        (
            {"r": rule(POSITIVE)},
            {"r": rule(POSITIVE, on_fail="warn")},
            LOOSENS,
            "r: on_fail quarantine -> warn",
        ),
        (
            {"r": rule(POSITIVE)},
            {"r": rule(POSITIVE, description="x")},
            NEUTRAL,
            "r: description added",
        ),
        # How many rows there are.
        ({}, {"rows": Rows(min=2, on_fail="fail")}, TIGHTENS, "rows: min none -> 2"),
        ({"rows": Rows(min=2, on_fail="fail")}, {}, LOOSENS, "rows: min 2 -> none"),
        ({"rows": Rows(min=2)}, {"rows": Rows(min=2, on_fail="fail")}, TIGHTENS, None),
        (
            {"rows": Rows(vs_last=7, within=0.5, on_fail="fail")},
            {"rows": Rows(vs_last=7, within=0.2, on_fail="fail")},
            TIGHTENS,
            "rows: within 0.5 -> 0.2",
        ),
        (
            {"rows": Rows(vs_last=7, within=0.5, on_fail="fail")},
            {"rows": Rows(vs_last=9, within=0.5, on_fail="fail")},
            BOTH,
            "rows: vs_last 7 -> 9",
        ),
        # A larger budget lets more rows be missing.
        ({}, {"b": Budget(max_bad=0.1)}, TIGHTENS, "budget: max_bad 0.5 -> 0.1"),
        ({"b": Budget(max_bad=0.1)}, {"b": Budget(max_bad=0.2)}, LOOSENS, None),
    ],
)
def test_rules_and_counts_change(
    old: dict[str, Any], new: dict[str, Any], expected: str, words: str | None
) -> None:
    change = one(contract(ID | old), contract(ID | new))
    assert verdict(change) == expected
    assert words is None or str(change) == words


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"r": rule(POSITIVE, on_fail="warn")}, {}),
        ({}, {"r": rule(POSITIVE, on_fail="warn")}),
        ({"r": rule(POSITIVE, on_fail="warn")}, {"r": rule(BELOW_NINE, on_fail="warn")}),
        ({"x": tm.Int64(min=1, on_fail="warn")}, {"x": tm.Int64(min=2, on_fail="warn")}),
        ({}, {"rows": Rows(min=2)}),
    ],
)
def test_what_only_warns_promises_nothing(old: dict[str, Any], new: dict[str, Any]) -> None:
    change = one(contract(ID | old), contract(ID | new))
    assert (verdict(change), change.note, change.told) == (NEUTRAL, "it only warns", False)


def test_a_column_comes_and_goes() -> None:
    wide = ID | {"note": tm.String(nullable=True)}
    came = one(contract(ID), contract(wide))
    assert (verdict(came), str(came)) == (TIGHTENS, "note: column added: String, nullable")
    gone = one(contract(wide), contract(ID))
    assert (verdict(gone), str(gone), gone.gone) == (LOOSENS, "note: column removed", True)
    assert gone.note == "data that still has it is refused"
    optional = ID | {"note": tm.String(nullable=True, optional=True)}
    assert verdict(one(contract(ID), contract(optional))) == NEUTRAL
    assert verdict(one(contract(optional), contract(ID))) == SURVIVED
    drop = {"unknown_columns": "drop"}
    assert one(contract(wide, **drop), contract(ID, **drop)).note == ""


def test_columns_in_another_order() -> None:
    x = {"x": tm.Int64()}
    change = one(contract(ID | x), contract(x | ID))
    assert (verdict(change), change.note) == (NEUTRAL, "affects readers by position")


def test_bounds_that_came_with_another_type_go_both_ways() -> None:
    old, new = contract({"x": tm.Int64(min=1)}), contract({"x": tm.Date(min=date(2026, 1, 1))})
    assert [verdict(change) for change in diff(old, new).changes] == [BOTH, BOTH]


def test_a_bound_that_says_nothing_new_is_neutral() -> None:
    old = Column(dtype=DType("Int64"), name="x", min=0)
    new = replace(old, min_exclusive=-1)
    specs = [replace(contract(ID).__tidemill_contract__, columns=(c,)) for c in (old, new)]
    [change] = diff(*specs).changes
    assert (verdict(change), change.words) == (NEUTRAL, "min 0 -> 0 and -1 (exclusive)")


def test_a_unit_of_the_same_numbers_is_no_mere_word() -> None:
    assert of_column(tm.Int64(), tm.Int64(unit="kg")).told
    change = of_column(tm.Int64(unit="kg"), tm.Int64(unit="g"))
    assert (change.told, change.note) == (False, "the same numbers have another meaning")


def test_every_field_is_compared() -> None:
    said_by = {name for term in COLUMN_TERMS for name in (term.field, term.exclusive) if name}
    assert said_by == {f.name for f in fields(Column)} - {"name"}
    known = {term.field for term in TABLE_TERMS} | SEPARATE_FIELDS
    assert known == {f.name for f in fields(ContractSpec)}


def test_nothing_changed() -> None:
    found = diff(contract(ID), contract(ID).__tidemill_contract__)
    assert str(found) == "Orders 1.0.0 -> 1.0.0: no changes"
    assert (found.for_consumers, found.for_producers) == ((), ())
