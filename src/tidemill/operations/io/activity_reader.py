"""Read what stages and runs of an environment did, without reading all of a long ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from tidemill.ledger.event import (
    DriftAlarmed,
    DriftJudged,
    RecordedEvent,
    RunEnded,
    RunStarted,
)
from tidemill.ledger.run import Status
from tidemill.operations.io.new_facts import NewFacts
from tidemill.operations.ledger_problems import ACTIVITY_EVENTS, StageActivity
from tidemill.ports.ledger import Ledger

# The first look is at so many of the last events, and at so many earlier ones of what lasts longer.
_LOOK_BACK, _EARLIER = 20_000, 200
_DRIFT = (DriftAlarmed.__name__, DriftJudged.__name__)


class ActivityReader:
    """Reads each event once; what the first look leaves out is looked for where it may still matter."""

    def __init__(self, ledger: Ledger, environment: str, stages: Iterable[str]) -> None:
        self._ledger = ledger
        self._stages = tuple(stages)
        self._new: NewFacts | None = None
        self._activity = StageActivity(environment)

    def read(self, seq: int) -> StageActivity:
        """What is known up to now; `seq` is the number of the last event."""
        if self._new is None:
            after = max(0, seq - _LOOK_BACK)
            if after:
                for fact in self._earlier(after):
                    self._activity.apply(fact)
            self._new = NewFacts(self._ledger, ACTIVITY_EVENTS, after)
        for fact in self._new.read():
            if isinstance(fact.event, RunEnded) and not self._activity.has_begun(fact.event.run):
                self._apply_start(fact.event.run)
            self._activity.apply(fact)
        return self._activity

    def _earlier(self, after: int) -> list[RecordedEvent]:
        """What lasts since before the event number `after`: drift, and the loss of the last run."""
        found = [fact for stage in self._stages for fact in self._earlier_drift(stage, after)]
        return sorted([*found, *self._earlier_loss(after)], key=lambda fact: fact.seq)

    def _before(
        self, kinds: tuple[str, ...], after: int, stage: str = ""
    ) -> Iterator[RecordedEvent]:
        facts = self._ledger.events(kinds=kinds, stage=stage, newest=True)
        return islice((fact for fact in facts if fact.seq <= after), _EARLIER)

    def _earlier_drift(self, stage: str, after: int) -> Iterator[RecordedEvent]:
        """The last alarms of a stage, unless it was judged to be well since."""
        for fact in self._before(_DRIFT, after, stage):
            event = fact.event
            if getattr(event, "environment", "") != self._activity.environment:
                continue
            if isinstance(event, DriftAlarmed):
                yield fact
            elif isinstance(event, DriftJudged) and not event.verdict.investigate:
                return

    def _earlier_loss(self, after: int) -> Iterator[RecordedEvent]:
        """The start and the end of a run that was lost, if none succeeded since."""
        for fact in self._before((RunEnded.__name__,), after):
            event = fact.event
            if not isinstance(event, RunEnded) or event.status not in (Status.LOST, Status.OK):
                continue
            start = self._start_of(event.run)
            if start is None:
                continue
            if event.status is Status.LOST:
                yield from (start, fact)
            return

    def _apply_start(self, run: str) -> None:
        start = self._start_of(run)
        if start is not None:
            self._activity.apply(start)

    def _start_of(self, run: str) -> RecordedEvent | None:
        """The start of a run of this environment."""
        for fact in self._ledger.events(kinds=(RunStarted.__name__,), run=run, limit=1):
            event = fact.event
            if isinstance(event, RunStarted) and event.environment == self._activity.environment:
                return fact
        return None
