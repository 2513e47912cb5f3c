"""The attempts at the steps of a run, summed up while they are read, each once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.event import RecordedEvent
from tidemill.ledger.run import Attempt, Outcome

# So many of the last attempts are kept, and of the first that failed.
_MOST_LAST, _MOST_FAILED = 600, 50
_FAILED = (Outcome.FAILED, Outcome.REFUSED)
BAD = (*_FAILED, Outcome.RETRIED)


@dataclass(slots=True, kw_only=True)
class StageAttempts:
    """How many attempts at steps of a stage ended how, in a run."""

    stage: str
    done: int = 0
    failed: int = 0
    retried: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    rows: int = 0

    def add(self, attempt: Attempt) -> None:
        """Count an attempt."""
        self.done += attempt.outcome not in BAD
        self.failed += attempt.outcome in _FAILED
        self.retried += attempt.outcome is Outcome.RETRIED
        self.wall_s += attempt.wall_s
        self.cpu_s += attempt.cpu_s
        self.rows += attempt.rows_out


@dataclass(slots=True, kw_only=True)
class RunAttempts:
    """The attempts of a run up to event `seq`, by stage in the order in which stages began to end.

    Of the `total` ones it has the `last`, with the times at which they were recorded, and the first that
    `failed`. `steps` are those that were tried.
    """

    seq: int = 0
    total: int = 0
    stages: dict[str, StageAttempts] = field(default_factory=dict)
    steps: set[tuple[str, str]] = field(default_factory=set)
    last: deque[tuple[float, Attempt]] = field(default_factory=lambda: deque(maxlen=_MOST_LAST))
    failed: list[Attempt] = field(default_factory=list)

    def add(self, found: Iterable[tuple[RecordedEvent, Attempt]]) -> None:
        """Add attempts with their events."""
        for fact, attempt in found:
            self.seq = fact.seq
            self.total += 1
            self.steps.add((attempt.stage, attempt.partition))
            if attempt.stage not in self.stages:
                self.stages[attempt.stage] = StageAttempts(stage=attempt.stage)
            self.stages[attempt.stage].add(attempt)
            self.last.append((fact.at, attempt))
            if attempt.outcome in BAD and len(self.failed) < _MOST_FAILED:
                self.failed.append(attempt)
