"""Frames as text, and what is in their columns."""

from datetime import date
from typing import Any

import polars as pl
import pytest

from tidemill.cli.render.frame import cell, head_table
from tidemill.cli.render.profile import profile


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (1.0, "1"),
        (1234.56789, "1234.57"),
        (["a", "b"], "a, b"),
        ("a\nb", "a\\nb"),
        ("x" * 32, "x" * 32),
        ("x" * 33, "x" * 29 + "..."),
        (date(2026, 1, 5), "2026-01-05"),
    ],
)
def test_cell(value: Any, text: str) -> None:
    assert cell(value) == text


def test_numbers_are_aligned_to_the_right() -> None:
    frame = pl.DataFrame({"name": ["a", "bcd"], "number": [1, 1000]})
    assert head_table(frame).split("\n") == ["name  number", "a          1", "bcd     1000"]


def test_no_columns() -> None:
    assert head_table(pl.DataFrame()) == "(no columns)"


def test_profile_of_every_kind_of_column() -> None:
    frame = pl.LazyFrame(
        {
            "number": [3, None, 1],
            "kind": ["a", "b", "a"],
            "list": [[1], [2], None],
        },
        schema_overrides={"kind": pl.Enum(["b", "a"])},
    )
    found = {known["name"]: known for known in profile(frame)}
    assert found["number"] == {
        "name": "number",
        "type": "Int64",
        "rows": 3,
        "nulls": 1,
        "min": 1,
        "max": 3,
        "unique": 3,
    }
    # Categories have an order of their own, which a minimum would only suggest.
    assert (found["kind"]["type"], found["kind"]["min"], found["kind"]["unique"]) == (
        "Enum",
        None,
        2,
    )
    assert (found["list"]["nulls"], found["list"]["unique"]) == (1, None)


def test_profile_of_columns_that_clash_with_the_names_of_its_figures() -> None:
    found = profile(pl.LazyFrame({"rows": [1, 2], "nulls rows": [3, 4]}))
    assert [(known["name"], known["rows"], known["max"]) for known in found] == [
        ("rows", 2, 2),
        ("nulls rows", 2, 4),
    ]
