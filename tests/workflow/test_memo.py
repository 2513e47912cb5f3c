from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.workflow.memo import MemoPrice, MemoUsage, parse_price, parse_rate


@pytest.mark.parametrize(
    ("price", "amount", "unit"),
    [
        (0, 0.0, "row"),
        (0.25, 0.25, "row"),
        ("0.5/row", 0.5, "row"),
        ("0.5/1k rows", 0.0005, "row"),
        ("3 / 2M tokens", 1.5e-6, "token"),
        (" 2/token ", 2.0, "token"),
    ],
)
def test_prices(price: str | float, amount: float, unit: str) -> None:
    fee = parse_price(price)
    assert fee.amount == pytest.approx(amount)
    assert fee.unit == unit


@pytest.mark.parametrize("price", [-1, True, None, "1", "1/0 rows", "1/call", "x/row", "1/1G rows"])
def test_what_is_no_price(price: str) -> None:
    with pytest.raises(ValueError, match="is not a price: give money per row, or write"):
        parse_price(price)


@pytest.mark.parametrize(
    ("rate", "seconds"), [(None, 0.0), ("5/s", 0.2), ("60/m", 1.0), ("7200 / h", 0.5)]
)
def test_rates(rate: str | None, seconds: float) -> None:
    assert parse_rate(rate) == pytest.approx(seconds)


@pytest.mark.parametrize("rate", ["0/m", "60", "60/w", "m/60", 60, "1.5/s"])
def test_what_is_no_rate(rate: str) -> None:
    with pytest.raises(ValueError, match="is not a rate of calls: write"):
        parse_rate(rate)


def test_a_fee_is_for_rows_or_for_tokens() -> None:
    assert MemoPrice(amount=2.0).cost(3, 50) == 6.0
    assert MemoPrice(amount=2.0, unit="token").cost(3, 50) == 100.0


USAGES = st.builds(
    MemoUsage,
    known=st.integers(0, 9),
    asked=st.integers(0, 9),
    calls=st.integers(0, 9),
    tokens=st.integers(0, 9),
    tokens_saved=st.integers(0, 9),
    spent=st.integers(0, 9),
    saved=st.integers(0, 9),
)


@given(USAGES, USAGES)
def test_usage_adds_up(one: MemoUsage, other: MemoUsage) -> None:
    both = one + other
    assert (both.known, both.calls, both.saved) == (
        one.known + other.known,
        one.calls + other.calls,
        one.saved + other.saved,
    )
    assert both == other + one
    assert one + MemoUsage() == one
