"""Reading spending in parts: by another process, out of a kept file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.costs.test_spending import MONEY, NOW, attempted, prices, total
from tidemill.costs.io import spending_reader
from tidemill.costs.io.spending_reader import SpendingReader
from tidemill.costs.price_history import PriceHistories
from tidemill.costs.spending import Spending
from tidemill.ledger.event import RecordedEvent
from tidemill.testing.doubles import MemoryLedger


def used(reader: SpendingReader) -> float:
    return round(3_600 * reader.read().of(total("dev"), NOW, "EUR"))


def test_only_new_events_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, kept = MemoryLedger(), tmp_path / "home" / "kept.bin"
    ledger.append([attempted(1.0) for _ in range(300)], now=NOW)
    assert used(SpendingReader(ledger, kept=kept)) == 300
    ledger.append([attempted(1.0) for _ in range(5)], now=NOW)
    noted: list[int] = []
    note = Spending.note

    def count(own: Spending, fact: RecordedEvent, prices: PriceHistories) -> None:
        noted.append(fact.seq)
        note(own, fact, prices)

    monkeypatch.setattr(Spending, "note", count)
    reader = SpendingReader(ledger, kept=kept)
    assert used(reader) == 305
    assert used(reader) == 305
    assert noted == [*range(301, 306)]


def test_a_long_history_is_kept_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spending_reader, "_SAVED_AT", 10)
    ledger, kept = MemoryLedger(), tmp_path / "kept.bin"
    ledger.append([attempted(1.0) for _ in range(25)], now=NOW)
    assert used(SpendingReader(ledger, kept=kept)) == 25
    assert kept.exists()
    assert used(SpendingReader(ledger, kept=kept)) == 25


@pytest.mark.parametrize("damage", [b"", b"x" * 40, None])
def test_a_file_that_cannot_be_used(tmp_path: Path, damage: bytes | None) -> None:
    ledger, kept = MemoryLedger(), tmp_path / "kept.bin"
    ledger.append([attempted(1.0) for _ in range(300)], now=NOW)
    used(SpendingReader(ledger, kept=kept))
    stored = kept.read_bytes()
    kept.write_bytes(stored[:16] + b"x" + stored[17:] if damage is None else damage)
    assert used(SpendingReader(ledger, kept=kept)) == 300


def test_a_file_of_another_ledger_or_zone(tmp_path: Path) -> None:
    ledger, kept = MemoryLedger(), tmp_path / "kept.bin"
    ledger.append([attempted(1.0) for _ in range(300)], now=NOW)
    used(SpendingReader(ledger, kept=kept))
    other = MemoryLedger()
    other.append([attempted(2.0) for _ in range(10)], now=NOW)
    assert used(SpendingReader(other, kept=kept)) == 20
    assert used(SpendingReader(ledger, zone="Asia/Tokyo", kept=kept)) == 300


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    ledger.append([attempted(1.0) for _ in range(300)], now=NOW)
    (tmp_path / "file").write_text("")
    assert used(SpendingReader(ledger, kept=tmp_path / "file" / "kept.bin")) == 300
    assert used(SpendingReader(ledger)) == 300


def test_first_prices_count_for_what_was_before_them(tmp_path: Path) -> None:
    ledger, kept = MemoryLedger(), tmp_path / "kept.bin"
    ledger.append([attempted(3_600.0) for _ in range(300)], now=NOW)
    reader = SpendingReader(ledger, kept=kept)
    assert used(reader) == 300 * 3_600
    ledger.append([prices(2.0), attempted(3_600.0), prices(3.0), attempted(3_600.0)], now=NOW)
    budget = replace(total("dev"), limit=MONEY)
    for each in (reader, SpendingReader(ledger, kept=kept), SpendingReader(ledger)):
        assert each.read().of(budget, NOW, "EUR") == 605.0
