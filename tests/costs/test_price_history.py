"""By which prices work was priced."""

from __future__ import annotations

from tidemill.costs.price_history import price_histories
from tidemill.ledger.cost_events import PricesSet
from tidemill.ledger.event import RecordedEvent
from tidemill.ledger.price import Price, PriceBook
from tidemill.testing.records import settled_event


def book(*prices: float) -> PriceBook:
    starts = [None, *(100.0 * n for n in range(1, len(prices)))]
    return PriceBook(
        prices=tuple(Price(cpu_hour=p, since=s) for p, s in zip(prices, starts, strict=True))
    )


def test_the_last_book_before_an_event_prices_it() -> None:
    facts = [
        RecordedEvent(seq=3, at=1.0, event=PricesSet(environment="prod", book=book(1.0, 2.0))),
        RecordedEvent(seq=4, at=1.0, event=settled_event()),
        RecordedEvent(seq=7, at=1.0, event=PricesSet(environment="prod", book=book(3.0))),
        RecordedEvent(seq=8, at=1.0, event=PricesSet(environment="dev", book=book(4.0))),
    ]
    found = price_histories(facts, book(9.0))
    prices = {
        (seq, at): found.of("prod").price(seq, at).cpu_hour
        for seq, at in ((1, 0.0), (1, 100.0), (3, 0.0), (6, 150.0), (7, 150.0), (9, 0.0))
    }
    assert prices == {
        (1, 0.0): 1.0, (1, 100.0): 2.0, (3, 0.0): 1.0, (6, 150.0): 2.0, (7, 150.0): 3.0, (9, 0.0): 3.0
    }  # fmt: skip
    assert found.of("dev").price(1, 0.0).cpu_hour == 4.0
    assert found.of("gone").price(99, 500.0).cpu_hour == 2.0
    assert [found.of(name).first for name in ("", "prod", "dev")] == [
        book(1.0, 2.0), book(1.0, 2.0), book(4.0),
    ]  # fmt: skip


def test_the_settings_count_where_nothing_is_recorded() -> None:
    assert price_histories([], book(9.0)).of("prod").first == book(9.0)
