"""Prices in a ledger."""

from __future__ import annotations

from collections.abc import Iterator

from tidemill.costs.io.recorded_prices import price_events, priced_events, recorded_book
from tidemill.costs.price_history import PriceHistories, price_histories
from tidemill.ledger.cost_events import PricesSet
from tidemill.ledger.event import RecordedEvent, RunStarted
from tidemill.ledger.price import Price, PriceBook
from tidemill.testing.doubles import MemoryLedger

DEAR, CHEAP = (PriceBook(prices=(Price(cpu_hour=amount),)) for amount in (2.0, 1.0))


def test_only_a_book_that_differs_is_recorded() -> None:
    ledger = MemoryLedger()
    assert price_events(ledger, "prod", PriceBook()) == []
    for book in (CHEAP, DEAR, PriceBook()):
        events = price_events(ledger, "prod", book)
        assert events == [PricesSet(environment="prod", book=book)]
        ledger.append(events, now=1.0)
        assert price_events(ledger, "prod", book) == []


def test_each_environment_has_a_book_of_its_own() -> None:
    ledger = MemoryLedger()
    for environment, book in (("prod", CHEAP), ("dev", DEAR), ("prod", DEAR), ("dev", CHEAP)):
        ledger.append(price_events(ledger, environment, book), now=1.0)
    assert recorded_book(ledger, "prod") == DEAR
    assert recorded_book(ledger, "prod", first=True) == CHEAP
    assert recorded_book(ledger, "dev") == CHEAP
    assert recorded_book(ledger, "dev", first=True) == DEAR
    assert recorded_book(ledger, "new") is None


def test_prices_that_are_recorded_while_events_are_read_count() -> None:
    """Another process sets new prices and begins a run between the reading of prices and of events."""
    ledger = MemoryLedger()

    def begin(run: str, book: PriceBook) -> None:
        started = RunStarted(run=run, environment="prod", command="", steps=0, holder={})
        ledger.append([*price_events(ledger, "prod", book), started], now=1.0)

    def read() -> PriceHistories:
        return price_histories(ledger.events(kinds=(PricesSet.__name__,)), PriceBook())

    begin("a", CHEAP)
    calls = iter([read])

    def read_late() -> PriceHistories:
        found = read()
        if next(calls, None) is not None:
            begin("b", DEAR)
        return found

    def priced(facts: Iterator[tuple[RecordedEvent, PriceHistories]]) -> list[float]:
        return [prices.of("prod").price(fact.seq, 1.0).cpu_hour for fact, prices in facts]

    assert priced(priced_events(ledger, ("RunStarted",), 0, read_late)) == [1.0, 2.0]
