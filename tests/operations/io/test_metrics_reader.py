"""Reading metrics in parts: from another moment, by another process, out of a kept file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.operations.test_ledger_metrics import (
    HISTORIES,
    NOW,
    OBJECTIVES,
    attempted,
)
from tidemill.core.errors import UsageError
from tidemill.costs.price_history import PriceHistory
from tidemill.ledger.cost_events import PricesSet
from tidemill.ledger.event import Event, RecordedEvent
from tidemill.ledger.price import Price, PriceBook
from tidemill.operations.io import metrics_reader
from tidemill.operations.io.metrics_reader import MetricsReader, find_window
from tidemill.operations.ledger_metrics import HORIZON_S, LedgerMetrics
from tidemill.testing import records
from tidemill.testing.doubles import MemoryLedger

HOUR = 3600.0


def reader(ledger: MemoryLedger, kept: Path | None = None, zone: str = "UTC") -> MetricsReader:
    return MetricsReader(ledger, "prod", zone=zone, objectives=OBJECTIVES, kept=kept)


@settings(max_examples=25)
@given(HISTORIES, st.data())
def test_parts_give_what_all_at_once_gives(
    tmp_path_factory: pytest.TempPathFactory,
    runs: list[tuple[float, list[Event]]],
    data: st.DataObject,
) -> None:
    """The same reader, or another one that begins with the kept file, after any number of runs."""
    ledger, at = MemoryLedger(), NOW
    kept = tmp_path_factory.mktemp("metrics") / "kept.bin"
    own = reader(ledger, kept)
    for hours, events in runs:
        at += hours * HOUR
        ledger.append([e for e in events if type(e).__name__ != "Removed"], now=at)
        if data.draw(st.booleans()):
            own.read(NOW)
            own._save(own.read(NOW))
        if data.draw(st.booleans()):
            own = reader(ledger, kept)
    own.read(NOW)
    whole = reader(ledger).read(NOW)
    found = own.read(NOW)
    found.since = whole.since
    assert found == whole


def test_first_prices_price_all_again(tmp_path: Path) -> None:
    ledger, kept = MemoryLedger(), tmp_path / "kept.bin"
    ledger.append([attempted(cpu_s=1.0) for _ in range(300)], now=NOW)
    own = reader(ledger, kept)
    assert own.read(NOW).totals["a"].amounts == {"USD": 0.0}
    book = PriceBook(prices=(Price(cpu_hour=3600.0),))
    priced = MetricsReader(
        ledger, "prod", zone="UTC", objectives=OBJECTIVES, kept=kept, prices=book
    )
    assert priced.read(NOW).totals["a"].amounts == {"USD": 300.0}
    ledger.append([PricesSet(environment="prod", book=book)], now=NOW)
    assert own.read(NOW).totals["a"].amounts == {"USD": 300.0}


def test_only_new_events_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, kept = MemoryLedger(), tmp_path / "home" / "kept.bin"
    ledger.append([attempted() for _ in range(300)], now=NOW)
    assert reader(ledger, kept).read(NOW).events == 300
    ledger.append([attempted() for _ in range(5)], now=NOW)
    noted: list[int] = []
    note = LedgerMetrics.note

    def count(own: LedgerMetrics, fact: RecordedEvent, prices: PriceHistory) -> None:
        noted.append(fact.seq)
        note(own, fact, prices)

    monkeypatch.setattr(LedgerMetrics, "note", count)
    other = reader(ledger, kept)
    assert other.read(NOW).totals["a"].attempts == 305
    assert noted == [*range(301, 306)]
    assert other.read(NOW).totals["a"].attempts == 305
    assert noted == [*range(301, 306)]


@pytest.mark.parametrize("damage", [b"", b"x" * 40, None])
def test_a_file_that_cannot_be_used(tmp_path: Path, damage: bytes | None) -> None:
    ledger, kept = MemoryLedger(), tmp_path / "kept.bin"
    ledger.append([attempted() for _ in range(300)], now=NOW)
    reader(ledger, kept).read(NOW)
    stored = kept.read_bytes()
    kept.write_bytes(stored[:16] + b"x" + stored[17:] if damage is None else damage)
    assert reader(ledger, kept).read(NOW).totals["a"].attempts == 300


def test_a_file_of_another_ledger_or_other_settings(tmp_path: Path) -> None:
    ledger, kept = MemoryLedger(), tmp_path / "kept.bin"
    ledger.append([attempted() for _ in range(300)], now=NOW)
    reader(ledger, kept).read(NOW)
    assert reader(ledger, kept, "Asia/Tokyo").read(NOW).zone == "Asia/Tokyo"
    restored = MemoryLedger()
    restored.append([attempted() for _ in range(299)], now=NOW)
    assert reader(restored, kept).read(NOW).totals["a"].attempts == 299
    replaced = MemoryLedger()
    replaced.append([attempted("b") for _ in range(400)], now=NOW - 5)
    assert [*reader(replaced, kept).read(NOW).totals] == ["b"]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    ledger, file = MemoryLedger(), tmp_path / "file"
    file.write_text("no folder")
    ledger.append([attempted() for _ in range(300)], now=NOW)
    assert reader(ledger, file / "kept.bin").read(NOW).events == 300


def test_a_long_history_that_is_interrupted_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_reader, "_SAVED_AT", 100)
    ledger, kept = MemoryLedger(), tmp_path / "kept.bin"
    ledger.append([attempted() for _ in range(350)], now=NOW)
    note = LedgerMetrics.note

    def interrupt(own: LedgerMetrics, fact: RecordedEvent, prices: PriceHistory) -> None:
        if fact.seq > 250:
            raise KeyboardInterrupt
        note(own, fact, prices)

    with monkeypatch.context() as patch:
        patch.setattr(LedgerMetrics, "note", interrupt)
        with pytest.raises(KeyboardInterrupt):
            reader(ledger, kept).read(NOW)
    found = reader(ledger, kept)
    loaded = found._load()
    assert loaded is not None
    assert loaded.seq == 200
    assert found.read(NOW).totals["a"].attempts == 350


def test_a_clock_that_ran_ahead_makes_it_forget_nothing(tmp_path: Path) -> None:
    ledger, kept = MemoryLedger(), tmp_path / "kept.bin"
    ledger.append([attempted() for _ in range(300)], now=NOW)
    ahead = reader(ledger, kept)
    ahead.read(NOW)
    ahead.read(NOW + 10 * HORIZON_S)
    whole = reader(ledger).read(NOW)
    assert whole.counts
    for found in (ahead, reader(ledger, kept)):
        assert (found.read(NOW).counts, found.read(NOW).days) == (whole.counts, whole.days)


def test_what_was_published_long_ago_is_still_fresh_or_not() -> None:
    ledger = MemoryLedger()
    ledger.append([records.published_event(stage="old")], now=NOW)
    later = NOW + 2 * HORIZON_S
    ledger.append([attempted(), records.published_event(stage="a")], now=later)
    found = reader(ledger).read(later)
    assert sorted(found.watermarks) == ["a", "old"]
    assert found.totals["a"].attempts == 1
    assert sorted(reader(ledger).read_since(later).watermarks) == ["a", "old"]


def test_an_unknown_zone() -> None:
    with pytest.raises(UsageError, match="is not a time zone"):
        reader(MemoryLedger(), zone="Mars/Olympus")


TIMES = st.lists(st.floats(0, 1e6), max_size=60)


@given(TIMES, st.floats(0, 1e6))
def test_the_window_is_found(times: list[float], since: float) -> None:
    ledger = MemoryLedger()
    for at in sorted(times):
        ledger.append([attempted()], now=at)
    after = find_window(ledger, since)
    facts = [*ledger.events()]
    assert [fact.seq for fact in facts if fact.at >= since] == [
        f.seq for f in facts if f.seq > after
    ]


@given(st.integers(20, 60), st.data())
def test_a_clock_that_is_wrong_for_some_time_hides_nothing(
    before: int, data: st.DataObject
) -> None:
    """Some events in the window have times long before or after it."""
    wrong = data.draw(st.integers(1, before // 4))
    start = data.draw(st.integers(0, before - wrong))
    odd = data.draw(st.sampled_from([0.0, 9e9]))
    ledger = MemoryLedger()
    for number in range(2 * before):
        in_window = number - before
        is_wrong = start <= in_window < start + wrong
        ledger.append([attempted()], now=odd if is_wrong else 1000.0 * number)
    after = find_window(ledger, 1000.0 * before)
    missed = [f.seq for f in ledger.events() if f.seq <= after and 1000.0 * before <= f.at < 9e9]
    # What comes just before the wrong clock may be missed, as long as it is shorter than that.
    assert len(missed) <= wrong
