"""By which prices the work of an environment was priced, as its ledger recorded them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.cost_events import PricesSet
from tidemill.ledger.event import RecordedEvent
from tidemill.ledger.price import Price, PriceBook


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceHistory:
    """The books of an environment by the number of the event that recorded each, the oldest first.

    What was before the first one is priced by it.
    """

    books: tuple[tuple[int, PriceBook], ...]

    def price(self, seq: int, at: float) -> Price:
        """The prices that counted for an event of that number, recorded at a time (Unix seconds)."""
        place = bisect_right(self.books, seq, key=lambda each: each[0])
        return self.books[max(0, place - 1)][1].at(at)

    @property
    def first(self) -> PriceBook:
        """The book that prices what was before any was recorded."""
        return self.books[0][1]


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceHistories:
    """The histories of environments; `otherwise` prices those where no book was recorded."""

    known: Mapping[str, PriceHistory]
    otherwise: PriceBook

    def of(self, environment: str) -> PriceHistory:
        """The history of an environment."""
        found = self.known.get(environment)
        return found if found is not None else PriceHistory(books=((0, self.otherwise),))

    @property
    def last(self) -> int:
        """The number of the event that recorded the last book of any environment; 0 without one."""
        return max((each.books[-1][0] for each in self.known.values()), default=0)


def price_histories(facts: Iterable[RecordedEvent], settings: PriceBook) -> PriceHistories:
    """The histories of environments from recorded events, in their order.

    An environment without a book is priced by the first one of any, or else by the settings.
    """
    found: dict[str, list[tuple[int, PriceBook]]] = {}
    first: PriceBook | None = None
    for fact in facts:
        if isinstance(fact.event, PricesSet):
            first = first or fact.event.book
            found.setdefault(fact.event.environment, []).append((fact.seq, fact.event.book))
    return PriceHistories(
        known={name: PriceHistory(books=tuple(books)) for name, books in found.items()},
        otherwise=first or settings,
    )
