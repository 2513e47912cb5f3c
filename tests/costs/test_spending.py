"""What environments spent, by their events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.costs.budget import BudgetPeriod, SpendingBudget, month_of
from tidemill.costs.price_history import price_histories
from tidemill.costs.spending import SPENDING_EVENTS, Spending
from tidemill.ledger.cost_events import PricesSet
from tidemill.ledger.event import (
    Attempted,
    EnvironmentCreated,
    EnvironmentDropped,
    Event,
    RecordedEvent,
    RunEnded,
    RunStarted,
)
from tidemill.ledger.price import Price, PriceBook
from tidemill.ledger.run import Attempt, Outcome, Receipt, Status
from tidemill.testing import records
from tidemill.workflow.memo import MemoUsage
from tidemill.workflow.spending_limit import SpendingLimit

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC).timestamp()
DAY = 86_400.0
LIMIT = SpendingLimit(amount=1.0, in_cpu_hours=True)
MONEY = SpendingLimit(amount=1.0)


def month(environment: str = "") -> SpendingBudget:
    return SpendingBudget(setting="x", limit=LIMIT, environment=environment)


def total(environment: str) -> SpendingBudget:
    return SpendingBudget(
        setting="x", limit=LIMIT, environment=environment, period=BudgetPeriod.TOTAL
    )


def attempted(
    cpu_s: float, environment: str = "dev", run: str = "r", outcome: Outcome = Outcome.OK
) -> Attempted:
    attempt = Attempt(stage="a", partition="", action="run", outcome=outcome, cpu_s=cpu_s)
    return Attempted(run=run, environment=environment, attempt=attempt)


def started(run: str = "r", environment: str = "dev") -> RunStarted:
    return RunStarted(run=run, environment=environment, command="", holder={}, steps=1)


def ended(cpu_s: float | None, run: str = "r", status: Status = Status.OK) -> RunEnded:
    receipt = None if cpu_s is None else Receipt(run=run, status=status, cpu_s=cpu_s)
    return RunEnded(run=run, status=status, receipt=receipt)


def spending(events: Iterable[tuple[float, Event]], zone: str = "UTC") -> Spending:
    found = Spending(zone=zone)
    facts = [
        RecordedEvent(seq=seq, at=at, event=event) for seq, (at, event) in enumerate(events, 1)
    ]
    prices = price_histories(facts, PriceBook())
    for fact in facts:
        found.note(fact, prices)
    return found


def cpu_s_of(found: Spending, budget: SpendingBudget, now: float) -> float:
    return round(3_600 * found.of(budget, now, "EUR"), 6)


def test_a_run_counts_with_all_that_it_used() -> None:
    events: list[Event] = [
        started(),
        attempted(2.0, outcome=Outcome.FAILED),
        attempted(3.0, outcome=Outcome.STOPPED),
        attempted(4.0),
        ended(11.0),
    ]
    found = spending((NOW, event) for event in events)
    assert cpu_s_of(found, total("dev"), NOW) == 11.0
    assert cpu_s_of(found, month("dev"), NOW) == 11.0
    assert cpu_s_of(found, month(), NOW) == 11.0
    assert found.of(total("prod"), NOW, "EUR") == 0
    assert not found.open_runs


@pytest.mark.parametrize(
    ("end", "cpu_s"),
    [
        # A run whose process died counts with what it recorded.
        (ended(None, status=Status.LOST), 2.0),
        (ended(None), 2.0),
        # Clocks of threads and processes may differ a little.
        (ended(1.9), 2.0),
        (ended(5.0, run="another"), 2.0),
    ],
)
def test_ends_of_runs(end: RunEnded, cpu_s: float) -> None:
    found = spending((NOW, event) for event in (started(), attempted(2.0), end))
    assert cpu_s_of(found, total("dev"), NOW) == cpu_s


def test_memory_and_memos_cost_money() -> None:
    attempt = Attempt(
        stage="a",
        partition="",
        action="run",
        outcome=Outcome.OK,
        wall_s=1_800.0,
        peak_rss=2_000_000_000,
        memo=MemoUsage(spent=0.5),
    )
    price = Price(memory_gb_hour=3.0, currency="EUR")
    found = spending(
        [
            (NOW, PricesSet(environment="dev", book=PriceBook(prices=(price,)))),
            (NOW, Attempted(run="r", environment="dev", attempt=attempt)),
        ]
    )
    assert found.of(replace(total("dev"), limit=MONEY), NOW, "EUR") == 3.5


def test_the_memory_of_the_run_itself_counts() -> None:
    price = Price(memory_gb_hour=1.0, currency="EUR")
    receipt = Receipt(run="r", status=Status.OK, memory_gb_s=7_200.0)
    found = spending(
        [
            (NOW, PricesSet(environment="dev", book=PriceBook(prices=(price,)))),
            (NOW, started()),
            (NOW, RunEnded(run="r", status=Status.OK, receipt=receipt)),
        ]
    )
    assert found.of(replace(total("dev"), limit=MONEY), NOW, "EUR") == 2.0


def test_what_was_served_counts_where_it_ended() -> None:
    event = records.served_event(environment="prod")
    found = spending([(NOW, event)])
    months = found.months["prod"]
    assert [*months] == [month_of(event.until, "UTC")]
    used = sum(each.cpu_s + each.idle_cpu_s for each in event.usages)
    assert months[month_of(event.until, "UTC")].cpu_s == pytest.approx(used)


def test_a_new_environment_of_the_same_name_begins_again() -> None:
    events: list[Event] = [
        attempted(2.0),
        EnvironmentDropped(environment="dev"),
        EnvironmentCreated(environment="dev"),
        attempted(3.0),
    ]
    found = spending((NOW, event) for event in events)
    assert cpu_s_of(found, total("dev"), NOW) == 3.0
    # The month has both.
    assert cpu_s_of(found, month("dev"), NOW) == 5.0
    assert (found.seq, found.events) == (4, 3)


def test_months_are_those_of_the_zone() -> None:
    new_year = datetime(2025, 12, 31, 20, tzinfo=UTC).timestamp()
    events = [(new_year, attempted(1.0))]
    assert cpu_s_of(spending(events, "Asia/Tokyo"), month(), new_year + DAY) == 1.0
    assert cpu_s_of(spending(events, "UTC"), month(), new_year + DAY) == 0


def test_old_months_are_forgotten() -> None:
    events = [(NOW + number * 31 * DAY, attempted(1.0)) for number in range(40)]
    found = spending(events)
    assert len(found.months["dev"]) == 14
    assert cpu_s_of(found, total("dev"), NOW) == 40.0


@dataclass
class Naive:
    """All spending as (environment, time, CPU seconds)."""

    rows: list[tuple[str, float, float]] = field(default_factory=list)


RUNS = st.lists(
    st.tuples(
        st.sampled_from(["prod", "dev", "qa"]),
        st.lists(st.integers(min_value=0, max_value=9), max_size=4),
        st.integers(min_value=0, max_value=9),
        st.booleans(),
        st.floats(min_value=0.0, max_value=20 * DAY),
    ),
    max_size=12,
)


@given(RUNS)
def test_sums_equal_what_each_run_used(
    runs: list[tuple[str, list[int], int, bool, float]],
) -> None:
    at, events, naive = NOW, list[tuple[float, Event]](), Naive()
    for number, (environment, steps, beside, is_lost, later) in enumerate(runs):
        at += later
        run = f"run-{number}"
        events.append((at, started(run, environment)))
        for cpu_s in steps:
            at += 60.0
            events.append((at, attempted(float(cpu_s), environment, run)))
            naive.rows.append((environment, at, float(cpu_s)))
        at += 60.0
        events.append((at, ended(None if is_lost else float(sum(steps) + beside), run)))
        naive.rows.append((environment, at, 0.0 if is_lost else float(beside)))
    found = spending(events)
    for environment in ("prod", "dev", "qa"):
        whole = sum(cpu for name, _, cpu in naive.rows if name == environment)
        assert cpu_s_of(found, total(environment), at) == pytest.approx(whole)
    now = month_of(at, "UTC")
    this_month = sum(cpu for _, when, cpu in naive.rows if month_of(when, "UTC") == now)
    assert cpu_s_of(found, month(), at) == pytest.approx(this_month)


def prices(cpu_hour: float, currency: str = "EUR", environment: str = "dev") -> PricesSet:
    price = Price(cpu_hour=cpu_hour, currency=currency)
    return PricesSet(environment=environment, book=PriceBook(prices=(price,)))


def test_work_costs_what_it_cost_then() -> None:
    hour = 3_600.0
    found = spending(
        (NOW, event)
        for event in (
            prices(2.0),
            attempted(hour),
            prices(3.0),
            prices(9.0, environment="prod"),
            attempted(hour),
            prices(5.0, "USD"),
            attempted(hour),
        )
    )
    whole = SpendingBudget(setting="x", limit=MONEY, environment="dev", period=BudgetPeriod.TOTAL)
    assert found.of(whole, NOW, "EUR") == 5.0
    assert found.of(whole, NOW, "USD") == 5.0
    assert found.other_currencies(whole, NOW, "USD") == {"EUR": 5.0}
    assert found.other_currencies(whole, NOW, "GBP") == {"EUR": 5.0, "USD": 5.0}
    assert found.other_currencies(replace(whole, limit=LIMIT), NOW, "USD") == {}
    assert found.of(whole, NOW, "CHF") == 0.0


def test_a_run_costs_what_the_prices_were_when_it_began() -> None:
    events: list[Event] = [prices(2.0), started(), prices(9.0), attempted(3_600.0), ended(7_200.0)]
    found = spending((NOW, event) for event in events)
    assert found.of(replace(total("dev"), limit=MONEY), NOW, "EUR") == 4.0


def test_the_kinds_of_events() -> None:
    assert SPENDING_EVENTS == (
        "Attempted",
        "EnvironmentCreated",
        "RunEnded",
        "RunStarted",
        "Served",
    )
