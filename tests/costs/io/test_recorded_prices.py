"""Prices in a ledger."""

from __future__ import annotations

from tidemill.costs.io.recorded_prices import price_events, recorded_book
from tidemill.ledger.cost_events import PricesSet
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
