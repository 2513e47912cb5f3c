"""Values in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.scorecard.number import NumberUnit, ScoreNumber
from tidemill.scorecard.wording import (
    duration_text,
    share_text,
    sparkline,
    target_text,
    trend_text,
    value_text,
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (0.44, "0.4 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (60.0, "1 min"),
        (95.0, "1 min 35 s"),
        (3_599.9, "60 min"),
        (7_200.0, "2 h"),
        (9_000.0, "2 h 30 min"),
        (36_000.0, "10 h"),
        (183_600.0, "2 d 3 h"),
        (86_400.0 * 5_000, "5,000 d"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@given(st.floats(0, 1e12))
def test_every_duration_has_a_text(seconds: float) -> None:
    assert duration_text(seconds)


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (1.0, "100 %"),
        (0.9999, "99.99 %"),
        (0.999999, "99.99 %"),
        (0.995, "99.5 %"),
        (0.0, "0 %"),
    ],
)
def test_shares(share: float, text: str) -> None:
    assert share_text(share) == text


def number(unit: NumberUnit, **more: float | None) -> ScoreNumber:
    return ScoreNumber(name="n", title="N", unit=unit, counted="case", currency="EUR", **more)  # type: ignore[arg-type]


def test_values() -> None:
    assert value_text(number(NumberUnit.MONEY), None) == "n/a"
    assert value_text(number(NumberUnit.MONEY), 2.0) == "2.00 EUR"
    assert value_text(number(NumberUnit.SECONDS), 60.0) == "1 min"
    assert value_text(number(NumberUnit.SHARE), 0.5) == "50 %"


def test_targets_and_trends() -> None:
    assert target_text(number(NumberUnit.SHARE)) == ""
    assert target_text(number(NumberUnit.SHARE, target=0.99)) == ">= 99 %"
    assert target_text(number(NumberUnit.SHARE, target=0.99, value=0.5)) == ">= 99 %, missed"
    assert target_text(number(NumberUnit.SECONDS, target=60.0, value=5.0)) == "<= 1 min, met"
    assert trend_text(number(NumberUnit.SECONDS, value=5.0)) == ""
    assert trend_text(number(NumberUnit.SECONDS, previous=5.0)) == "5 s"
    assert trend_text(number(NumberUnit.SECONDS, value=5.0, previous=10.0)) == "10 s, better"


@pytest.mark.parametrize(
    ("values", "bars"),
    [
        ([], ""),
        ([None, None], ""),
        ([0.0, None, 0.0], "▁·▁"),
        ([1.0, 0.0, 0.5, None], "█▁▅·"),
        ([-1.0, 1.0], "▁█"),
    ],
)
def test_sparklines(values: list[float | None], bars: str) -> None:
    assert sparkline(values) == bars
