"""What changes inside of structs, lists and arrays, field by field."""

from __future__ import annotations

import pytest

from tidemill.contracts import column_types as tm
from tidemill.contracts.column import Column
from tidemill.contracts.compatibility.diff import diff
from tidemill.contracts.declaration import DeclaredContract

INT, LONG, TEXT = tm.Int32(), tm.Int64(), tm.String()
POINT = tm.Struct({"lat": tm.Float32(), "lon": tm.Float32()})
CHANGES: list[tuple[Column, Column, list[str]]] = [
    (POINT, POINT, []),
    (POINT, tm.Struct({"lat": tm.Float64(), "lon": tm.Float32()}), [
        "loosens  type of .lat Float32 -> Float64, survived",
    ]),
    (POINT, tm.Struct({"lat": tm.Float32()}), ["loosens  field .lon removed"]),
    (tm.Struct({"lat": tm.Float32()}), POINT, ["tightens  field .lon added: Float32"]),
    (POINT, tm.Struct({"lon": tm.Float32(), "lat": tm.Float32()}), [
        "neutral  fields of it in another order, felt",
    ]),
    (POINT, tm.Struct({"lat": tm.String(), "long": tm.Float32()}), [
        "both  type of .lat Float32 -> String",
        "loosens  field .lon removed",
        "tightens  field .long added: Float32",
    ]),
    (tm.Struct({"a": tm.Decimal(9, 2)}), tm.Struct({"a": tm.Decimal(12, 2)}), [
        "loosens  type of .a Decimal(9, 2) -> Decimal(12, 2), survived",
    ]),
    # Structs in lists, lists in structs, structs in structs.
    (tm.List(tm.Struct({"a": INT})), tm.List(tm.Struct({"a": LONG})), [
        "loosens  type of [].a Int32 -> Int64, survived",
    ]),
    (tm.Struct({"a": tm.List(INT)}), tm.Struct({"a": tm.List(TEXT)}), [
        "both  type of .a[] Int32 -> String",
    ]),
    (tm.Struct({"a": tm.Struct({"b": INT, "c": INT})}), tm.Struct({"a": tm.Struct({"b": INT})}), [
        "loosens  field .a.c removed",
    ]),
    (tm.Struct({"a": tm.Struct({"b": INT, "c": INT})}), tm.Struct({"a": tm.Struct({"c": INT, "b": INT})}), [
        "neutral  fields .a in another order, felt",
    ]),
    (tm.Array(tm.Struct({"a": INT}), 2), tm.Array(tm.Struct({"a": LONG}), 3), [
        "both  length of each 2 -> 3",
        "loosens  type of [].a Int32 -> Int64, survived",
    ]),
    (tm.Struct({"a": tm.Array(INT, 2)}), tm.Struct({"a": tm.Array(INT, 3)}), [
        "both  length of .a 2 -> 3",
    ]),
    (tm.Struct({"a": INT}), tm.Struct({"a": tm.List(INT)}), ["both  type of .a Int32 -> List(Int32)"]),
    # Without a struct on both sides there are no fields to tell apart.
    (tm.List(INT), tm.List(tm.Struct({"a": INT})), ["both  type List(Int32) -> List(Struct('a', Int32))"]),
    (POINT, TEXT, ["both  type Struct('lat', Float32, 'lon', Float32) -> String"]),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "expected"), CHANGES)
def test_fields(old: Column, new: Column, expected: list[str]) -> None:
    before = type("Places", (DeclaredContract,), {"x": old})
    after = type("Places", (DeclaredContract,), {"x": new})
    found = diff(before, after).changes
    told = [
        f"{each.direction}  {each.words}{', survived' * each.survived}{', felt' * each.felt}"
        for each in found
    ]
    assert told == expected
    assert {(each.column, each.term) for each in found} <= {("x", "type")}


def test_other_terms_are_told_beside_it() -> None:
    before = type("Places", (DeclaredContract,), {"x": tm.Struct({"a": INT})})
    after = type("Places", (DeclaredContract,), {"x": tm.Struct({"a": LONG}, nullable=True)})
    assert [each.words for each in diff(before, after).changes] == [
        "type of .a Int32 -> Int64",
        "nullable no -> yes",
    ]
