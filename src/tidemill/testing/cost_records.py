"""Sample records of what work costs."""

from __future__ import annotations

from tidemill.ledger.cost_events import PricesSet, StorageMetered
from tidemill.ledger.event import Event
from tidemill.ledger.price import Price, PriceBook


def price_book() -> PriceBook:
    """Prices that count from the beginning, and others from a moment on."""
    later = Price(
        cpu_hour=0.05,
        currency="EUR",
        gpu_hour=2.0,
        units={"tokens": 2e-6},
        since=1_357_000_000.0,
    )
    return PriceBook(prices=(Price(cpu_hour=0.04, currency="EUR"), later))


def cost_events() -> list[Event]:
    """The prices of an environment, and what it stores."""
    return [
        PricesSet(environment="prod", book=price_book()),
        StorageMetered(environment="prod", since=5.0, stages={"features": 4096}, shared=512),
    ]
