"""Reading the sums of a scorecard in parts: by another process, out of a kept file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scorecard.test_inference_report import PRICE, READS, ZONE, charged, histories
from tidemill.core.errors import UsageError
from tidemill.costs.price_history import PriceHistories
from tidemill.ledger.cost_events import PricesSet
from tidemill.ledger.event import Event, RecordedEvent, Served
from tidemill.ledger.price import PriceBook
from tidemill.ledger.run import Action
from tidemill.scorecard.freshness_report import report_freshness
from tidemill.scorecard.inference_report import inference_report
from tidemill.scorecard.io import scorecard_reader
from tidemill.scorecard.io.scorecard_reader import ScorecardReader
from tidemill.scorecard.scorecard_sums import HORIZON_S, ScorecardSums, empty_sums
from tidemill.testing import records
from tidemill.testing.doubles import MemoryLedger

NOW = 1_000_000_000.0
BOOK = PriceBook(prices=(PRICE,))


def empty(zone: str = ZONE) -> ScorecardSums:
    return empty_sums("prod", zone, "EUR")


def reader(ledger: MemoryLedger, kept: Path | None = None) -> ScorecardReader:
    return ScorecardReader(ledger, empty(), BOOK, kept)


# What histories don't have.
OTHERS = [
    event
    for event in records.events_of_every_kind()
    if type(event).__name__
    in (
        "ChangesSeen",
        "Settled",
        "Removed",
        "DriftAlarmed",
        "DriftJudged",
        "Decided",
        "RolloutStepped",
    )
]
DAY = 86_400.0


def moved(event: Event, by: float) -> Event:
    if isinstance(event, Served):
        return replace(event, since=event.since + by, until=event.until + by)
    return event


@st.composite
def long_histories(draw: st.DrawFn, longest: int) -> list[tuple[float, Event]]:
    """Events of all kinds, with pauses of up to so many days between the first ones."""
    found, later = [], 0.0
    for number, fact in enumerate(draw(histories())):
        found.append((fact.at + later, moved(fact.event, later)))
        if draw(st.integers(0, 3)) == 0:
            found.append((fact.at + later, draw(st.sampled_from(OTHERS))))
        if number % 7 == 3:
            later += draw(st.sampled_from([0, 0, longest])) * DAY
    return found


def both_ways(
    folder: Path, events: list[tuple[float, Event]], stops: list[bool]
) -> tuple[ScorecardSums, ScorecardSums]:
    """The sums that were kept while the events happened, and those from the ledger."""
    ledger, kept = MemoryLedger(), folder / "kept.bin"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scorecard_reader, "_WORTH_KEEPING", 1)
        for number, (at, event) in enumerate(events):
            ledger.append([event], now=at)
            if stops[number % len(stops)]:
                reader(ledger, kept).read(at)
        now = events[-1][0]
        return reader(ledger, kept).read(now), reader(ledger).read(now)


STOPS = st.lists(st.booleans(), min_size=5, max_size=5)


@settings(max_examples=30)
@given(long_histories(0), STOPS)
def test_reading_in_parts_gives_the_same(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[float, Event]], stops: list[bool]
) -> None:
    found, rebuilt = both_ways(tmp_path_factory.mktemp("sums"), events, stops)
    assert found == rebuilt


@settings(max_examples=30)
@given(long_histories(230), STOPS)
def test_what_is_older_than_all_that_is_read_counts_as_before(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[float, Event]], stops: list[bool]
) -> None:
    """What is live or read now may have been made long ago."""
    now = events[-1][0]
    within = dict.fromkeys(READS, 2 * DAY)
    kept, rebuilt = (
        (
            [
                (charged(report), report.total.predictions)
                for days in (28, 90)
                for report in (inference_report(sums.costs, now - days * DAY, now, now),)
            ],
            [report_freshness(sums.ages, now, days * DAY, within) for days in (28, 90)],
        )
        for sums in both_ways(tmp_path_factory.mktemp("sums"), events, stops)
    )
    assert kept == rebuilt


def test_a_new_environment_throws_nothing_away(tmp_path: Path) -> None:
    ledger, kept = MemoryLedger(), tmp_path / "kept.bin"
    ledger.append([PricesSet(environment="prod", book=BOOK)], now=NOW)
    ledger.append([records.attempted_event(cpu_s=1.0) for _ in range(300)], now=NOW)
    own = reader(ledger, kept)
    first = own.read(NOW)
    dearer = PriceBook(prices=(replace(PRICE, cpu_hour=9.0),))
    for name in ("dev-a", "dev-b"):
        ledger.append(
            [
                PricesSet(environment=name, book=dearer),
                records.attempted_event("m1", environment=name, action=Action.TRAIN, cpu_s=1.0),
            ],
            now=NOW,
        )
        assert own.read(NOW) is first
        assert reader(ledger, kept).read(NOW) == first


def test_other_prices_for_what_was_read_read_it_again(tmp_path: Path) -> None:
    ledger, kept = MemoryLedger(), tmp_path / "kept.bin"
    ledger.append([records.attempted_event(cpu_s=1.0) for _ in range(300)], now=NOW)
    own = reader(ledger, kept)
    (cost,) = own.read(NOW).costs.work["features"].values()
    assert cost.spent == 300_000_000
    dearer = PriceBook(prices=(replace(PRICE, cpu_hour=7.2),))
    ledger.append([PricesSet(environment="prod", book=dearer)], now=NOW)
    for each in (own, reader(ledger, kept)):
        (cost,) = each.read(NOW).costs.work["features"].values()
        assert cost.spent == 600_000_000


def test_only_new_events_are_read(tmp_path: Path) -> None:
    ledger, kept = MemoryLedger(), tmp_path / "home" / "kept.bin"
    ledger.append([records.attempted_event(cpu_s=1.0) for _ in range(300)], now=NOW)
    own = reader(ledger, kept)
    assert own.read(NOW).events == 300
    ledger.append([records.attempted_event(cpu_s=1.0)], now=NOW)
    assert own.read(NOW).events == 301
    assert reader(ledger, kept).read(NOW).events == 301


@pytest.mark.parametrize("change", ["zone", "another ledger", "damage"])
def test_what_does_not_fit_is_read_again(tmp_path: Path, change: str) -> None:
    ledger, kept = MemoryLedger(), tmp_path / "kept.bin"
    ledger.append([records.attempted_event(cpu_s=1.0) for _ in range(300)], now=NOW)
    reader(ledger, kept).read(NOW)
    if change == "damage":
        kept.write_bytes(b"nothing")
    if change == "another ledger":
        ledger = MemoryLedger()
        ledger.append([records.attempted_event(cpu_s=1.0) for _ in range(7)], now=NOW)
    sums = empty("UTC" if change == "zone" else ZONE)
    found = ScorecardReader(ledger, sums, BOOK, kept).read(NOW)
    assert found.events == (7 if change == "another ledger" else 300)


def test_a_long_history_that_is_interrupted_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scorecard_reader, "_SAVED_AT", 100)
    ledger, kept = MemoryLedger(), tmp_path / "kept.bin"
    ledger.append([records.attempted_event(cpu_s=1.0) for _ in range(350)], now=NOW)
    add = ScorecardSums.add

    def interrupt(own: ScorecardSums, fact: RecordedEvent, prices: PriceHistories) -> None:
        if fact.seq > 250:
            raise KeyboardInterrupt
        add(own, fact, prices)

    with monkeypatch.context() as patch:
        patch.setattr(ScorecardSums, "add", interrupt)
        with pytest.raises(KeyboardInterrupt):
            reader(ledger, kept).read(NOW)
    found = reader(ledger, kept).read(NOW)
    assert found.events == 350
    assert sum(day.spent for day in found.costs.work["features"].values()) == 350_000_000


def test_a_clock_that_ran_ahead_makes_it_forget_nothing() -> None:
    ledger = MemoryLedger()
    ledger.append([records.attempted_event(cpu_s=1.0)], now=NOW)
    own = reader(ledger)
    own.read(NOW)
    assert own.read(NOW + 10 * HORIZON_S).costs.work


def test_an_unknown_zone() -> None:
    with pytest.raises(UsageError, match="is not a time zone"):
        ScorecardReader(MemoryLedger(), empty("Mars/Olympus"), BOOK)
