"""Look up whose work results are, and who started runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from tidemill.ledger.binding import Binding
from tidemill.ledger.event import RunStarted
from tidemill.ports.ledger import HasBindingFacts, Ledger


class RunStarters:
    """Who started each run of a home, looked up once; "" if it isn't recorded."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: dict[str, str] = {}

    def of(self, run: str) -> str:
        """Who started a run."""
        if run not in self._known:
            facts = self._ledger.events(kinds=(RunStarted.__name__,), run=run, limit=1)
            self._known[run] = next((_actor(fact.event) for fact in facts), "")
        return self._known[run]

    def one_run_each(self, runs: Iterable[str]) -> tuple[str, ...]:
        """The first of these runs of each person who started one; those of unknown people stay.

        Another workflow of the home may have started them.
        """
        found: dict[str, str] = {}
        for run in runs:
            found.setdefault(self.of(run) or run, run)
        return tuple(found.values())


def makers_of(partitions: Mapping[str, Binding]) -> Mapping[tuple[str, ...], int]:
    """How many partitions of a head are the work of the same runs; it loads as few as it can."""
    if isinstance(partitions, HasBindingFacts):
        return partitions.makers()
    return Counter(binding.makers for binding in partitions.values())


def _actor(event: object) -> str:
    assert isinstance(event, RunStarted)
    return event.actor
