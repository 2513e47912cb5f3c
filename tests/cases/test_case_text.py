"""Cases as text: what is written is read as the same values."""

from __future__ import annotations

import tomllib
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.cases.case_text import UnwritableValue, case_text, toml_key, toml_value
from tidemill.cases.stage_case import Expectation, StageCase

CASE = StageCase(name='a "b"', stage="daily", partition="2026-01-05", expect=Expectation(count=1))


def read(text: str) -> Any:
    return tomllib.loads(f"x = {text}")["x"]


@pytest.mark.parametrize(
    "value",
    [
        True,
        3,
        -(2**63),
        0.1,
        1e300,
        "",
        'a "b" \\ c\n',
        "ä\u200b\u2028",
        "\x1b[31m\x7f",
        date(2026, 1, 5),
        datetime(2026, 1, 5, 3, 4, 5, 6),
        datetime(2026, 1, 5, 3, tzinfo=UTC),
        time(3, 4, 5),
        [1, 2],
        [[1.5], []],
        {"a b": 1, "c": {"d": "e"}},
    ],
)
def test_values(value: Any) -> None:
    assert read(toml_value(value)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (float("inf"), "inf"),
        (float("nan"), "nan"),
        (Decimal("0.50"), '"0.50"'),
        (timedelta(seconds=90), '"90.0s"'),
        (b"ab", '"ab"'),
        (pl.Series([1, 2]), "[1, 2]"),
        ({"a": None}, "{  }"),
    ],
)
def test_values_as_a_case_reads_them(value: Any, text: str) -> None:
    assert toml_value(value) == text
    read(text)


@pytest.mark.parametrize(
    "value", [2**63, "\0", "\ud800", b"\xff", [None], timedelta(), None, object()]
)
def test_values_that_can_not_be_written(value: Any) -> None:
    with pytest.raises(UnwritableValue):
        toml_value(value)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_any_text(text: str) -> None:
    assert read(toml_value(text)) == text
    assert tomllib.loads(f"{toml_key(text)} = 1") == {text: 1}
    assert toml_value(text).isprintable()


def test_a_case() -> None:
    rows = pl.DataFrame(
        {
            "id": [1, 2],
            "note": ["a", None],
            "none": [None, None],
            "at": pl.Series([1, 2]).cast(pl.Datetime("ns")),
            "later": pl.Series([1000, None]).cast(pl.Datetime("ns")),
            "took": [timedelta(0), timedelta(1)],
        }
    )
    document = tomllib.loads(case_text(CASE, {"orders": rows, "a b": rows.head(0)}, rows))
    [case] = document["case"]
    wanted = [{"id": 1, "note": "a", "later": datetime(1970, 1, 1, 0, 0, 0, 1)}, {"id": 2}]
    assert case == {
        "name": 'a "b"',
        "stage": "daily",
        "partition": "2026-01-05",
        "given": {"orders": wanted, "a b": []},
        "expect": {"rows": wanted},
    }


def test_rows_without_values() -> None:
    case = StageCase(name="n", stage="a", expect=Expectation(count=1))
    text = case_text(case, {}, pl.DataFrame({"x": [None]}))
    assert tomllib.loads(text)["case"][0]["expect"]["rows"] == [{}]
    assert "partition" not in text


def test_quarantined_rows_are_counted() -> None:
    case = StageCase(name="n", stage="a", expect=Expectation(count=1))
    text = case_text(case, {}, pl.DataFrame({"x": [1]}), {"a": 2, "b c": 1})
    assert tomllib.loads(text)["case"][0]["expect"]["quarantined"] == {"a": 2, "b c": 1}
