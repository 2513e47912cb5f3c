"""The sums that the four numbers are computed from."""

from __future__ import annotations

from tests.scorecard.io.test_scorecard_reader import BOOK, NOW, empty
from tidemill.costs.price_history import price_histories
from tidemill.ledger.event import RecordedEvent
from tidemill.scorecard.scorecard_sums import HORIZON_S
from tidemill.testing import records


def test_events_are_counted_and_forgotten_when_they_are_old() -> None:
    sums = empty()
    fact = RecordedEvent(seq=7, at=NOW, event=records.attempted_event(cpu_s=1.0))
    sums.add(fact, price_histories((), BOOK))
    assert (sums.seq, sums.at, sums.events) == (7, NOW, 1)
    sums.prune(NOW)
    assert sums.costs.work
    sums.prune(NOW + HORIZON_S + 2 * 86_400)
    assert not sums.costs.work
