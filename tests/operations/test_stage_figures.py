"""Figures of stages and endpoints."""

from __future__ import annotations

from tests.operations.test_ledger_metrics import NOW, attempted, empty, folded, recorded
from tidemill.costs.price_history import PriceHistory
from tidemill.ledger.event import EnvironmentDropped, Event, RecordedEvent, Served
from tidemill.ledger.performance import Percentiles
from tidemill.ledger.price import Price, PriceBook
from tidemill.ledger.run import Outcome
from tidemill.ledger.usage import ServedUsage
from tidemill.operations.objective_settings import DAY
from tidemill.operations.stage_figures import (
    FiguresByStage,
    endpoint_figures,
    figures_by_day,
    figures_of,
    tally_attempts,
)
from tidemill.testing import records

PRICE = Price(cpu_hour=3600.0, currency="EUR")
BOOK = PriceBook(prices=(PRICE,))
# In Berlin.
FIRST, SECOND = "2001-09-09", "2001-09-10"


def test_by_stage_and_by_day() -> None:
    metrics = empty()
    metrics.book = BOOK
    for seq, day in enumerate((0, 1, 1, 5)):
        event = attempted(cpu_s=1.0, run=f"r{day}")
        metrics.note(RecordedEvent(seq=seq, at=NOW + day * DAY, event=event))
    metrics.note(RecordedEvent(seq=9, at=NOW, event=records.published_event(stage="b")))
    metrics.delays = {"a": {FIRST: {2.0: 1}, SECOND: {3.0: 5, 9.0: 1}}, "b": {SECOND: {3.0: 1}}}
    whole, other = FiguresByStage().read(metrics, SECOND, PRICE)
    assert (whole.performance.attempts, whole.performance.runs, whole.cost) == (3, 2, 3.0)
    assert (whole.delay, whole.watermark, whole.currency) == (
        Percentiles(p50=3, p95=9),
        None,
        "EUR",
    )
    assert (other.performance.stage, other.watermark) == ("b", NOW)
    days = figures_by_day(metrics, "a", FIRST, PRICE)
    assert [(day.key, day.performance.attempts) for day in days] == [
        (FIRST, 1), (SECOND, 2), ("2001-09-14", 1),
    ]  # fmt: skip
    assert [day.delay.p50 for day in days] == [2, 3, None]
    assert figures_by_day(metrics, "a", "2001-09-11", PRICE)[0].key == "2001-09-14"
    assert figures_by_day(metrics, "unknown", FIRST, PRICE) == []


def test_who_asks_again_gets_what_a_new_reader_gets() -> None:
    metrics, kept = empty(), FiguresByStage()
    metrics.book = BOOK
    events: tuple[Event, ...] = (
        records.run_started_event("r1"),
        attempted(run="r1", cpu_s=1.0),
        attempted(run="r1", stage="b", outcome=Outcome.FAILED),
        records.published_event(stage="b"),
        records.published_event(stage="b", partition="2001-09-09"),
        attempted(run="r1", stage="c"),
        records.removed_event(stage="b"),
        EnvironmentDropped(environment="prod"),
        attempted(run="r2", stage="b", cpu_s=5.0),
    )
    found = [kept.read(metrics, FIRST, PRICE)]
    for seq, event in enumerate(events, 1):
        metrics.note(RecordedEvent(seq=seq, at=NOW + seq * 3600, event=event))
        found.append(kept.read(metrics, FIRST, PRICE))
        assert found[-1] == FiguresByStage().read(metrics, FIRST, PRICE)
    # Some of what was told before is told again as it is.
    assert found[6][0] is found[5][0]
    assert kept.read(metrics, SECOND, PRICE) == FiguresByStage().read(metrics, SECOND, PRICE)


def test_by_partition() -> None:
    facts = recorded(
        attempted(partition="p"),
        attempted(partition="q", rows_out=5, cpu_s=2.0),
        attempted(partition="p"),
        attempted(partition="p", environment="dev"),
        records.removed_event(),
    )
    tallies = tally_attempts(
        facts,
        key=lambda event: event.attempt.partition,
        wanted=lambda fact, event: fact.seq > 1 and event.environment == "prod",
        prices=PriceHistory(books=((0, BOOK),)),
    )
    found = figures_of("a", tallies["a"], PRICE)
    assert [(each.key, each.performance.attempts) for each in found] == [("p", 1), ("q", 1)]
    assert [each.cost for each in found] == [0.0, 2.0]


def test_what_endpoints_served() -> None:
    usage = ServedUsage(
        endpoint="e", version="1", requests=10, rows=20, cpu_s=2, idle_cpu_s=0, memory_gb_s=0,
        wall_s=1, errors={"500": 1}, latency=(10,),
    )  # fmt: skip
    served = Served(
        environment="prod", since=NOW, until=NOW, usages=(usage,), cpu_hour=3600.0, currency="EUR"
    )
    metrics = folded(recorded(served))
    (found,) = endpoint_figures(metrics, FIRST, PRICE)
    assert (found.endpoint, found.requests, found.failed, found.rows, found.cost) == (
        "e",
        10,
        1,
        20,
        2,
    )
    assert found.p95 is not None
    assert found.p95 < 1e-3
    (none,) = endpoint_figures(metrics, SECOND, PRICE)
    assert (none.requests, none.p95) == (0, None)
