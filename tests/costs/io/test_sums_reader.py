"""Reading sums in parts, out of a kept file, and while others record."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.costs.test_ledger_costs import BOOK, _started, attempt, lines
from tidemill.costs.io import sums_reader
from tidemill.costs.io.sums_reader import CostReader, SpendingReader
from tidemill.costs.ledger_costs import LedgerCosts
from tidemill.ledger.cost_events import PricesSet
from tidemill.ledger.event import Attempted, RecordedEvent
from tidemill.ledger.price import Price, PriceBook
from tidemill.testing.doubles import MemoryLedger

DEAR = PriceBook(prices=(Price(cpu_hour=7200.0, currency="EUR"),))


def reader(
    ledger: MemoryLedger, kept: Path | None, book: PriceBook = BOOK, zone: str = "UTC"
) -> CostReader:
    return CostReader(ledger, zone=zone, settings=book, kept=kept)


def ran(count: int = 300) -> list[Attempted]:
    return [
        Attempted(run="a", environment="prod", attempt=attempt(cpu_s=1.0)) for _ in range(count)
    ]


def amount(costs: LedgerCosts) -> float:
    return sum(line.amounts["EUR"] for line in lines(costs).values())


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the events that were read."""
    found: list[int] = []
    note = LedgerCosts.note

    def count(own: LedgerCosts, *given: object) -> None:
        found.append(given[0].seq)  # type: ignore[attr-defined]
        note(own, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(LedgerCosts, "note", count)
    return found


def test_only_new_events_are_read(tmp_path: Path, noted: list[int]) -> None:
    ledger, kept = MemoryLedger(), tmp_path / "home" / "costs.bin"
    ledger.append([_started("a", "prod"), *ran()], now=1.0)
    assert amount(reader(ledger, kept).read()) == 300.0
    ledger.append(ran(2), now=2.0)
    noted.clear()
    other = reader(ledger, kept)
    assert amount(other.read()) == 302.0
    assert noted == [302, 303]
    assert amount(other.read()) == 302.0
    assert noted == [302, 303]
    kept.unlink()
    assert reader(ledger, kept).read() == other.read()


def test_other_prices_before_any_book_price_all_again(tmp_path: Path) -> None:
    ledger, kept = MemoryLedger(), tmp_path / "costs.bin"
    ledger.append(ran(), now=1.0)
    own = reader(ledger, kept)
    assert amount(own.read()) == 300.0
    assert amount(reader(ledger, kept, DEAR).read()) == 600.0
    ledger.append([PricesSet(environment="dev", book=DEAR)], now=2.0)
    assert amount(own.read()) == 600.0
    ledger.append([PricesSet(environment="prod", book=BOOK)], now=3.0)
    assert amount(own.read()) == 300.0
    # What was recorded counts, whatever the settings say by now.
    assert amount(reader(ledger, kept, DEAR).read()) == 300.0


def test_what_is_kept_is_of_this_ledger_and_zone(tmp_path: Path) -> None:
    ledger, kept = MemoryLedger(), tmp_path / "costs.bin"
    ledger.append(ran(), now=1.0)
    reader(ledger, kept).read()
    assert {*reader(ledger, kept, zone="Asia/Tokyo").read().days["prod"]} == {"1970-01-01"}
    older = MemoryLedger()
    older.append(ran(250), now=2.0)
    assert amount(reader(older, kept).read()) == 250.0


def test_a_long_history_is_kept_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, kept = MemoryLedger(), tmp_path / "costs.bin"
    ledger.append(ran(), now=1.0)
    monkeypatch.setattr(sums_reader, "_SAVED_AT", 100)
    saved: list[int] = []
    monkeypatch.setattr(CostReader, "_save", lambda own, costs, prices: saved.append(costs.events))
    reader(ledger, kept).read()
    assert saved == [100, 200, 300]


def test_nothing_at_all_costs_nothing(tmp_path: Path) -> None:
    assert reader(MemoryLedger(), None).read() == LedgerCosts(zone="UTC")


@pytest.mark.parametrize("damage", [b"", b"x" * 40, None])
def test_a_file_that_cannot_be_used(tmp_path: Path, damage: bytes | None) -> None:
    ledger, kept = MemoryLedger(), tmp_path / "costs.bin"
    ledger.append(ran(), now=1.0)
    reader(ledger, kept).read()
    stored = kept.read_bytes()
    kept.write_bytes(stored[:16] + b"x" + stored[17:] if damage is None else damage)
    assert amount(reader(ledger, kept).read()) == 300.0
    # Also what another reader kept there.
    other = SpendingReader(ledger, kept=kept)
    assert other.read().months["prod"]["1970-01"].cpu_s == 300.0
    assert amount(reader(ledger, kept).read()) == 300.0


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    ledger.append(ran(), now=1.0)
    (tmp_path / "file").write_text("")
    assert amount(reader(ledger, tmp_path / "file" / "costs.bin").read()) == 300.0


def test_spending_is_kept_as_well(tmp_path: Path) -> None:
    ledger, kept = MemoryLedger(), tmp_path / "spending.bin"
    ledger.append([_started("a", "prod"), *ran()], now=1.0)
    first = SpendingReader(ledger, settings=BOOK, kept=kept).read()
    assert first.months["prod"]["1970-01"].money == {"EUR": 300.0}
    ledger.append([PricesSet(environment="prod", book=BOOK), *ran(2)], now=2.0)
    second = SpendingReader(ledger, settings=DEAR, kept=kept)
    assert second.read() == SpendingReader(ledger, settings=BOOK).read()
    assert second.read().months["prod"]["1970-01"].money == {"EUR": 302.0}


class _BusyLedger(MemoryLedger):
    """A ledger in which somebody records a run at other prices, after prices were read."""

    def __init__(self, runs: int) -> None:
        super().__init__()
        self._runs = runs

    def events(self, **asked: Any) -> Iterator[RecordedEvent]:
        found = [*super().events(**asked)]
        if asked["kinds"] == (PricesSet.__name__,) and self._runs:
            self._runs -= 1
            run = f"late-{self._runs}"
            book = DEAR if self._runs % 2 else BOOK
            late = Attempted(run=run, environment="prod", attempt=attempt(cpu_s=1.0))
            self.append(
                [PricesSet(environment="prod", book=book), _started(run, "prod"), late], now=2.0
            )
        return iter(found)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("runs", [1, 2, 5])
def test_a_run_that_begins_meanwhile_costs_its_own_prices(
    tmp_path: Path, runs: int, known: bool
) -> None:
    ledger, kept = _BusyLedger(runs), tmp_path / "costs.bin"
    books = [PricesSet(environment="prod", book=BOOK)] if known else []
    ledger.append([*books, *ran()], now=1.0)
    found = reader(ledger, kept).read()
    assert found == reader(ledger, None).read()
    assert found == reader(ledger, kept).read()
    assert found.events == 300 + 2 * runs
