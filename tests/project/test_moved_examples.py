"""How far predictions move, whatever they are."""

from __future__ import annotations

from math import inf, nan

import polars as pl
import pytest

from tidemill.project.moved_examples import distances, shown_cell


@pytest.mark.parametrize(
    ("old", "new", "moved"),
    [
        ([1.0, 2.0, None], [1.5, 2.0, None], [0.5, 0.0, 0.0]),
        ([None, 1.0], [1.0, None], [inf, inf]),  # one of them predicts nothing
        ([nan, 1.0, nan, nan], [1.0, nan, nan, None], [inf, inf, 0.0, 0.0]),
        ([inf, -inf, 1.0], [inf, inf, -inf], [0.0, inf, inf]),
        ([1, 5], [4, 5], [3.0, 0.0]),
        (["a", "b", None], ["a", "c", "a"], [0.0, 1.0, 1.0]),
        ([True, False], [True, True], [0.0, 1.0]),
        ([1, 2], ["1", "b"], [0.0, 1.0]),  # a label that became text
    ],
)
def test_distances(old: list[object], new: list[object], moved: list[float]) -> None:
    assert distances(pl.Series(old), pl.Series(new)).to_list() == moved


def test_cells_are_short_text() -> None:
    cells = [shown_cell(value) for value in (None, 1.23456789, "a", 5, True, False, "")]
    assert cells == ["null", "1.23457", "a", "5", "true", "false", '""']
