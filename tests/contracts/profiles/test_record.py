"""Derived figures of a column's profile."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.contracts.profiles.distinct_count import MANY, REGISTERS
from tidemill.contracts.profiles.record import Categories, ColumnProfile, Grid, Histogram, Profile
from tidemill.core.errors import UsageError


def column(name: str = "x", **parts: Any) -> ColumnProfile:
    return ColumnProfile(**{"name": name, "dtype": "Float64", "rows": 9, "nulls": 2, **parts})


def test_nulls_and_nans_are_missing() -> None:
    found = column(nans=3)
    assert (found.missing_count, found.present_count) == (5, 4)


@pytest.mark.parametrize(
    ("finite", "m2", "variance"), [(0, 0.0, None), (1, 0.0, None), (3, 8.0, 4.0)]
)
def test_the_variance_is_of_more_than_one(finite: int, m2: float, variance: float | None) -> None:
    assert column(finite=finite, m2=m2).variance == variance


@pytest.mark.parametrize(
    ("parts", "distinct", "exact"),
    [
        ({"categories": Categories(counts={"a": 5, "b": 2})}, 2, True),
        ({"categories": Categories(counts={}, missed=1), "sketch": b"f" + bytes(12)}, 3, True),
        ({"sketch": b"f" + bytes(8)}, 2, True),
        # A register of 512 that is filled hints at one value.
        ({"sketch": MANY + bytes(REGISTERS - 1) + b"\1"}, 1, False),
        # Of nested types there is no sketch.
        ({}, None, True),
        ({"nulls": 9}, 0, True),
    ],
)
def test_the_number_of_different_values(
    parts: dict[str, Any], distinct: int | None, exact: bool
) -> None:
    found = column(**parts)
    assert (found.distinct, found.is_exact) == (distinct, exact)


def test_columns_are_found_by_name() -> None:
    grid = Grid(center=0.0, scale=1.0)
    histogram = Histogram(grid=grid, size=0, bins=b"", counts=b"")
    profile = Profile(rows=9, columns=(column("carrier"), column("delay", histogram=histogram)))
    assert profile["delay"].histogram == histogram
    assert profile.grids == {"delay": grid}
    with pytest.raises(UsageError, match=r"no column 'carier' \(did you mean 'carrier'\?\)"):
        profile["carier"]
