"""Relationships, service levels and checks that become rules beyond the partition."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.odcs.documents import HEAD, INT, TEXT, only, read
from tidemill.contracts.odcs.reader import ImportedContracts, read_document
from tidemill.contracts.table_rules import DriftRule, FreshnessRule, ReferenceRule, UniqueRule

DATE = {"logicalType": "date"}


def together(*columns: str, **told: Any) -> dict[str, Any]:
    arguments = {"properties": list(columns)}
    return {
        "type": "library",
        "metric": "duplicateValues",
        "mustBe": 0,
        "arguments": arguments,
        **told,
    }


def test_columns_that_come_once_together() -> None:
    found = read(
        INT, TEXT, quality=[together("c0", "c1"), together("c0", name="once", severity="warning")]
    )
    assert only(found).table_rules == (
        UniqueRule(name="unique_c0_c1", columns=("c0", "c1")),
        UniqueRule(name="once", columns=("c0",), on_fail="warn"),
    )
    assert found.unrepresented == ()


def test_columns_that_are_not_there_are_listed() -> None:
    [line] = read(INT, quality=[together("c0", "c7")]).unrepresented
    assert line.startswith(
        "schema[0].quality[0]: unique_c0_c7: column 'c7' is not one of its columns"
    )


def test_rules_of_one_name_are_told_apart() -> None:
    found = read(INT, quality=[together("c0"), together("c0"), together("c0")])
    assert [rule.name for rule in only(found).table_rules] == [
        "unique_c0",
        "unique_c0_2",
        "unique_c0_3",
    ]


def own(**told: Any) -> dict[str, Any]:
    return {"name": "r", "type": "custom", "engine": "tidemill", "implementation": told}


def test_drift() -> None:
    said = own(check="drift", columns=["c0"], by="psi", limit=0.5, vsLast=3)
    found = read({**INT, "required": True, "partitioned": True}, quality=[said])
    assert only(found).table_rules == (
        DriftRule(name="r", columns=("c0",), limit=0.5, vs_last=3, on_fail="fail"),
    )
    assert found.unrepresented == ()


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (
            {"check": "drift", "columns": ["c0"], "by": "psi", "limit": 1, "vsLast": 1},
            "no partition column",
        ),
        ({"check": "drift", "columns": "c0"}, "r: it names no column"),
        (
            {"check": "references", "columns": ["c0"], "contract": "x"},
            "it names 1 column here and 0 of x",
        ),
        ({"check": "unheard"}, "type custom, engine tidemill"),
    ],
)
def test_own_checks_that_are_none_are_listed(told: dict[str, Any], why: str) -> None:
    found = read(INT, quality=[own(**told)])
    assert only(found).table_rules == ()
    [line] = found.unrepresented
    assert line.startswith("schema[0].quality[0]: ")
    assert why in line


# Where a relationship stands, and the rule that it is.
@pytest.mark.parametrize(
    ("table", "rule"),
    [
        (
            {"relationships": [{"from": "t.c0", "to": "other.id", "type": "foreignKey"}]},
            ReferenceRule(name="c0_in_other", columns=("c0",), contract="other", to=("id",)),
        ),
        (
            {"relationships": [{"from": ["t.c0", "t.c1"], "to": ["other.a", "other.b"]}]},
            ReferenceRule(
                name="c0_c1_in_other", columns=("c0", "c1"), contract="other", to=("a", "b")
            ),
        ),
    ],
)
def test_relationships_of_tables(table: dict[str, Any], rule: ReferenceRule) -> None:
    found = read(INT, TEXT, **table)
    assert only(found).table_rules == (rule,)
    assert found.unrepresented == ()


def test_a_relationship_of_a_property() -> None:
    found = read({**INT, "relationships": [{"to": "other.id"}]})
    rule = ReferenceRule(name="c0_in_other", columns=("c0",), contract="other", to=("id",))
    assert only(found).table_rules == (rule,)
    assert found.unrepresented == ()


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"from": "t.c0", "to": "schema/x/properties/y"}, "from t.c0 to schema/x/properties/y"),
        ({"from": "t.c0", "to": ["a.x", "b.x"]}, "from t.c0 to ['a.x', 'b.x']"),
        ({"from": "t.c0", "to": "a.x", "type": "soulmate"}, "from t.c0 to a.x"),
        ({"from": "u.c0", "to": "a.x"}, "from u.c0, which is another table"),
        ({"from": ["t.c0"], "to": ["a.x", "a.y"]}, "it names 1 column here and 2 of a"),
        ({"from": "t.c9", "to": "a.x"}, "column 'c9' is not one of its columns"),
    ],
)
def test_relationships_that_are_no_references_are_listed(told: dict[str, Any], why: str) -> None:
    found = read(INT, relationships=[told])
    assert only(found).table_rules == ()
    [line] = found.unrepresented
    assert line.startswith("schema[0].relationships[0]: ")
    assert why in line


def test_a_reference_is_held_against_the_tables_of_the_document() -> None:
    others = {"name": "others", "properties": [{"name": "id", **INT}, {"name": "day", **DATE}]}
    named = [
        {"name": "a", **INT, "relationships": [{"to": "others.id"}]},
        {"name": "b", **INT, "relationships": [{"to": "others.idd"}]},
        {"name": "c", **INT, "relationships": [{"to": "others.day"}]},
    ]
    found = read_document({**HEAD, "schema": [{"name": "t", "properties": named}, others]})
    assert [rule.name for rule in found.contracts[0].table_rules] == ["a_in_others"]
    assert found.unrepresented == (
        "schema[0].properties[1].relationships[0]: b_in_others: column 'idd' is not one of others's "
        "columns (did you mean 'id'?)",
        "schema[0].properties[2].relationships[0]: c_in_others: c is Int64, others.day is Date: "
        "they share no values",
    )


def levels(*told: dict[str, Any], **table: Any) -> ImportedContracts:
    listed = [{"name": "day", **DATE}, {"name": "n", **INT}]
    tables = [{"name": "t", "properties": listed, **table}]
    return read_document({**HEAD, "schema": tables, "slaProperties": list(told)})


def fresh(**told: Any) -> dict[str, Any]:
    return {"property": "freshness", "value": 4, "unit": "d", "element": "t.day", **told}


@pytest.mark.parametrize(
    ("value", "unit", "within"),
    [(26, "h", "26h"), (2, "days", "2d"), (1, "week", "1w"), (3, "mo", "3mo")],
)
def test_freshness(value: int, unit: str, within: str) -> None:
    found = levels({"property": "freshness", "value": value, "unit": unit, "element": "t.day"})
    assert only(found).table_rules == (
        FreshnessRule(name="day_fresh", column="day", within=within),
    )
    assert found.unrepresented == ()


@pytest.mark.parametrize(
    ("told", "line"),
    [
        ({"property": "latency", "value": 4}, "slaProperties[0]: property latency, value 4"),
        (fresh(unit="s"), "slaProperties[0]: day_fresh: within='4None' is not a duration"),
        (fresh(value="4"), "slaProperties[0]: property freshness, value 4"),
        (fresh(element="t.n"), "slaProperties[0]: n_fresh: n is Int64: only a Date or Datetime"),
        (fresh(element="u.day"), "slaProperties[0]: property freshness"),
        (fresh(driver="regulatory"), "slaProperties[0].driver: regulatory"),
    ],
)
def test_service_levels_that_are_listed(told: dict[str, Any], line: str) -> None:
    [listed] = levels(told).unrepresented
    assert listed.startswith(line)


def test_names_and_order_come_from_the_custom_properties() -> None:
    said = [{"column": "day", "name": "fresh", "onFail": "fail"}]
    custom = [
        {"property": "tidemillFreshness", "value": said},
        {"property": "tidemillOrder", "value": ["unique_n", 7, "fresh"]},
    ]
    checks = [together("day", name="last"), together("n")]
    found = levels(fresh(), customProperties=custom, quality=checks)
    assert [(rule.name, rule.on_fail) for rule in only(found).table_rules] == [
        ("unique_n", "fail"),
        ("fresh", "fail"),
        ("last", "fail"),
    ]
    assert found.unrepresented == ()


def test_each_service_level_takes_the_next_name_of_its_column() -> None:
    other = {"name": "at", "logicalType": "timestamp"}
    tables: list[Any] = [{"name": "t", "properties": [{"name": "day", **DATE}, other]}]
    names = [("day", "a"), ("at", "b"), ("day", "c")]
    said = [{"column": column, "name": name} for column, name in names]
    tables[0]["customProperties"] = [{"property": "tidemillFreshness", "value": said}]
    told = [fresh(element="t.at"), fresh(), fresh()]
    found = read_document({**HEAD, "schema": tables, "slaProperties": told})
    assert [rule.name for rule in only(found).table_rules] == ["b", "a", "c"]
    assert found.unrepresented == ()


@pytest.mark.parametrize("said", [["odd"], [{"column": "n", "name": "x"}], [{"column": "day"}]])
def test_names_of_no_service_level_are_listed(said: list[Any]) -> None:
    found = levels(customProperties=[{"property": "tidemillFreshness", "value": said}])
    assert found.unrepresented == (
        "schema[0].customProperties[0]: the custom property tidemillFreshness: no such service level",
    )
