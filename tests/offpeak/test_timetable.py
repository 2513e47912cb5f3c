"""When jobs run: property tests over random jobs and prices, and the cases that people ask about."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.offpeak.price_curve import PriceCurve, PricePiece, curve_from_starts
from tidemill.offpeak.timetable import WaitingJob, make_timetable

HOUR, NOW = 3_600.0, 1_000_000 * 900.0
# A slight error of sums of floats.
SLIGHT = 1e-3


def hourly(*prices: float | None, start: float = NOW) -> PriceCurve:
    return curve_from_starts((start + hour * HOUR, price) for hour, price in enumerate(prices))


def job(name: str = "a", hours: float = 1.0, within: float = 8.0, **more: object) -> WaitingJob:
    made = WaitingJob(id=name, seconds=hours * HOUR, deadline=NOW + within * HOUR)
    return replace(made, **more)  # type: ignore[arg-type]


@st.composite
def jobs(draw: st.DrawFn) -> list[WaitingJob]:
    found: list[WaitingJob] = []
    for number in range(draw(st.integers(1, 7))):
        before = draw(st.sets(st.sampled_from(found), max_size=2)) if found else set()
        found.append(
            WaitingJob(
                id=f"job {number}",
                seconds=draw(st.integers(1, 200)) * 60.0,
                deadline=NOW + draw(st.integers(-100, 3_000)) * 60.0,
                release=NOW + draw(st.integers(-100, 600)) * 60.0,
                reserve=draw(st.sampled_from((0.0, 600.0))),
                cpus=draw(st.sampled_from((0.5, 1.0, 2.0, 9.0))),
                after=tuple(sorted(one.id for one in before)),
                divisible=draw(st.booleans()),
            )
        )
    return found


@st.composite
def curves(draw: st.DrawFn) -> PriceCurve:
    pieces, at = list[PricePiece](), NOW + draw(st.integers(-600, 600)) * 60.0
    for price in draw(st.lists(st.one_of(st.none(), st.floats(-5, 100, width=32)), max_size=30)):
        end = at + draw(st.sampled_from((900.0, 3_600.0, 2_340.0)))
        if price is not None:
            pieces.append(PricePiece(start=at, end=end, price=price))
        at = end
    return PriceCurve(tuple(pieces))


@given(jobs(), curves(), st.sampled_from((1.0, 2.0, 4.0)))
def test_times_keep_their_promises(
    found: list[WaitingJob], curve: PriceCurve, capacity: float
) -> None:
    table = make_timetable(found, curve, now=NOW, capacity=capacity)
    assert set(table) == {one.id for one in found}
    for planned in table.values():
        one = planned.job
        # All of the work is done, not before it can be, nor at once with what it waits for.
        assert sum(end - start for start, end in planned.spans) == pytest.approx(one.seconds)
        assert planned.start >= max(NOW, one.release) - SLIGHT
        assert all(table[other].end <= planned.start + SLIGHT for other in one.after)
        assert all(first[1] < second[0] for first, second in pairwise(planned.spans))
        # A job that waits for a price does so at known prices, is cheaper then, and in time.
        assert planned.late == (planned.end > one.deadline + SLIGHT)
        if planned.late:
            assert planned.forced or planned.lacks_prices
        if len(planned.spans) > 1:
            assert planned.price is not None
        if planned.price is not None and planned.price_now is not None:
            assert planned.price <= planned.price_now + SLIGHT
    # Never more at once than there is room for.
    edges = sorted({start for planned in table.values() for start, _ in planned.spans})
    for edge in edges:
        used = sum(
            min(planned.job.cpus, capacity)
            for planned in table.values()
            for start, end in planned.spans
            if start <= edge < end - SLIGHT
        )
        assert used <= capacity + SLIGHT


@given(jobs(), curves())
def test_the_order_of_jobs_doesnt_matter(found: list[WaitingJob], curve: PriceCurve) -> None:
    table = make_timetable(found, curve, now=NOW)
    assert make_timetable(found[::-1], curve, now=NOW) == table


@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), curves())
def test_a_lone_job_is_never_late_if_it_can_be_in_time(hours: list[int], curve: PriceCurve) -> None:
    for length in hours:
        planned = make_timetable([job(hours=length)], curve, now=NOW)["a"]
        assert not planned.late


@pytest.mark.parametrize("divisible", [False, True])
@pytest.mark.parametrize(
    ("prices", "hours"),
    [
        # The cheapest hour.
        ((9, 8, 2, 7, 9, 9, 9, 9), 2),
        # At equal prices the first one, and so at once if that is as cheap.
        ((5, 5, 5, 5, 5, 5, 5, 5), 0),
        ((5, 1, 1, 1, 5, 5, 5, 5), 1),
        # Negative prices are real, and so are those of 0.
        ((5, 0, -3, 5, 5, 5, 5, 5), 2),
        # A gap has no price: not even if all other hours are dear.
        ((9, None, 8, 7, 9, 9, 9, 9), 3),
        # What is cheap after the deadline is too late.
        ((5, 6, 6, 6, 6, 6, 6, 6, 1, 1), 0),
        # The price of now isn't known, but that of later is.
        ((None, 4, 6, 6, 6, 6, 6, 6), 1),
    ],
)
def test_the_cheapest_time_is_chosen(
    prices: tuple[float | None, ...], hours: float, divisible: bool
) -> None:
    planned = make_timetable([job(divisible=divisible)], hourly(*prices), now=NOW)["a"]
    assert planned.start == NOW + hours * HOUR
    assert not planned.forced
    assert not planned.lacks_prices


@pytest.mark.parametrize(
    "curve",
    [
        PriceCurve(),
        # Stale: it ends before now.
        hourly(1, 2, 3, start=NOW - 10 * HOUR),
        # It begins after the deadline.
        hourly(1, 2, 3, start=NOW + 9 * HOUR),
    ],
)
def test_without_known_prices_a_job_begins_at_once(curve: PriceCurve) -> None:
    planned = make_timetable([job()], curve, now=NOW)["a"]
    assert (planned.start, planned.lacks_prices, planned.late) == (NOW, True, False)


def test_too_few_known_prices_for_the_job_are_none() -> None:
    planned = make_timetable([job(hours=3)], hourly(None, 1, None, 1, None), now=NOW)["a"]
    assert (planned.start, planned.lacks_prices) == (NOW, True)


@pytest.mark.parametrize("within", [-3, 0, 0.5, 1])
def test_a_job_without_slack_begins_at_once(within: float) -> None:
    planned = make_timetable([job(within=within)], hourly(9, 1, 1, 1), now=NOW)["a"]
    assert (planned.start, planned.forced, planned.late) == (NOW, True, within < 1)


@pytest.mark.parametrize(("reserve", "hours"), [(0, 6), (1, 6), (2, 2), (6.5, 0.5), (7, 0)])
def test_a_job_leaves_time_to_take_longer(reserve: float, hours: float) -> None:
    prices = hourly(9, 5, 3, 9, 9, 9, 1, 9)
    planned = make_timetable([job(reserve=reserve * HOUR)], prices, now=NOW)["a"]
    assert planned.start == NOW + hours * HOUR


def test_a_divisible_job_takes_the_cheapest_slots() -> None:
    prices = hourly(9, 1, 9, 2, 9, 3, 9, 9)
    planned = make_timetable([job(hours=2.5, divisible=True)], prices, now=NOW)["a"]
    hours = [(start / HOUR - NOW / HOUR, end / HOUR - NOW / HOUR) for start, end in planned.spans]
    assert hours == [(1, 2), (3, 4), (5, 5.5)]
    assert planned.price == pytest.approx((1 + 2 + 1.5) / 2.5)


def test_the_job_with_less_slack_chooses_first() -> None:
    table = make_timetable(
        [job("patient", within=8), job("pressed", within=3)],
        hourly(9, 9, 1, 2, 9, 9, 9, 9),
        now=NOW,
    )
    assert table["pressed"].start == NOW + 2 * HOUR
    assert table["patient"].start == NOW + 3 * HOUR


def test_upstream_jobs_leave_time_for_those_that_wait_for_them() -> None:
    prices = hourly(9, 9, 9, 9, 9, 9, 1, 1)
    both = [job("features", within=8), job("model", hours=2, within=8, after=("features",))]
    table = make_timetable(both, prices, now=NOW)
    assert table["features"].end <= table["model"].start
    assert not table["model"].late
    assert table["model"].start == NOW + 6 * HOUR


def test_jobs_share_the_capacity() -> None:
    jobs = [job("a", hours=2), job("b", hours=2), job("c", hours=2, cpus=0.5), job("d", cpus=0.5)]
    table = make_timetable(jobs, hourly(9, 9, 1, 1, 2, 2, 9, 9), now=NOW, capacity=1.0)
    hours = {name: (one.start / HOUR - NOW / HOUR, one.price) for name, one in table.items()}
    assert hours == {"a": (2, 1), "b": (4, 2), "c": (0, 9), "d": (0, 9)}
    # With room for two, and for halves beside wholes.
    table = make_timetable(jobs, hourly(9, 9, 1, 1, 2, 2, 9, 9), now=NOW, capacity=2.0)
    assert {name: one.price for name, one in table.items()} == {"a": 1, "b": 1, "c": 2, "d": 2}


def test_jobs_wait_for_several_others() -> None:
    first = [job("a"), job("b", within=3)]
    last = job("c", after=("a", "b", "a"))
    table = make_timetable([last, *first], hourly(5, 4, 3, 2, 1, 1, 1, 1), now=NOW, capacity=2)
    assert table["c"].start >= max(table["a"].end, table["b"].end)


def test_a_divisible_job_that_is_no_cheaper_in_parts_is_done_at_once() -> None:
    planned = make_timetable([job(hours=2, divisible=True)], hourly(1, 1, 1, 1), now=NOW)["a"]
    assert planned.spans == ((NOW, NOW + 2 * HOUR),)
    # Too few prices are known for all of its work.
    planned = make_timetable([job(hours=3, divisible=True)], hourly(1, 1), now=NOW)["a"]
    assert planned.lacks_prices


@pytest.mark.parametrize(
    ("after", "why"), [(("b",), "no job 'b'"), (("a",), "wait for each other: a")]
)
def test_impossible_orders_are_told(after: tuple[str, ...], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        make_timetable([job(after=after)], PriceCurve(), now=NOW)
