"""Read the logs of runs with the outcomes of attempts: all of a log, or what followed a place in it."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from tidemill.core.errors import UnknownNameError, UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.history.attempt_log import add_outcomes
from tidemill.history.io.log_reader import LogReader
from tidemill.history.io.run_attempts import ended_attempts, last_attempt
from tidemill.history.log_cursor import LogCursor, parse_log_cursor
from tidemill.ledger.io.lease_holder import is_dead
from tidemill.ledger.log_line import AttemptKey, LogLine
from tidemill.ledger.run import Attempt, RunInfo, Status
from tidemill.ports.ledger import Ledger

# So many lines of one run are remembered, for so many seconds; and who spoke in so many runs that go on.
_MOST_LINES, _KEPT_S, _MOST_RUNS = 100_000, 30.0, 4
# About so many bytes of each file follow a place at once.
_MOST_BYTES = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPart:
    """Some lines of a log, and the cursor `next` from which more may follow; "" if none can."""

    lines: list[LogLine]
    next: str


class RunLog:
    """Reads a run's log incrementally, with outcomes.

    `steps` are the partitions of all steps so far, by stage, and `spoke` is who logged anything.
    """

    def __init__(
        self,
        ledger: Ledger,
        folder: Path,
        run: str,
        *,
        begin: LogCursor | None = None,
        spoke: set[AttemptKey] | None = None,
    ) -> None:
        begin = begin or LogCursor()
        self._ledger, self._run, self._seq = ledger, run, begin.seq
        self._reader = LogReader(folder, begin.read)
        self.spoke = set() if spoke is None else spoke
        self.steps: dict[str, set[str]] = {}

    @property
    def cursor(self) -> LogCursor:
        """How far it was read."""
        return LogCursor(seq=self._seq, read=self._reader.read)

    @property
    def is_behind(self) -> bool:
        """Whether more could be read at once."""
        return self._reader.is_behind

    def read_new(self, most: int = -1) -> list[LogLine]:
        """The lines since the last call, step by step; of each file about `most` bytes, if that is given."""
        # An outcome is recorded after the last line of its attempt: with those until now no line is missed.
        until = last_attempt(self._ledger, self._run)
        lines = self._reader.read_new(most)
        # Outcomes follow the lines of their attempts.
        found = add_outcomes(lines, () if self.is_behind else self._ended(until), self.spoke)
        self.spoke.update(line.attempt_key for line in lines)
        for line in lines:
            self._note_step(line.stage, line.partition)
        return found

    def _ended(self, until: int) -> Iterator[tuple[float, Attempt]]:
        """The attempts up to an event that weren't read yet, with their times; nobody keeps all of them."""
        for fact, attempt in ended_attempts(self._ledger, self._run, self._seq, until):
            self._seq = fact.seq
            self._note_step(attempt.stage, attempt.partition)
            yield fact.at, attempt

    def _note_step(self, stage: str, partition: str) -> None:
        # A run has many steps, with the same keys of partitions in each stage.
        self.steps.setdefault(stage, set()).add(sys.intern(partition))


class RunLogs:
    """Reads the logs of runs; remembers the lines of one that has ended for a while."""

    def __init__(self, ledger: Ledger, logs: Path) -> None:
        self._ledger, self._logs = ledger, logs
        self._ended: tuple[str, float, list[LogLine], RunLog] | None = None
        # By run, read to their ends: they know whose outcomes are told.
        self._known: dict[str, RunLog] = {}

    def read(self, info: RunInfo, stage: str, partition: str, after: str) -> LogPart:
        """All lines so far, or those after a cursor; UsageError for a step that the run didn't have."""
        goes_on = info.status is Status.RUNNING and not is_dead(info.holder)
        if after:
            known = self._caught_up(info.id)
            log = self._open(info.id, parse_log_cursor(after), known.spoke)
            lines = log.read_new(_MOST_BYTES)
        else:
            lines, log = self._all(info, goes_on=goes_on)
            known = log
        _refuse_unknown(info.id, stage, partition, known.steps)
        return LogPart(
            lines=[line for line in lines if belongs_to(line, stage, partition)],
            next=str(log.cursor) if goes_on or log.is_behind else "",
        )

    def drop_old(self) -> None:
        """Forget lines that nobody asked for in the last while."""
        if self._ended is not None and time.monotonic() - self._ended[1] > _KEPT_S:
            self._ended = None

    def _all(self, info: RunInfo, *, goes_on: bool) -> tuple[list[LogLine], RunLog]:
        """All lines of a run; those of one that has ended are remembered."""
        now = time.monotonic()
        if self._ended is not None and self._ended[0] == info.id:
            _, _, lines, log = self._ended
            self._ended = info.id, now, lines, log
            return lines, log
        log = self._open(info.id)
        lines = log.read_new()
        if goes_on:
            self._keep(info.id, log)
        elif len(lines) <= _MOST_LINES:
            self._ended = info.id, now, lines, log
        return lines, log

    def _caught_up(self, run: str) -> RunLog:
        """What is known of a run, whose log was read to its end."""
        log = self._known.pop(run, None) or self._open(run)
        log.read_new()
        self._keep(run, log)
        return log

    def _keep(self, run: str, log: RunLog) -> None:
        self._known.pop(run, None)
        while len(self._known) >= _MOST_RUNS:
            del self._known[next(iter(self._known))]
        self._known[run] = log

    def _open(
        self, run: str, begin: LogCursor | None = None, spoke: set[AttemptKey] | None = None
    ) -> RunLog:
        return RunLog(self._ledger, self._logs / run, run, begin=begin, spoke=spoke)


def belongs_to(line: LogLine, stage: str, partition: str) -> bool:
    """Whether a line is of a stage and a partition, if these are named."""
    return stage in ("", line.stage) and partition in ("", line.partition)


def _refuse_unknown(
    run: str, stage: str, partition: str, steps: Mapping[str, Collection[str]]
) -> None:
    if stage and stage not in steps:
        advice = did_you_mean(stage, filter(None, steps))
        raise UnknownNameError(f"run {run} had no step of {stage!r} ({advice})")
    if not partition:
        return
    keys = {key for name in ([stage] if stage else steps) for key in steps[name] if key}
    if partition not in keys:
        advice = did_you_mean(partition, keys)
        raise UsageError(f"run {run} had no step {stage} {partition!r} ({advice})")
