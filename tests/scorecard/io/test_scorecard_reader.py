"""Reading the sums of a scorecard in parts: by another process, out of a kept file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scorecard.test_inference_report import PRICE, ZONE, histories
from tidemill.core.errors import UsageError
from tidemill.costs.price_history import PriceHistories
from tidemill.ledger.event import RecordedEvent
from tidemill.ledger.price import PriceBook
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


@settings(max_examples=30)
@given(histories(), st.lists(st.booleans(), min_size=5, max_size=5))
def test_reading_in_parts_gives_the_same(
    tmp_path_factory: pytest.TempPathFactory, facts: list[RecordedEvent], stops: list[bool]
) -> None:
    ledger = MemoryLedger()
    kept = tmp_path_factory.mktemp("sums") / "kept.bin"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scorecard_reader, "_WORTH_KEEPING", 1)
        for number, fact in enumerate(facts):
            ledger.append([fact.event], now=fact.at)
            if stops[number % len(stops)]:
                reader(ledger, kept).read(fact.at)
        now = facts[-1].at
        found = reader(ledger, kept).read(now)
    kept.unlink(missing_ok=True)
    assert found.costs == reader(ledger, kept).read(now).costs


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
