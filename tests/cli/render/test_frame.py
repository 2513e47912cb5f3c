"""Frames as text, and what is in their columns."""

from datetime import date
from typing import Any

import polars as pl
import pytest

from tidemill.cli.render.frame import cell_text, frame_table


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
    assert cell_text(value) == text


def test_numbers_are_aligned_to_the_right() -> None:
    frame = pl.DataFrame({"name": ["a", "bcd"], "number": [1, 1000]})
    assert frame_table(frame).split("\n") == ["name  number", "a          1", "bcd     1000"]


def test_no_columns() -> None:
    assert frame_table(pl.DataFrame()) == "(no columns)"
