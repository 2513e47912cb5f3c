"""What is allocated is what was metered."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.core.local_day import local_day
from tidemill.costs.cost_line import CostLine
from tidemill.costs.ledger_costs import LedgerCosts, served_price
from tidemill.costs.price_history import price_histories
from tidemill.ledger.cost_events import PricesSet, StorageMetered
from tidemill.ledger.event import (
    Attempted,
    Event,
    RecordedEvent,
    RunEnded,
    RunStarted,
    Served,
    Settled,
)
from tidemill.ledger.price import Price, PriceBook
from tidemill.ledger.run import Action, Attempt, Outcome, Receipt, Status
from tidemill.ledger.usage import ServedUsage
from tidemill.testing.records import settled_event
from tidemill.workflow.memo import MemoUsage

DAY = 86_400.0
START = 1_350_000_000.0
ZONES = ("UTC", "Asia/Tokyo", "America/New_York", "Australia/Lord_Howe")
STAGES = ("sales", "features", "model", "mean ünïcode / odd")
ENVIRONMENTS = ("prod", "dev")
AMOUNTS = st.floats(0, 100) | st.just(0.0)


@st.composite
def books(draw: st.DrawFn) -> PriceBook:
    starts = sorted(draw(st.sets(st.floats(START, START + 9 * DAY), max_size=2)))
    prices = [
        Price(
            cpu_hour=draw(AMOUNTS),
            memory_gb_hour=draw(AMOUNTS),
            gpu_hour=draw(AMOUNTS),
            egress_gb=draw(AMOUNTS),
            storage_gb_month=draw(AMOUNTS),
            units={"tokens": draw(AMOUNTS)},
            currency=draw(st.sampled_from(("EUR", "USD"))),
            since=since,
        )
        for since in (None, *starts)
    ]
    return PriceBook(prices=tuple(prices))


@st.composite
def attempts(draw: st.DrawFn) -> Attempt:
    return Attempt(
        stage=draw(st.sampled_from(STAGES)),
        partition=draw(st.sampled_from(("2012-10-12", "*"))),
        action=draw(st.sampled_from(list(Action))),
        outcome=draw(st.sampled_from(list(Outcome))),
        wall_s=draw(st.floats(0, 1e4)),
        cpu_s=draw(st.floats(0, 1e4)),
        peak_rss=draw(st.integers(0, 10**10)),
        gpus=draw(st.integers(0, 2)),
        egress_bytes=draw(st.integers(0, 10**10)),
        units=draw(st.dictionaries(st.sampled_from(("tokens", "free")), st.floats(0, 1e6))),
        memo=draw(st.none() | st.builds(MemoUsage, spent=st.floats(0, 10))),
    )


USAGES = st.builds(
    ServedUsage,
    endpoint=st.sampled_from(("delays", "odd@name")),
    version=st.sampled_from(("one", "two")),
    requests=st.integers(0, 1000),
    rows=st.integers(0, 1000),
    cpu_s=st.floats(0, 1e4),
    idle_cpu_s=st.floats(0, 1e4),
    memory_gb_s=st.floats(0, 1e4),
    wall_s=st.floats(0, 1e4),
)


@dataclass
class History:
    """Events as a project records them, and a second account of what all of it costs."""

    facts: list[RecordedEvent] = field(default_factory=list)
    metered: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    now: float = START

    def record(self, event: Event) -> None:
        self.facts.append(RecordedEvent(seq=len(self.facts) + 1, at=self.now, event=event))


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Runs of several environments, one at a time in each, that end well, badly or never."""
    history = History()
    open_runs: dict[str, str] = {}
    for number in range(draw(st.integers(1, 25))):
        history.now += draw(st.floats(0, DAY))
        environment = draw(st.sampled_from(ENVIRONMENTS))
        run = open_runs.get(environment)
        kinds = ("run", "attempt", "attempt", "end", "prices", "serve", "store", "else")
        match draw(st.sampled_from(kinds)):
            case "run" if run is None:
                open_runs[environment] = f"run-{number}"
                history.record(_started(f"run-{number}", environment))
            case "attempt" if run is not None:
                for attempt in draw(st.lists(attempts(), max_size=3)):
                    history.record(Attempted(run=run, environment=environment, attempt=attempt))
            case "end" if run is not None:
                del open_runs[environment]
                history.record(_ended(draw, run))
            case kind:
                history.record(_apart_from_runs(draw, kind, environment, history.now))
    return history


def _apart_from_runs(draw: st.DrawFn, kind: str, environment: str, now: float) -> Event:
    match kind:
        case "prices":
            return PricesSet(environment=environment, book=draw(books()))
        case "serve":
            return _served(draw, environment, now, draw(st.lists(USAGES, max_size=2)))
        case "store":
            return _stored(draw, environment, now)
    return settled_event()


def _started(run: str, environment: str) -> RunStarted:
    return RunStarted(run=run, environment=environment, command="run", holder={}, steps=1)


def _ended(draw: st.DrawFn, run: str) -> RunEnded:
    status = draw(st.sampled_from((Status.OK, Status.FAILED, Status.LOST)))
    if status is Status.LOST:
        return RunEnded(run=run, status=status)
    receipt = Receipt(
        run=run, status=status, cpu_s=draw(st.floats(0, 1e5)), memory_gb_s=draw(st.floats(0, 1e5))
    )
    return RunEnded(run=run, status=status, receipt=receipt)


def _served(draw: st.DrawFn, environment: str, now: float, usages: list[ServedUsage]) -> Served:
    priced = draw(st.booleans())
    return Served(
        environment=environment,
        since=now - 60,
        until=now,
        usages=tuple(usages),
        cpu_hour=draw(AMOUNTS) if priced else 0.0,
        memory_gb_hour=draw(AMOUNTS) if priced else 0.0,
        currency="EUR" if priced else "",
    )


def _stored(draw: st.DrawFn, environment: str, now: float) -> StorageMetered:
    sizes = draw(st.dictionaries(st.sampled_from(STAGES), st.integers(0, 10**12), max_size=2))
    since = now + draw(st.floats(-9 * DAY, DAY))
    return StorageMetered(
        environment=environment, since=since, stages=sizes, shared=draw(st.integers(0, 10**12))
    )


def metered(history: History) -> dict[str, float]:
    """What everything costs, by currency, without looking at stages, days and environments."""
    found: dict[str, float] = defaultdict(float)
    for fact in history.facts:
        event: Any = fact.event
        match event:
            case RunStarted():
                price = _price_at(history, event.environment, fact.seq, fact.at)
                found[price.currency] += _run_cost(history, event.run, price)
            case StorageMetered():
                price = _price_at(history, event.environment, fact.seq, fact.at)
                kept = sum(event.stages.values()) + event.shared
                months = kept / 1e9 * max(0.0, fact.at - event.since) / (730 * 3600)
                found[price.currency] += months * price.storage_gb_month
            case Served():
                own = Price(
                    cpu_hour=event.cpu_hour,
                    memory_gb_hour=event.memory_gb_hour,
                    currency=event.currency,
                )
                book = _price_at(history, event.environment, fact.seq, event.until)
                price = own if own.cpu_hour or own.memory_gb_hour else book
                for usage in event.usages:
                    cpu = usage.cpu_s + usage.idle_cpu_s
                    found[price.currency] += price.of(cpu, usage.memory_gb_s)
    return found


def _price_at(history: History, environment: str, seq: int, at: float) -> Price:
    every = [(f.seq, f.event) for f in history.facts if isinstance(f.event, PricesSet)]
    own = [(number, event.book) for number, event in every if event.environment == environment]
    if not own:
        return (every[0][1].book if every else PriceBook()).at(at)
    return max((one for one in own if one[0] <= seq), key=lambda one: one[0], default=own[0])[1].at(
        at
    )


def _run_cost(history: History, run: str, price: Price) -> float:
    mine: list[Any] = [f.event for f in history.facts if getattr(f.event, "run", "") == run]
    tried = [event.attempt for event in mine if isinstance(event, Attempted)]
    cpu = sum(each.cpu_s for each in tried)
    memory = sum(each.peak_rss * each.wall_s / 1e9 for each in tried)
    ends = [event.receipt for event in mine if isinstance(event, RunEnded) and event.receipt]
    for receipt in ends:
        cpu, memory = max(cpu, receipt.cpu_s), max(memory, receipt.memory_gb_s)
    return (
        cpu * price.cpu_hour / 3600
        + memory * price.memory_gb_hour / 3600
        + sum(each.gpus * each.wall_s for each in tried) * price.gpu_hour / 3600
        + sum(each.egress_bytes for each in tried) / 1e9 * price.egress_gb
        + sum(each.units.get("tokens", 0.0) for each in tried) * price.units.get("tokens", 0.0)
        + sum(each.memo.spent for each in tried if each.memo is not None)
    )


def read(history: History, zone: str = "UTC", settings: PriceBook | None = None) -> LedgerCosts:
    prices = price_histories(history.facts, settings or PriceBook())
    costs = LedgerCosts(zone=zone)
    for fact in history.facts:
        costs.note(fact, prices)
    return costs


def lines(costs: LedgerCosts) -> dict[tuple[str, str, str, str], CostLine]:
    return {
        (environment, day, kind, name): line
        for environment, days in costs.days.items()
        for day, kinds in days.items()
        for kind, named in kinds.items()
        for name, line in named.items()
    }


@given(histories(), st.sampled_from(ZONES))
def test_what_is_allocated_is_what_was_metered(history: History, zone: str) -> None:
    expected = metered(history)
    found: dict[str, float] = defaultdict(float)
    for line in lines(read(history, zone)).values():
        for currency, amount in line.amounts.items():
            found[currency] += amount
    for currency in {*expected, *found}:
        assert found[currency] == pytest.approx(expected[currency], rel=1e-9, abs=1e-9)


@given(histories(), st.sampled_from(ZONES), st.data())
def test_reading_may_stop_and_go_on_anywhere(
    history: History, zone: str, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(history.facts)))
    prices = price_histories(history.facts, PriceBook())
    costs = LedgerCosts(zone=zone)
    for fact in history.facts[:at]:
        costs.note(fact, prices)
    kept = msgspec.msgpack.decode(msgspec.msgpack.encode(costs), type=LedgerCosts)
    for fact in history.facts[at:]:
        kept.note(fact, prices)
    assert kept == read(history, zone)


@given(histories(), st.sampled_from(ZONES))
def test_shares_are_parts_of_what_is_allocated(history: History, zone: str) -> None:
    for line in lines(read(history, zone)).values():
        for part in (line.shared, line.failed):
            assert all(
                -1e-9 <= amount <= line.amounts[currency] + 1e-9
                for currency, amount in part.items()
            )


def attempt(stage: str = "sales", **changes: Any) -> Attempt:
    given_fields = {"partition": "*", "action": Action.RUN, "outcome": Outcome.OK} | changes
    return Attempt(stage=stage, **given_fields)


def recorded(*events: tuple[float, Event]) -> History:
    history = History()
    for at, event in events:
        history.now = at
        history.record(event)
    return history


BOOK = PriceBook(prices=(Price(cpu_hour=3600.0, currency="EUR"),))


def test_what_never_began_is_no_attempt() -> None:
    outcomes = [
        (Outcome.SKIPPED, 0.0),
        (Outcome.STOPPED, 0.0),
        (Outcome.STOPPED, 2.0),
        (Outcome.OK, 0.0),
    ]
    tried = [
        (2.0, Attempted(run="a", environment="prod", attempt=attempt(outcome=each, wall_s=wall)))
        for each, wall in outcomes
    ]
    found = lines(read(recorded((1.0, _started("a", "prod")), *tried)))
    assert found["prod", "1970-01-01", "stage", "sales"].events == 2


def test_what_a_run_uses_beside_its_steps_is_divided_among_them() -> None:
    receipt = Receipt(run="a", status=Status.OK, cpu_s=10.0)
    history = recorded(
        (1.0, PricesSet(environment="prod", book=BOOK)),
        (1.0, _started("a", "prod")),
        (2.0, Attempted(run="a", environment="prod", attempt=attempt("sales", cpu_s=3.0))),
        (2.0, Attempted(run="a", environment="prod", attempt=attempt("features", cpu_s=1.0))),
        (DAY + 1.0, RunEnded(run="a", status=Status.OK, receipt=receipt)),
    )
    found = {key[1:]: line for key, line in lines(read(history)).items()}
    assert {key: line.amounts["EUR"] for key, line in found.items()} == {
        ("1970-01-01", "stage", "sales"): 3.0,
        ("1970-01-01", "stage", "features"): 1.0,
        ("1970-01-02", "stage", "sales"): pytest.approx(4.5),
        ("1970-01-02", "stage", "features"): pytest.approx(1.5),
    }
    assert found["1970-01-02", "stage", "sales"].shared["EUR"] == pytest.approx(4.5)
    assert found["1970-01-01", "stage", "sales"].events == 1


def test_a_run_without_steps_costs_something_of_its_own() -> None:
    receipt = Receipt(run="a", status=Status.OK, cpu_s=10.0)
    history = recorded(
        (1.0, _started("a", "prod")),
        (2.0, RunEnded(run="a", status=Status.OK, receipt=receipt)),
        # Its process died, and nothing more is known.
        (3.0, _started("b", "prod")),
        (4.0, RunEnded(run="b", status=Status.LOST)),
        (5.0, _started("c", "prod")),
        (6.0, RunEnded(run="c", status=Status.OK, receipt=Receipt(run="c", status=Status.OK))),
    )
    found = lines(read(history, settings=BOOK))
    assert [(key, line.amounts) for key, line in found.items()] == [
        (("prod", "1970-01-01", "run", ""), {"EUR": 10.0})
    ]


def test_a_run_costs_what_prices_were_when_it_began() -> None:
    later = PriceBook(prices=(Price(cpu_hour=7200.0, currency="USD"),))
    history = recorded(
        (1.0, _started("a", "prod")),
        (2.0, PricesSet(environment="prod", book=BOOK)),
        (3.0, PricesSet(environment="prod", book=later)),
        (4.0, Attempted(run="a", environment="prod", attempt=attempt(cpu_s=1.0))),
        (5.0, RunEnded(run="a", status=Status.LOST)),
        (6.0, Attempted(run="unknown", environment="prod", attempt=attempt(cpu_s=1.0))),
    )
    (line,) = lines(read(history)).values()
    # The first recorded prices count before them; a run that is not known pays those of the moment.
    assert line.amounts == {"EUR": 1.0, "USD": 2.0}


def test_trained_stages_and_failures_are_known() -> None:
    tried = [
        attempt("model", action=Action.TRAIN, cpu_s=1.0),
        attempt("other", action=Action.TRIAL, cpu_s=1.0, outcome=Outcome.FAILED),
    ]
    history = recorded(*((1.0, Attempted(run="a", environment="prod", attempt=a)) for a in tried))
    costs = read(history, settings=BOOK)
    assert costs.models == {"model", "other"}
    assert [line.failed for line in lines(costs).values()] == [{}, {"EUR": 1.0}]


def test_what_is_served_has_prices_of_its_own() -> None:
    usage = ServedUsage(
        endpoint="delays", version="one", requests=1, rows=5, cpu_s=1.0, idle_cpu_s=2.0,
        memory_gb_s=0.0, wall_s=1.0,
    )  # fmt: skip
    served = Served(environment="prod", since=0, until=1.0, usages=(usage,), cpu_hour=3600.0)
    recorded_price = Price(cpu_hour=1.0, currency="EUR")
    assert served_price(served, recorded_price) == Price(cpu_hour=3600.0, currency="EUR")
    assert served_price(replace(served, cpu_hour=0.0), recorded_price) == recorded_price
    (line,) = lines(read(recorded((1.0, served)))).values()
    assert (line.amounts, line.shared, line.rows, line.events) == ({"USD": 3.0}, {"USD": 2.0}, 5, 1)


def test_days_are_those_of_a_zone() -> None:
    history = recorded(
        (START, Attempted(run="a", environment="prod", attempt=attempt(cpu_s=1.0))),
        (START, Settled(environment="prod", stage="sales", mark=settled_event().mark)),
    )
    for zone in ZONES:
        costs = read(history, zone)
        assert {*costs.days["prod"]} == {local_day(START, zone)}
        assert (costs.events, costs.seq) == (1, 2)


def test_estimates_of_successful_runs_are_remembered() -> None:
    events: list[tuple[float, Event]] = []
    for number in range(60):
        run, status = f"r{number}", Status.OK if number else Status.FAILED
        estimate = None if number == 1 else float(number)
        receipt = Receipt(run=run, status=status, cost=1.0, estimated_cost=estimate)
        events += [(1.0, _started(run, "prod"))]
        events += [(2.0, RunEnded(run=run, status=status, receipt=receipt))]
    found = read(recorded(*events)).estimates
    assert found == {"prod": [(2.0, float(number), 1.0) for number in range(10, 60)]}
