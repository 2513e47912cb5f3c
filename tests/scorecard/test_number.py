"""Whether targets are met, and where numbers go."""

from __future__ import annotations

import pytest

from tidemill.scorecard.number import NumberUnit, ScoreNumber


def number(
    unit: NumberUnit = NumberUnit.SECONDS,
    value: float | None = None,
    previous: float | None = None,
    target: float | None = None,
    *,
    grows: bool = False,
) -> ScoreNumber:
    return ScoreNumber(
        name="n", title="N", unit=unit, counted="case", value=value, previous=previous, target=target,
        value_grows=grows,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("unit", "value", "target", "met"),
    [
        (NumberUnit.SECONDS, 10.0, 10.0, True),
        (NumberUnit.SECONDS, 11.0, 10.0, False),
        (NumberUnit.MONEY, 0.0, 0.0, True),
        (NumberUnit.SHARE, 0.99, 0.99, True),
        (NumberUnit.SHARE, 0.98, 0.99, False),
        (NumberUnit.SHARE, None, 0.99, None),
        (NumberUnit.SHARE, 0.98, None, None),
    ],
)
def test_targets(
    unit: NumberUnit, value: float | None, target: float | None, met: bool | None
) -> None:
    assert number(unit, value, target=target).is_met is met


@pytest.mark.parametrize(
    ("unit", "value", "previous", "trend"),
    [
        (NumberUnit.SECONDS, 10.0, 20.0, "better"),
        (NumberUnit.SECONDS, 20.0, 10.0, "worse"),
        (NumberUnit.SECONDS, 10.2, 10.0, "steady"),
        (NumberUnit.SECONDS, 10.0, 0.0, ""),  # times infinity
        (NumberUnit.SECONDS, 1e300, 1e-300, ""),
        (NumberUnit.MONEY, None, 1.0, ""),
        (NumberUnit.MONEY, 1.0, None, ""),
        (NumberUnit.SHARE, 0.999, 0.9, "better"),
        (NumberUnit.SHARE, 0.9, 0.999, "worse"),
        (NumberUnit.SHARE, 0.0, 0.9, "worse"),
        (NumberUnit.SHARE, 0.9, 0.0, "better"),
        (NumberUnit.SHARE, 0.99, 0.991, "steady"),
        (NumberUnit.SHARE, 0.99, None, ""),
    ],
)
def test_trends(unit: NumberUnit, value: float | None, previous: float | None, trend: str) -> None:
    assert number(unit, value, previous).trend == trend


@pytest.mark.parametrize(
    ("value", "is_met", "trend"),
    [
        (1.0, None, ""),
        (10.0, None, ""),  # as long as before, so far
        (15.0, None, "worse"),
        (25.0, False, "worse"),
    ],
)
def test_a_lower_bound_meets_no_target_and_is_not_better(
    value: float, is_met: bool | None, trend: str
) -> None:
    found = number(NumberUnit.SECONDS, value, previous=10.0, target=20.0, grows=True)
    assert (found.is_met, found.trend) == (is_met, trend)


@pytest.mark.parametrize(
    ("value", "previous", "target", "trend"),
    [
        (0.9951, 0.9999, 0.999, "worse"),
        (0.99991, 0.99993, 0.999, "steady"),
        (0.95, 0.953, 0.9, "steady"),
        (0.95, 0.956, 0.9, "worse"),
        (0.9995, 1.0, 1.0, "worse"),
        (1.0, 0.9, 0.99, "better"),
    ],
)
def test_the_trend_of_a_share_is_in_what_may_be_missed(
    value: float, previous: float, target: float, trend: str
) -> None:
    assert number(NumberUnit.SHARE, value, previous, target).trend == trend
