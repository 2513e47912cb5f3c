"""Whom common changes of a schema concern: as tools for data contracts agree on it, or otherwise.

The first answer is the consumers', the second the producers'.
"""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.contracts import column_types as tm
from tidemill.contracts.compatibility.diff import diff
from tidemill.contracts.declaration import DeclaredContract

INT, TEXT, MAYBE = tm.Int64(), tm.String(), tm.String(nullable=True)
Body = dict[str, Any]
# As datacontract-cli, Confluent's registry and Iceberg have it.
AGREED: dict[str, tuple[Body, Body, bool, bool]] = {
    "a field is removed": ({"x": INT}, {}, True, False),
    "a required field is added": ({}, {"x": INT}, False, True),
    "required is added": ({"x": MAYBE}, {"x": TEXT}, False, True),
    "required is removed": ({"x": TEXT}, {"x": MAYBE}, True, False),
    "the type is another": ({"x": INT}, {"x": TEXT}, True, True),
    "a minimum is added": ({"x": INT}, {"x": tm.Int64(min=0)}, False, True),
    "a minimum is lowered": ({"x": tm.Int64(min=0)}, {"x": tm.Int64(min=-1)}, True, False),
    "a maximum is raised": ({"x": tm.Int64(max=1)}, {"x": tm.Int64(max=2)}, True, False),
    "a maximal length is added": ({"x": TEXT}, {"x": tm.String(max_length=9)}, False, True),
    "a pattern is another": ({"x": tm.String(regex="a")}, {"x": tm.String(regex="b")}, True, True),
    "unique is added": ({"x": INT}, {"x": tm.Int64(unique=True)}, False, True),
    "unique is removed": ({"x": tm.Int64(unique=True)}, {"x": INT}, True, False),
    "a value of a set is added": (
        {"x": tm.String(isin=["a"])}, {"x": tm.String(isin=["a", "b"])}, True, False,
    ),
    "a value of a set is removed": (
        {"x": tm.String(isin=["a", "b"])}, {"x": tm.String(isin=["a"])}, False, True,
    ),
    "a set is added": ({"x": TEXT}, {"x": tm.String(isin=["a"])}, False, True),
    "a set in another order": (
        {"x": tm.String(isin=["a", "b"])}, {"x": tm.String(isin=["b", "a"])}, False, False,
    ),
    "the length of a vector": (
        {"x": tm.Array(tm.Float32(), 3)}, {"x": tm.Array(tm.Float32(), 4)}, True, True,
    ),
    "a nested field is removed": (
        {"x": tm.Struct({"a": INT, "b": INT})}, {"x": tm.Struct({"a": INT})}, True, False,
    ),
    "a nested field is added": (
        {"x": tm.Struct({"a": INT})}, {"x": tm.Struct({"a": INT, "b": INT})}, False, True,
    ),
    "a description is another": ({"x": INT}, {"x": tm.Int64(description="of it")}, False, False),
    "int to long": ({"x": tm.Int32()}, {"x": INT}, False, False),
    "float to double": ({"x": tm.Float32()}, {"x": tm.Float64()}, False, False),
    "more digits": ({"x": tm.Decimal(9, 2)}, {"x": tm.Decimal(12, 2)}, False, False),
}  # fmt: skip
# Here a table's data decides. Elsewhere an optional field is an error for producers, and whole numbers
# that become others are one for both.
OTHERWISE: dict[str, tuple[Body, Body, bool, bool]] = {
    "an optional field is added": (
        {}, {"x": tm.Int64(nullable=True, optional=True)}, False, False,
    ),
    "whole numbers become others": ({"x": tm.Int32()}, {"x": tm.Float64()}, True, False),
}  # fmt: skip


@pytest.mark.parametrize("name", AGREED | OTHERWISE)
def test_whom_it_concerns(name: str) -> None:
    old, new, consumers, producers = (AGREED | OTHERWISE)[name]
    before = type("Orders", (DeclaredContract,), {"id": INT} | old)
    after = type("Orders", (DeclaredContract,), {"id": INT} | new)
    found = diff(before, after)
    assert (bool(found.for_consumers), bool(found.for_producers)) == (consumers, producers)
