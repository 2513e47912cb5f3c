"""Read from a ledger by which prices the work of an environment was priced, and record new ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tidemill.costs.price_history import PriceHistories, price_histories
from tidemill.ledger.cost_events import PricesSet
from tidemill.ledger.event import RecordedEvent
from tidemill.ledger.price import PriceBook
from tidemill.ports.ledger import Ledger


def recorded_book(ledger: Ledger, environment: str, *, first: bool = False) -> PriceBook | None:
    """The book that was recorded last in an environment, or first; None without any."""
    for fact in ledger.events(kinds=(PricesSet.__name__,), newest=not first):
        if isinstance(fact.event, PricesSet) and fact.event.environment == environment:
            return fact.event.book
    return None


def price_events(ledger: Ledger, environment: str, book: PriceBook) -> list[PricesSet]:
    """What records the book of an environment, if it differs from the last one.

    Without any prices nothing is recorded, so that the first prices that are set count for earlier work too.
    """
    known = recorded_book(ledger, environment)
    if known == book or (known is None and book.is_free):
        return []
    return [PricesSet(environment=environment, book=book)]


def recorded_histories(ledger: Ledger, settings: PriceBook) -> PriceHistories:
    """The recorded prices of all environments; `settings` price what no recorded book does."""
    return price_histories(ledger.events(kinds=(PricesSet.__name__,)), settings)


def priced_events(
    ledger: Ledger, kinds: Sequence[str], after: int, read_prices: Callable[[], PriceHistories]
) -> Iterator[tuple[RecordedEvent, PriceHistories]]:
    """The events after one, each with prices that count for it, also if new ones are recorded meanwhile."""
    prices = read_prices()
    for fact in ledger.events(kinds=(*kinds, PricesSet.__name__), after=after):
        if not isinstance(fact.event, PricesSet):
            yield fact, prices
        elif fact.seq > prices.last:
            prices = read_prices()
