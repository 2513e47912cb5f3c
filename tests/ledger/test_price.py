"""Prices of what computing uses."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.ledger.price import GB, HOUR_S, MONTH_S, Price, PriceBook


def test_hours_cost_what_they_are_priced_at() -> None:
    assert Price().of(3600) == 0.0
    assert Price(cpu_hour=0.5, currency="EUR").of(7200) == 1.0
    assert Price(memory_gb_hour=0.1).of(0.0, 36_000) == 1.0


@pytest.mark.parametrize(
    ("price", "used", "amount"),
    [
        ({"gpu_hour": 2.0}, {"gpu_s": 1800.0}, 1.0),
        ({"storage_gb_month": 0.02}, {"storage_gb_s": 50 * MONTH_S}, 1.0),
        ({"egress_gb": 0.1}, {"egress_gb": 10.0}, 1.0),
        ({"units": {"calls": 0.5}}, {"units": {"calls": 2.0, "free": 7.0}}, 1.0),
        ({"cpu_hour": 1.0}, {"gpu_s": 1.0, "egress_gb": 1.0, "units": {"calls": 1.0}}, 0.0),
    ],
)
def test_each_quantity_has_its_price(
    price: dict[str, object], used: dict[str, object], amount: float
) -> None:
    assert Price(**price).of(**used) == pytest.approx(amount)  # type: ignore[arg-type]


def test_a_month_is_a_twelfth_of_a_year() -> None:
    assert (MONTH_S * 12, HOUR_S, GB) == (365 * 86_400, 3600, 10**9)


def test_nothing_is_priced_until_something_is() -> None:
    assert Price(units={"calls": 0.0}).is_free
    assert PriceBook().is_free
    for price in (
        Price(cpu_hour=1.0),
        Price(memory_gb_hour=1.0),
        Price(gpu_hour=1.0),
        Price(storage_gb_month=1.0),
        Price(egress_gb=1.0),
        Price(units={"calls": 1.0}),
    ):
        assert not price.is_free
        later = replace(price, since=2.0)
        assert not PriceBook(prices=(Price(), Price(since=1.0), later)).is_free


@given(
    st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=5, unique=True).map(sorted),
    st.booleans(),
    st.floats(-2e9, 2e9),
)
def test_the_newest_prices_count_that_have_begun(
    starts: list[float], is_open: bool, moment: float
) -> None:
    prices = [Price(cpu_hour=float(n), since=start) for n, start in enumerate(starts)]
    if is_open:
        prices[0] = Price(cpu_hour=0.0)
    begun = [n for n, start in enumerate(starts) if start <= moment]
    assert PriceBook(prices=tuple(prices)).at(moment).cpu_hour == max(begun, default=0)


@pytest.mark.parametrize(
    ("starts", "fault"),
    [
        ((), "has no prices"),
        ((None, None), "don't follow"),
        ((1.0, None), "don't follow"),
        ((2.0, 1.0), "don't follow"),
        ((1.0, 1.0), "don't follow"),
        ((None, 2.0, 2.0), "don't follow"),
    ],
)
def test_prices_of_a_book_follow_each_other(starts: tuple[float | None, ...], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        PriceBook(prices=tuple(Price(since=start) for start in starts))
