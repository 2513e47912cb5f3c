"""Documents as people write them: each loads, says what it should, and loses nothing in silence.

Those in `documents/` are ours, made in words of our own after the examples of the standard and after the
schema evolution of datacontract-cli. The two that the package of the standard ships with its source are
read as they are.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.odcs.shipped import example
from tidemill.contracts.compatibility.changes import Direction
from tidemill.contracts.compatibility.diff import diff
from tidemill.contracts.io import odcs_files as odcs
from tidemill.contracts.io.odcs_yaml import OdcsFile, parse_text
from tidemill.contracts.odcs.reader import ImportedContracts, read_document
from tidemill.contracts.odcs.writer import write_document
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.table_rules import ReferenceRule, Rows, UniqueRule
from tidemill.core.errors import ContractError

HERE = Path(__file__).parent / "documents"
OWN = tuple(sorted(file.name for file in HERE.glob("*.yaml")))
SHIPPED = ("full-example-v3.2.0.odcs.yaml", "all-new-fields-v3.2.0.odcs.yaml")


def parsed(name: str) -> OdcsFile:
    text = example(name) if name in SHIPPED else (HERE / name).read_text(encoding="utf-8")
    return parse_text(text, name)


def loaded(name: str) -> ImportedContracts:
    found = parsed(name)
    return read_document(found.fields, file=name, unknown=found.unknown)


# Each document, its tables with their columns, and how many of its parts contracts can't say.
EXPECTED: dict[str, tuple[dict[str, str], int]] = {
    "full-example-v3.2.0.odcs.yaml": (
        {
            "tbl": "transaction_reference_date rcvr_id rcvr_cntry_code",
            "receivers": "id country_code receiver_name receiver_type receiver_attributes",
        },
        98,
    ),
    "all-new-fields-v3.2.0.odcs.yaml": (
        {"turnover": "total_turnover_euros country_code attributes embedding legacy_flag"},
        29,
    ),
    # As the examples on prices, people, roles, servers, support, tags and service levels.
    "envelope.odcs.yaml": ({}, 19),
    # As the example of all data types.
    "types.odcs.yaml": ({"parcels": "code sent scanned weight floors insured"}, 7),
    # As the examples of tables, columns, partitions and nested types.
    "tables.odcs.yaml": (
        {
            "visits": "day depot driver",
            "addresses": "lines",
            "routes": "legs",
            "totals": "country year amount",
        },
        17,
    ),
    # As the example that was written from a PostgreSQL database.
    "database.odcs.yaml": ({"staff": "id login gender starts changed pay photo resume"}, 7),
    # As the examples on accuracy, completeness, validity and custom checks.
    "checks.odcs.yaml": ({"air": "station value state"}, 10),
    # As the example of relationships, with its reference to a column that isn't there.
    "relations.odcs.yaml": (
        {"customers": "id country", "orders": "customer street country seller"},
        5,
    ),
    # As the examples of enumerations, maps, measures, deprecation and variables.
    "newer.odcs.yaml": ({"products": "id state rank names scores embedding turnover old"}, 17),
    # As the two examples of topics.
    "stream.odcs.yaml": ({"Orders": "customer quantity"}, 5),
    # As the example of fields that must be found.
    "undefined.odcs.yaml": ({"users": "id"}, 9),
    "towns-1.odcs.yaml": ({"towns": "id name"}, 0),
    "towns-2.odcs.yaml": ({"towns": "id name people"}, 0),
    "towns-3.odcs.yaml": ({"towns": "id name people"}, 0),
}


def test_every_document_is_expected() -> None:
    assert sorted(EXPECTED) == sorted((*OWN, *SHIPPED))


@pytest.mark.parametrize("name", EXPECTED)
def test_what_loads(name: str) -> None:
    tables, unsaid = EXPECTED[name]
    found = loaded(name)
    assert {spec.name: " ".join(spec.names) for spec in found.contracts} == tables
    assert len(found.unrepresented) == unsaid, "\n".join(found.unrepresented)


@pytest.mark.parametrize("name", EXPECTED)
def test_what_was_read_is_written_and_read_again(name: str) -> None:
    for spec in loaded(name).contracts:
        again = read_document(parse_text(odcs.write_odcs(spec), name).fields)
        assert again.unrepresented == ()
        assert diff(spec, again.contracts[0]).changes == ()
        assert write_document(again.contracts[0]) == write_document(spec)


def leaves(part: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The paths of all values that have no parts."""
    items = enumerate(part) if isinstance(part, list) else part.items()
    for step, value in items:
        if isinstance(value, (dict, list)):
            yield from leaves(value, (*path, step))
        else:
            yield (*path, step)


def changed(part: Any, path: tuple[str | int, ...]) -> Any:
    """A copy in which one value is another of its kind."""
    copied = copy.deepcopy(part)
    inside = copied
    for step in path[:-1]:
        inside = inside[step]
    match inside[path[-1]]:
        case bool() as value:
            inside[path[-1]] = not value
        case int() | float() as value:
            inside[path[-1]] = value + 1
        case value:
            inside[path[-1]] = f"{value}x"
    return copied


def said(document_: Any) -> Any:
    try:
        found = read_document(document_)
    except ContractError as error:
        return str(error)
    return [write_document(spec) for spec in found.contracts], found.unrepresented


def place(path: tuple[str | int, ...]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)[1:]


# Another position is the same order, unless it changes places with a third column.
ORDERING = ("primaryKeyPosition", "partitionKeyPosition")


def is_never_null(part: Any, path: tuple[str | int, ...]) -> bool:
    """Whether something else than `required` says that the column is never null."""
    for step in path[:-1]:
        part = part[step]
    checks = part.get("quality") or []
    return bool(part.get("primaryKey")) or any(c.get("metric") == "nullValues" for c in checks)


@pytest.mark.parametrize("name", EXPECTED)
def test_nothing_is_dropped_in_silence(name: str) -> None:
    """Each value is in the list, by itself or within something; or another one is another contract."""
    whole = parsed(name).fields
    before = said(whole)
    listed = tuple(line.split(": ")[0] for line in before[1])
    silent = [
        place(path)
        for path in leaves(whole)
        if not place(path).startswith(listed)
        and path[-1] not in ORDERING
        and not (path[-1] == "required" and is_never_null(whole, path))
        and said(changed(whole, path)) == before
    ]
    assert silent == []


def only(name: str) -> ContractSpec:
    [spec] = loaded(name).contracts
    return spec


def test_checks_mean_what_they_say() -> None:
    air = only("checks.odcs.yaml")
    # Between is closed: 100 and 120 rows are allowed.
    assert air.rows == Rows(min=100, max=120, on_fail="warn")
    assert air.table_rules == (
        UniqueRule(name="unique_station_state", columns=("station", "state")),
    )
    assert air.column("state").isin == ("good", "bad", "ugly")


def test_relationships_are_references() -> None:
    _, orders = loaded("relations.odcs.yaml").contracts
    assert orders.table_rules == (
        ReferenceRule(
            name="customer_country_in_customers",
            columns=("customer", "country"),
            contract="customers",
            to=("id", "country"),
        ),
        ReferenceRule(
            name="customer_in_customers", columns=("customer",), contract="customers", to=("id",)
        ),
        ReferenceRule(
            name="seller_in_sellers", columns=("seller",), contract="sellers", to=("id",)
        ),
    )


# As a contract evolves: what changed, for both sides, in both directions.
@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("towns-1", "towns-2", [("people", "column added: Int64, nullable", Direction.TIGHTENS)]),
        ("towns-2", "towns-1", [("people", "column removed", Direction.LOOSENS)]),
        ("towns-2", "towns-3", [("people", "nullable yes -> no", Direction.TIGHTENS)]),
        ("towns-3", "towns-2", [("people", "nullable no -> yes", Direction.LOOSENS)]),
        ("towns-1", "towns-3", [("people", "column added: Int64", Direction.TIGHTENS)]),
        ("towns-1", "towns-1", []),
    ],
)
def test_evolution(old: str, new: str, told: list[tuple[str, str, Direction]]) -> None:
    found = diff(only(f"{old}.odcs.yaml"), only(f"{new}.odcs.yaml"))
    assert [(change.about, change.words, change.direction) for change in found.changes] == told
