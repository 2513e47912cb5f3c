from __future__ import annotations

import math

from tidemill.drawing.layer import circle, finite_runs, hint, is_finite


def test_finite() -> None:
    assert is_finite(1, 2.5)
    assert not is_finite(1, None)
    assert not is_finite(math.nan)
    assert not is_finite(math.inf)


def test_runs_end_where_a_value_is_missing() -> None:
    runs = finite_runs([1, 2, 3, 4], [1, math.nan, 3, 4])
    assert list(runs) == [[(1, 1)], [(3, 3), (4, 4)]]


def test_hints_are_harmless() -> None:
    assert hint("") == ""
    assert circle(1, 2, 3, "<&>").endswith("<title>&lt;&amp;&gt;</title></circle>")
