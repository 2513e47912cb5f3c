"""Read from a ledger by which prices the work of an environment was priced, and record new ones."""

from __future__ import annotations

from tidemill.ledger.cost_events import PricesSet
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
