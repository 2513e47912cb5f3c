"""A whole document: its tables, their keys and partitions, and what stays unsaid."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.odcs.documents import AT, HEAD, INT, KEY, only, read
from tidemill.contracts.odcs.reader import read_document
from tidemill.contracts.table_rules import Budget
from tidemill.core.errors import ContractError


def test_keys_are_ordered_by_their_position() -> None:
    later, first, unplaced = {**KEY, "primaryKeyPosition": 2}, {**KEY, "primaryKeyPosition": 1}, KEY
    found = read(unplaced, later, first)
    assert only(found).key == ("c2", "c1", "c0")
    assert not any(column.nullable for column in only(found).columns)
    nested = read(INT, {"logicalType": "array", "items": INT, "primaryKey": True})
    assert only(nested).key == ()
    assert nested.unrepresented == ("schema[0].properties[1].primaryKey: a List has no order",)


def test_the_first_partition_counts() -> None:
    cut = {**INT, "required": True, "partitioned": True}
    found = read({**cut, "partitionKeyPosition": 2}, {**cut, "partitionKeyPosition": 1})
    assert only(found).partitioning.column == "c1"
    assert found.unrepresented == (f"{AT}.partitioned: a table is partitioned by one column only",)


def test_what_a_table_says_by_custom_properties() -> None:
    told = {"UnknownColumns": "drop", "Compatibility": "full", "Budget": {"maxBad": 0.1}}
    listed = [{"property": f"tidemill{name}", "value": value} for name, value in told.items()]
    spec = only(read(INT, customProperties=listed))
    assert (spec.unknown_columns, spec.compatibility, spec.budget) == (
        "drop",
        "full",
        Budget(max_bad=0.1),
    )
    # A table that doesn't say so may have more columns.
    assert only(read(INT)).unknown_columns == "keep"


@pytest.mark.parametrize("budget", [{"maxBad": 7}, {"max": 0.1}, {"maxBad": "x"}, 0.1])
def test_a_budget_that_is_none_is_listed(budget: Any) -> None:
    found = read(INT, customProperties=[{"property": "tidemillBudget", "value": budget}])
    assert only(found).budget is None
    [line] = found.unrepresented
    assert line.startswith("schema[0].customProperties[0]: the custom property tidemillBudget")


@pytest.mark.parametrize(
    ("told", "version", "listed"),
    [
        ("1.2.3", "1.2.3", None),
        ("1.2", "1.2.0", "version: 1.2 is read as 1.2.0"),
        ("2", "2.0.0", "version: 2 is read as 2.0.0"),
        ("v1", "1.0.0", "version: 'v1' is not MAJOR.MINOR.PATCH; it is read as 1.0.0"),
        ("01.0.0", "1.0.0", "version: '01.0.0' is not MAJOR.MINOR.PATCH; it is read as 1.0.0"),
    ],
)
def test_versions(told: str, version: str, listed: str | None) -> None:
    found = read_document(
        {**HEAD, "version": told, "schema": [{"name": "t", "properties": [{"name": "a", **INT}]}]}
    )
    assert only(found).version == version
    assert found.unrepresented == ((listed,) if listed else ())


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"apiVersion": "v2.2.2"}, "x.yaml: apiVersion: 'v2.2.2' is not version 3"),
        ({"kind": "DataProduct"}, "x.yaml: kind: 'DataProduct' is not DataContract"),
    ],
)
def test_documents_of_another_kind(told: dict[str, str], why: str) -> None:
    with pytest.raises(ContractError, match=why):
        read_document({**HEAD, **told}, file="x.yaml")


def test_tables_that_contradict_themselves_are_named_all_at_once() -> None:
    wrong = {**INT, "logicalTypeOptions": {"minimum": 9, "maximum": 1}}
    tables = [{"name": n, "properties": [{"name": "a", **wrong}]} for n in ("t", "u")]
    with pytest.raises(ContractError) as caught:
        read_document({**HEAD, "schema": tables}, file="x.yaml")
    assert str(caught.value).splitlines() == [
        "x.yaml: schema[0]: a: min=9 is above max=1",
        "x.yaml: schema[1]: a: min=9 is above max=1",
    ]


def test_tables_without_columns_or_a_name_are_listed() -> None:
    tables = [{"name": "t"}, {"properties": [{"name": "a", **INT}]}, "odd"]
    found = read_document({**HEAD, "schema": tables})
    assert found.contracts == ()
    assert found.unrepresented == (
        "schema[0]: no columns that a contract can express",
        "schema[1]: a table without a name",
        "schema[2]: a table without a name",
    )
    assert read_document(HEAD).unrepresented == ("id: t", "name: t")


def test_fields_that_the_standard_does_not_have_are_listed() -> None:
    found = read_document({**HEAD, "schema": []}, unknown=["schema[0].propertys"])
    assert "schema[0].propertys: not a field of the standard" in found.unrepresented
