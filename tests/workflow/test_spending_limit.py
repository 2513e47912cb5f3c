"""Amounts that may be spent."""

from __future__ import annotations

import pytest

from tidemill.workflow.spending_limit import parse_limit


@pytest.mark.parametrize(
    ("said", "amount", "in_cpu_hours", "text"),
    [
        (5, 5.0, False, "5"),
        (0, 0.0, False, "0"),
        (0.25, 0.25, False, "0.25"),
        ("2 CPU-hours", 2.0, True, "2 CPU-hours"),
        (" 1.5cpu-hour ", 1.5, True, "1.5 CPU-hours"),
        (1234567.891, 1234567.891, False, "1234567.891"),
        (0.000125, 0.000125, False, "0.000125"),
        ("30 CPU-minutes", 0.5, True, "30 CPU-minutes"),
        ("36 CPU-seconds", 0.01, True, "36 CPU-seconds"),
        ("100 CPU-seconds", 100 / 3_600, True, "100 CPU-seconds"),
        ("5000 CPU-seconds", 5_000 / 3_600, True, "5000 CPU-seconds"),
        ("0.4567 CPU-seconds", 0.4567 / 3_600, True, "0.4567 CPU-seconds"),
    ],
)
def test_limits(said: object, amount: float, in_cpu_hours: bool, text: str) -> None:
    found = parse_limit(said)
    assert found.amount == pytest.approx(amount)
    assert found.in_cpu_hours == in_cpu_hours
    assert str(found) == text
    # It can be written into settings again.
    assert not in_cpu_hours or parse_limit(text).amount == pytest.approx(amount)


@pytest.mark.parametrize(
    "said", [-1, True, None, "", "5", "2 h", "-2 CPU-hours", "CPU-hours", float("nan"), [5]]
)
def test_what_is_no_limit(said: object) -> None:
    with pytest.raises(ValueError, match="is not an amount"):
        parse_limit(said)


def test_more_than_anybody_can_spend() -> None:
    with pytest.raises(ValueError, match="more than anybody"):
        parse_limit(f"{'9' * 400} CPU-hours")
