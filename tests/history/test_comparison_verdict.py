"""Which of two versions is better: beyond noise, within it, or not to be told."""

from __future__ import annotations

from math import nan

import pytest

from tests.history.test_model_comparison import version
from tidemill.history.comparison_verdict import Better, change_of, comparison_verdict
from tidemill.ledger.model_version import MetricComparison, VersionComparison
from tidemill.workflow.gate import Interval


def figure(
    gain: float, low: float | None = None, high: float | None = None, *, slice: str = ""
) -> MetricComparison:
    interval = None
    if low is not None and high is not None:
        interval = Interval(value=gain, low=low, high=high, confidence=0.95, days=20)
    return MetricComparison(
        stage="s", slice=slice, rows=10, metric="mae", one=3.0, other=3.0 - gain, gain=gain,
        interval=interval,
    )  # fmt: skip


UP, DOWN = figure(1.0, 0.5, 1.5), figure(-1.0, -1.5, -0.5)
NOISE, SAME, BARE, UNKNOWN = figure(0.1, -1.0, 1.2), figure(0.0), figure(-0.2), figure(nan)


@pytest.mark.parametrize(
    ("each", "expected"),
    [
        (UP, Better.OTHER),
        (DOWN, Better.ONE),
        (NOISE, Better.OPEN),
        (SAME, Better.EQUAL),
        (BARE, Better.OPEN),
        (UNKNOWN, Better.OPEN),
    ],
)
def test_a_figure_tells_only_what_is_beyond_noise(each: MetricComparison, expected: Better) -> None:
    assert change_of(each) is expected


@pytest.mark.parametrize(
    ("metrics", "expected", "words"),
    [
        ((UP,), Better.OTHER, "b is better, beyond noise"),
        ((DOWN, SAME), Better.ONE, "a is better, beyond noise"),
        ((UP, DOWN), Better.MIXED, "b is better"),
        ((NOISE, SAME), Better.OPEN, "b looks better, but that could be noise"),
        ((BARE,), Better.OPEN, "a looks better, but there is no interval"),
        ((UNKNOWN,), Better.OPEN, "which can't be compared"),
        ((SAME,), Better.EQUAL, "3 against 3, the same"),
        ((), Better.OPEN, "no evaluation scored both versions"),
    ],
)
def test_the_verdict_is_that_of_the_metrics_over_all_rows(
    metrics: tuple[MetricComparison, ...], expected: Better, words: str
) -> None:
    found = VersionComparison(one=version("a"), other=version("b"), metrics=metrics)
    better, lines = comparison_verdict(found)
    assert better is expected
    assert words in "\n".join(lines)


def test_slices_that_get_worse_are_named() -> None:
    slices = (
        figure(-1.0, -1.5, -0.5, slice="shop=north"),
        figure(1.0, 0.5, 1.5, slice="shop=south"),
        figure(0.1, slice="shop=east"),
    )
    found = VersionComparison(one=version("a"), other=version("b"), metrics=(UP, *slices))
    assert comparison_verdict(found)[1][1:] == (
        "of 3 figures of slices 1 got better and 1 worse beyond noise",
        "worse in shop=north: mae 3 -> 4",
    )
