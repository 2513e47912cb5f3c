"""Tell runs in the events of OpenLineage: while they run, or afterwards from the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tidemill.ledger.event import RecordedEvent, RunEnded, RunStarted
from tidemill.lineage.io.event_queue import EventQueue
from tidemill.lineage.openlineage.lineage_context import LineageContext
from tidemill.lineage.openlineage.run_events import MakeEvent, RunEvents
from tidemill.ports.ledger import Ledger


def events_of_run(ledger: Ledger, run: str, context: LineageContext) -> Iterator[MakeEvent]:
    """What makes the events of a run in the ledger: all if it has ended, those so far if not."""
    for start in ledger.events(kinds=(RunStarted.__name__,), run=run, limit=1):
        made = RunEvents(context)
        for fact in ledger.events(after=start.seq - 1):
            yield from made.add(fact)
            if isinstance(fact.event, RunEnded) and fact.event.run == run:
                return


class RunFollower:
    """Queues the events of the runs whose events of the ledger it is called with, one run after the other.

    A run that died is told from the ledger when a later one closes it. What goes wrong here is counted, and
    never raised: lineage isn't worth a run. Events are made where they are sent; here is only noted which
    ones there are.
    """

    def __init__(
        self, ledger: Ledger, queue: EventQueue, context: Callable[[], LineageContext]
    ) -> None:
        self._ledger = ledger
        self._queue = queue
        self._context = context
        self._run = ""
        self._events: RunEvents | None = None

    def notify(self, fact: RecordedEvent) -> None:
        """Queue what an event of the ledger leads to."""
        event = fact.event
        run = event.run if isinstance(event, RunStarted | RunEnded) else self._run
        try:
            for make in self._found(fact):
                self._queue.put(run, make)
        # A bug in this description of a run mustn't end the run.
        except Exception as error:  # noqa: BLE001
            self._queue.drop(run, f"an event couldn't be made: {type(error).__name__}: {error}")

    def _found(self, fact: RecordedEvent) -> Iterator[MakeEvent]:
        event = fact.event
        if isinstance(event, RunStarted):
            self._run, self._events = event.run, RunEvents(self._context())
        if isinstance(event, RunEnded) and event.run != self._run:
            yield from events_of_run(self._ledger, event.run, self._context())
        elif self._events is not None:
            yield from self._events.add(fact)
