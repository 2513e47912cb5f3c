"""Sums of what was spent, which are kept between commands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.costs.test_ledger_costs import ENVIRONMENTS, ZONES, History, books, histories
from tidemill.costs.cost_line import CostLine, LineKind
from tidemill.costs.ledger_costs import DayLines, LedgerCosts
from tidemill.costs.price_history import price_histories
from tidemill.costs.spending import Spending
from tidemill.ledger.event import Event, RecordedEvent, Served
from tidemill.ledger.price import Price, PriceBook
from tidemill.ledger.run import Action
from tidemill.ledger.usage import ServedUsage
from tidemill.scorecard.inference_costs import NANO, InferenceCosts, ServedDay, WorkDay
from tidemill.testing import records

PRICES = price_histories((), PriceBook(prices=(Price(cpu_hour=3_600.0),)))
NOW = 1_000_000_000.0  # 2001-09-09 in UTC
DAY = 86_400.0


def empty() -> InferenceCosts:
    return InferenceCosts(environment="prod", zone="UTC", currency="USD")


def test_what_is_noted() -> None:
    usage = ServedUsage(
        endpoint="e", version="v", requests=2, rows=3, cpu_s=4.0, idle_cpu_s=5.0, memory_gb_s=6.0, wall_s=1.0
    )  # fmt: skip
    served = Served(
        environment="prod", since=NOW - 60, until=NOW, usages=(usage,), cpu_hour=3_600.0
    )
    elsewhere = Served(environment="dev", since=NOW - 60, until=NOW, usages=(usage,), cpu_hour=1.0)
    events: tuple[Event, ...] = (
        served,
        elsewhere,
        records.attempted_event("a", cpu_s=2.0, rows_out=7),
        records.attempted_event("a", cpu_s=2.0, environment="dev"),
        records.attempted_event("m", cpu_s=1.0, environment="dev", action=Action.TRAIN),
        records.removed_event(),
    )
    costs = empty()
    for seq, event in enumerate(events):
        costs.add(RecordedEvent(seq=seq, at=NOW, event=event), PRICES)
    day = "2001-09-09"
    assert costs.served == {
        "e": {"v": {day: ServedDay(predictions=3, serving=4 * 10**9, idle=5 * 10**9)}}
    }
    assert costs.work == {"a": {day: WorkDay(spent=2 * 10**9, rows=7)}}
    assert costs.trainings["m"]["run-1"].foreign
    costs.prune("2001-09-10")
    assert (costs.served, costs.work, costs.trainings) == ({"e": {}}, {}, {"m": {}})


def test_the_training_of_a_live_version_is_kept() -> None:
    costs = empty()
    product = records.product()
    trained = records.model_artifact("one")
    events: tuple[Event, ...] = (
        records.attempted_event("delay_model", run="run-1", action=Action.TRAIN, cpu_s=1.0),
        records.published_event(
            stage=trained.stage,
            bound=records.binding(
                output=type(product)(content="one", artifact=trained), run="run-1"
            ),
        ),
        records.delivered_event("one"),
    )
    for seq, event in enumerate(events):
        costs.add(RecordedEvent(seq=seq, at=NOW, event=event), PRICES)
    costs.prune("2001-12-31")
    assert [*costs.trainings["delay_model"]] == ["run-1"]
    other = records.delivered_event("two")
    costs.add(RecordedEvent(seq=9, at=NOW + DAY, event=other), PRICES)
    costs.prune("2001-12-31")
    assert costs.trainings["delay_model"] == {}


@settings(max_examples=40)
@given(histories(), books(), st.sampled_from(ZONES))
def test_all_sums_agree(history: History, book: PriceBook, zone: str) -> None:
    prices = price_histories(history.facts, book)
    costs, spending = LedgerCosts(zone=zone), Spending(zone=zone)
    own = {
        (name, currency): InferenceCosts(environment=name, zone=zone, currency=currency)
        for name in ENVIRONMENTS
        for currency in ("EUR", "USD")
    }
    for fact in history.facts:
        costs.note(fact, prices)
        spending.note(fact, prices)
        for each in own.values():
            each.add(fact, prices)
    for (name, currency), each in own.items():
        lines = costs.days.get(name, {})
        found = _by_month(lines, currency, stored=False)
        months = spending.months.get(name, {})
        assert {month: months[month].money.get(currency, 0.0) for month in found} == near(found)
        assert not any(
            money.money.get(currency) for month, money in months.items() if month not in found
        )
        assert _without_storage(each) / NANO == near(sum(found.values()))
        stored = sum(day.stored for days in each.work.values() for day in days.values())
        assert stored / NANO == near(sum(_by_month(lines, currency, stored=True).values()))
    for name, total in spending.totals.items():
        used = [line.used.cpu_s for _, line in _lines(costs.days[name])]
        assert total.cpu_s == near(sum(used))


def near(expected: Any) -> Any:
    # Sums of billionths are rounded, each by half of one.
    return pytest.approx(expected, rel=1e-9, abs=1e-6)


def _lines(days: Mapping[str, DayLines]) -> Iterator[tuple[tuple[str, str], CostLine]]:
    for day, kinds in days.items():
        for kind, lines in kinds.items():
            for line in lines.values():
                yield (day, kind), line


def _by_month(days: Mapping[str, DayLines], currency: str, *, stored: bool) -> dict[str, float]:
    found: dict[str, float] = {}
    for (day, kind), line in _lines(days):
        if (kind == LineKind.STORAGE) is stored:
            found[day[:7]] = found.get(day[:7], 0.0) + line.amounts.get(currency, 0.0)
    return found


def _without_storage(own: InferenceCosts) -> int:
    served = [
        day for each in own.served.values() for days in each.values() for day in days.values()
    ]
    worked = [day.spent for days in own.work.values() for day in days.values()]
    trained = [
        amount
        for runs in own.trainings.values()
        for each in runs.values()
        if not each.foreign
        for amount in each.days.values()
    ]
    return sum(day.serving + day.idle for day in served) + sum(worked) + sum(trained)
