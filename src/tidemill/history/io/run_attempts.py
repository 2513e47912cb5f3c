"""The attempts at the steps of a run, summed up while they are read, each once."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.event import Attempted, RecordedEvent
from tidemill.ledger.event_filter import EventFilter
from tidemill.ledger.run import FAILURES, FAULTS, Attempt, counted_as, ended_well
from tidemill.ports.ledger import Ledger

# So many of the last attempts are kept, of the first that failed, and of the last failures of each stage;
# and so many runs.
_MOST_LAST, _MOST_FAILED, _MOST_FAILURES, _MOST_RUNS = 600, 50, 5, 4
# How long (seconds) what nobody asks for is kept.
_KEPT_S = 300.0


@dataclass(slots=True, kw_only=True)
class StageAttempts:
    """How many attempts at steps of a stage ended how, in a run, as `StageTotals` counts them."""

    stage: str
    ran: int = 0
    bound: int = 0
    rechecked: int = 0
    current: int = 0
    failed: int = 0
    retried: int = 0
    skipped: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    rows: int = 0

    def add(self, attempt: Attempt) -> None:
        """Count an attempt."""
        if kind := counted_as(attempt):
            setattr(self, kind, getattr(self, kind) + 1)
        self.wall_s += attempt.wall_s
        self.cpu_s += attempt.cpu_s
        self.rows += attempt.rows_out


@dataclass(slots=True, kw_only=True)
class RunAttempts:
    """The attempts of a run up to event `seq`, by stage in the order in which stages began to end.

    Of the `total` ones it has the `last`, with the times at which they were recorded, and the first that
    `failed`; `failures` are the last ones of each stage that weren't tried again.
    """

    seq: int = 0
    total: int = 0
    stages: dict[str, StageAttempts] = field(default_factory=dict)
    last: deque[tuple[float, Attempt]] = field(default_factory=lambda: deque(maxlen=_MOST_LAST))
    failed: list[Attempt] = field(default_factory=list)
    failures: dict[str, deque[Attempt]] = field(default_factory=dict)
    _done: dict[tuple[str, str], set[str]] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """How many steps ended well."""
        return sum(map(len, self._done.values()))

    def add(self, found: Iterable[tuple[RecordedEvent, Attempt]]) -> None:
        """Add attempts with their events."""
        for fact, attempt in found:
            self.seq = fact.seq
            self.total += 1
            if ended_well(attempt):
                own = self._done.setdefault((attempt.action, attempt.stage), set())
                # A run has many steps, with the same keys of partitions in each stage.
                own.add(sys.intern(attempt.partition))
            if attempt.stage not in self.stages:
                self.stages[attempt.stage] = StageAttempts(stage=attempt.stage)
            self.stages[attempt.stage].add(attempt)
            self.last.append((fact.at, attempt))
            if attempt.outcome in FAULTS and len(self.failed) < _MOST_FAILED:
                self.failed.append(attempt)
            if attempt.outcome in FAILURES:
                last = deque[Attempt](maxlen=_MOST_FAILURES)
                self.failures.setdefault(attempt.stage, last).append(attempt)


class AttemptSums:
    """Sums up the attempts of the runs that were looked at last, and reads each once."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: dict[str, tuple[float, RunAttempts]] = {}

    def read(self, run: str) -> RunAttempts:
        """The attempts of a run so far; the caller must not change them."""
        _, found = self._known.pop(run, (0.0, RunAttempts()))
        found.add(ended_attempts(self._ledger, run, found.seq))
        while len(self._known) >= _MOST_RUNS:
            del self._known[next(iter(self._known))]
        self._known[run] = time.monotonic(), found
        return found

    def drop_old(self) -> None:
        """Forget the runs that nobody asked for in the last while."""
        now = time.monotonic()
        self._known = {run: each for run, each in self._known.items() if now - each[0] < _KEPT_S}


def ended_attempts(
    ledger: Ledger, run: str, after: int = 0, until: int | None = None
) -> Iterator[tuple[RecordedEvent, Attempt]]:
    """The attempts at the steps of a run with their events: those after a number only, or until one."""
    where = EventFilter(before=None if until is None else until + 1)
    for recorded in ledger.events(kinds=(Attempted.__name__,), run=run, after=after, where=where):
        if isinstance(recorded.event, Attempted):
            yield recorded, recorded.event.attempt


def last_attempt(ledger: Ledger, run: str) -> int:
    """The number of the event of the last attempt that ended in a run; 0 without any."""
    found = ledger.events(kinds=(Attempted.__name__,), run=run, newest=True, limit=1)
    return next((fact.seq for fact in found), 0)
