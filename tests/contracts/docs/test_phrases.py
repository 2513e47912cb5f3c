"""The terms of a contract, phrased in English."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from tidemill.contracts.column import Column
from tidemill.contracts.column_types import (
    Binary,
    Bool,
    Date,
    Datetime,
    Enum,
    Float64,
    Int64,
    List,
    String,
)
from tidemill.contracts.declaration import DeclaredContract
from tidemill.contracts.docs.phrases import (
    column_terms,
    conditions,
    head_terms,
    row_conditions,
    table_conditions,
    type_name,
)
from tidemill.contracts.spec import rule
from tidemill.contracts.table_rules import Budget, Freshness, Rows, Unique


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (Int64(min=0, max=9), "never null, >= 0, <= 9"),
        (Int64(min_exclusive=0, max_exclusive=9), "never null, > 0, < 9"),
        (
            Float64(source="EUR", decimal_comma=True, thousands=".", null_values=["-", "n/a"]),
            "never null, from 'EUR' in files, with decimal commas, with '.' between thousands, "
            "null if '-' or 'n/a'",
        ),
        (
            Datetime(time_zone="Europe/Berlin", format=["%d.%m.%Y %H:%M", "%d.%m.%Y"]),
            "never null, written as %d.%m.%Y %H:%M or %d.%m.%Y",
        ),
        (
            Bool(nullable=True, true_values="ja", false_values="nein"),
            "true if 'ja', false if 'nein'",
        ),
        (Float64(nullable=True, unit="mph"), "in mph"),
        (Enum(["a", "b"]), "never null, one of a, b"),
        (Int64(isin=[1, 2]), "never null, one of 1, 2"),
        (String(regex="^a"), "never null, matches ^a"),
        (
            String(min_length=1, max_length=3),
            "never null, at least 1 character, at most 3 characters",
        ),
        (Binary(max_length=3), "never null, at most 3 bytes"),
        (List(Int64(), min_length=2), "never null, at least 2 items"),
        (Int64(unique=True), "never null, unique within a partition"),
        (Int64(optional=True, default=0), "never null, optional, 0 if missing"),
        (Int64(optional=True, nullable=True), "optional, null if missing"),
        (String(pii="email", role="feature"), "never null, role feature, personal: email"),
        (Date(partition="1d"), "never null, partition"),
    ],
)
def test_columns_in_words(column: Column, words: str) -> None:
    assert column_terms(column) == words


def test_what_a_column_is_stands_apart_from_what_its_values_must_satisfy() -> None:
    assert conditions(Int64(unit="kg", pii="weight", min=1)) == ("never null", ">= 1")


def test_the_values_of_an_enum_are_no_part_of_its_type() -> None:
    assert type_name(Enum(["a"])) == "Enum"
    assert type_name(List(Int64())) == "List(Int64)"


class Orders(
    DeclaredContract,
    version="1.0.0",
    key=("id",),
    unknown_columns="drop",
    compatibility="full_transitive",
):
    id = Int64()
    day = Date(partition="1w")

    sane = rule(pl.col("id") > 0, on_fail="warn", description="or ask")
    size = Rows(min=1000, max=2000, vs_last=7, within=0.5, on_fail="fail")
    budget = Budget(max_bad=0.025)
    once = Unique("id", description="d")
    fresh = Freshness("day", within="2d")


def test_rules_in_words() -> None:
    spec = Orders.__tidemill_contract__
    [sane] = row_conditions(spec)
    assert (sane.name, sane.on_fail, sane.description) == ("sane", "warn", "or ask")
    assert sane.phrase == str(pl.col("id") > 0)
    told = [(r.name, r.phrase, r.on_fail, r.description) for r in table_conditions(spec)]
    assert told == [
        (
            "rows",
            "at least 1,000 rows, at most 2,000 rows, as many rows as the median of the last 7, "
            "within 50 % of it",
            "fail",
            "",
        ),
        ("budget", "at most 2.5 % of the rows are quarantined", "fail", ""),
        ("once", "id comes once in the whole table", "fail", "d"),
        ("fresh", "the newest day is at most 2d old", "warn", ""),
    ]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (Rows(), "any number of rows"),
        (Rows(vs_last=1, within=0.1), "as many rows as the last partition, within 10 % of it"),
    ],
)
def test_numbers_of_rows_in_words(rows: Rows, words: str) -> None:
    contract: Any = type("Any", (DeclaredContract,), {"id": Int64(), "size": rows}, version="1.0.0")
    assert [r.phrase for r in table_conditions(contract.__tidemill_contract__)] == [words]


def test_a_contract_without_a_budget_has_the_default() -> None:
    plain: Any = type("Plain", (DeclaredContract,), {"id": Int64()}, version="1.0.0")
    terms = dict(head_terms(plain.__tidemill_contract__))
    assert terms["bad rows"] == "at most 50 % of the rows are quarantined"


def test_the_table_in_words() -> None:
    assert head_terms(Orders.__tidemill_contract__) == (
        ("key", "id"),
        ("partition", "by week of day"),
        ("unknown columns", "undeclared columns are dropped"),
        ("compatibility", "full transitive"),
    )
