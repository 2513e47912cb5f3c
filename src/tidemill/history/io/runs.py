"""Read past runs from the ledger: attempts, logs, performance, and contract versions.

The output of steps isn't in the ledger but in log files beside it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

from tidemill.core.errors import UnknownNameError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.history.io.run_attempts import AttemptSums, RunAttempts, ended_attempts
from tidemill.history.io.run_log import LogPart, RunLog, RunLogs, belongs_to
from tidemill.history.stage_performance import is_computation, stage_performances
from tidemill.ledger.event import (
    Attempted,
    LineageDropped,
    Published,
    RecordedEvent,
    RunEnded,
    RunStarted,
)
from tidemill.ledger.event_filter import EventFilter, about
from tidemill.ledger.event_subjects import run_subject
from tidemill.ledger.io.lease_holder import is_dead
from tidemill.ledger.log_line import LogLine
from tidemill.ledger.performance import Performance
from tidemill.ledger.run import Attempt, RunInfo, Status
from tidemill.ports.ledger import Ledger, State

# Names the newest run.
LAST = "last"
_POLL_S = 0.3
# So many runs are looked at for a page of those that ended in one way.
_MOST_FILTERED = 1_000
# Of so many runs similar names are suggested.
_MOST_NAMED = 200
_RUN_EVENTS = (RunStarted.__name__, RunEnded.__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPage:
    """Some runs, and the number `before` which the `next` ones started; 0 if there are no more."""

    runs: tuple[RunInfo, ...]
    next: int = 0


class History:
    """The past runs of a project: their attempts, the output of steps, the performance of stages.

    `sums` are the attempts of runs that were looked at last.

    A run is named by its id, by a prefix of it, or as "last"; UsageError for an unknown run lists
    similar ones.
    """

    def __init__(self, ledger: Ledger, logs: Path) -> None:
        self._ledger = ledger
        self._logs = logs
        self._run_logs = RunLogs(ledger, logs)
        self.sums = AttemptSums(ledger)

    def runs(self, limit: int | None = 20) -> list[RunInfo]:
        """The last runs, newest first."""
        return list_runs(self._ledger, limit)

    def run(self, name: str = LAST) -> RunInfo:
        """The run of that name."""
        if name == LAST and (newest := self.runs(limit=1)):
            return newest[0]
        found = self.runs_like(name)
        if len(found) != 1:
            known = [info.id for info in found or self.runs(limit=_MOST_NAMED)]
            many = "more than one run is" if found else "there is no run"
            raise UnknownNameError(f"{many} {name!r} ({did_you_mean(name, known)})")
        return _ended(self._ledger, found[0])

    def runs_like(self, name: str) -> list[RunInfo]:
        """The run with an id, or else those whose ids begin so, as they started, newest first."""
        exact = [*_started(self._ledger, about(run_subject(name)), limit=1)]
        where = EventFilter(about_prefix=run_subject(name))
        return exact or [*_started(self._ledger, where, limit=_MOST_NAMED)]

    def page(self, before: int = 0, limit: int = 50, status: Status | None = None) -> RunPage:
        """Some runs, newest first: the last ones, or those that started before the event number `before`.

        With a `status` only those that have it, of as many as are looked at at once.
        """
        where = EventFilter(before=before or None)
        found: list[RunInfo] = []
        number = looked = 0
        kinds = (RunStarted.__name__,)
        most = limit if status is None else _MOST_FILTERED
        events = self._ledger.events(kinds=kinds, where=where, newest=True, limit=most + 1)
        starts = iter(events)
        while some := [*islice(starts, limit + 1)]:
            for seq, info in _with_ends(self._ledger, some):
                if len(found) == limit or looked == most:
                    return RunPage(runs=tuple(found), next=number)
                number, looked = seq, looked + 1
                if status in (None, info.status):
                    found.append(info)
        return RunPage(runs=tuple(found), next=0)

    def ended_attempts(self, run: str, after: int = 0) -> Iterator[tuple[RecordedEvent, Attempt]]:
        """The attempts at the steps of a run with their events, of which those after a number only."""
        return ended_attempts(self._ledger, self.run(run).id, after)

    def summed_attempts(self, run: str) -> RunAttempts:
        """The attempts at the steps of a run, summed up; only those that weren't read before are read."""
        return self.sums.read(self.run(run).id)

    def steps(self, run: str) -> int:
        """How many steps the plan of a run has."""
        started = self._ledger.events(
            kinds=(RunStarted.__name__,), where=about(run_subject(self.run(run).id)), limit=1
        )
        return next((each.event.steps for each in started if isinstance(each.event, RunStarted)), 0)

    def attempts(self, run: str) -> list[Attempt]:
        """All attempts at the steps of a run, in the order in which they were recorded."""
        return [attempt for _, attempt in ended_attempts(self._ledger, self.run(run).id)]

    def last_attempts(
        self, stage: str, environment: str, limit: int
    ) -> list[tuple[RecordedEvent, str, Attempt]]:
        """The last attempts at steps of a stage with their events and runs, newest first."""
        found = self._ledger.events(kinds=("Attempted",), stage=stage, newest=True)
        own = (
            (recorded, recorded.event.run, recorded.event.attempt)
            for recorded in found
            if isinstance(recorded.event, Attempted) and recorded.event.environment == environment
        )
        return [*islice(own, limit)]

    def notes(self, run: str) -> list[str]:
        """What was recorded about a run after its end, in words."""
        id = self.run(run).id
        ends = self._ledger.events(
            kinds=(RunEnded.__name__,), where=about(run_subject(id)), limit=1
        )
        after = next((fact.seq for fact in ends), None)
        if after is None:
            return []
        kinds = (LineageDropped.__name__,)
        found = self._ledger.events(kinds=kinds, run=id, after=after)
        return [fact.event.message for fact in found if isinstance(fact.event, LineageDropped)]

    def log(self, run: str = LAST, stage: str = "", partition: str = "") -> list[LogLine]:
        """The output of steps, step by step, with the outcome of each attempt; silent successes are omitted.

        Raises UsageError if the run had no such step.
        """
        return self.log_part(run, stage, partition).lines

    def log_part(
        self, run: str = LAST, stage: str = "", partition: str = "", after: str = ""
    ) -> LogPart:
        """The output of steps so far as `log` has it, or what followed that which ended at a cursor."""
        return self._run_logs.read(self.run(run), stage, partition, after)

    def drop_old(self) -> None:
        """Forget lines and attempts that nobody asked for in the last while."""
        self._run_logs.drop_old()
        self.sums.drop_old()

    def follow(
        self, run: str = LAST, stage: str = "", partition: str = ""
    ) -> Iterator[list[LogLine]]:
        """Yield the lines so far, then new ones, until the run ends; each batch is ordered by step."""
        info = self.run(run)
        log = RunLog(self._ledger, self._logs / info.id, info.id)
        over = False
        while not over:
            # Check before reading, so that all lines from before the end are read after it.
            over = is_dead(info.holder) or _has_ended(self._ledger, info.id)
            yield [line for line in log.read_new() if belongs_to(line, stage, partition)]
            if not over:
                time.sleep(_POLL_S)

    def performance(self, last: int = 20, environment: str = "") -> tuple[Performance, ...]:
        """The performance figures of each stage over the `last` runs that computed something.

        Without an environment those of all count.
        """
        tried: list[tuple[str, Attempt]] = []
        worked = 0
        for info in iter_runs(self._ledger):
            if environment not in ("", info.environment):
                continue
            own = [
                (info.id, a) for _, a in ended_attempts(self._ledger, info.id) if is_computation(a)
            ]
            tried += own
            worked += bool(own)
            if worked == last:
                break
        return stage_performances(tried)


def _has_ended(ledger: Ledger, run: str) -> bool:
    ends = ledger.events(kinds=(RunEnded.__name__,), where=about(run_subject(run)), limit=1)
    return any(True for _ in ends)


def list_runs(ledger: Ledger, limit: int | None) -> list[RunInfo]:
    """The last runs, newest first."""
    return [*islice(iter_runs(ledger), limit)]


class RecentRuns:
    """Reads the last runs of a ledger, of which there are `most`, each event once."""

    def __init__(self, ledger: Ledger, most: int) -> None:
        self._ledger, self._most = ledger, most
        self._after: int | None = None
        self._runs: dict[str, RunInfo] = {}

    def read(self) -> list[RunInfo]:
        """The last runs, newest first."""
        if self._after is None:
            last = self._ledger.events(kinds=_RUN_EVENTS, newest=True, limit=1)
            self._after = next((fact.seq for fact in last), 0)
            found = list_runs(self._ledger, self._most)
            self._runs = {info.id: info for info in reversed(found)}
        for fact in self._ledger.events(kinds=_RUN_EVENTS, after=self._after):
            self._after = fact.seq
            self._note(fact)
        while len(self._runs) > self._most:
            del self._runs[next(iter(self._runs))]
        return [*reversed(self._runs.values())]

    def _note(self, fact: RecordedEvent) -> None:
        event = fact.event
        if isinstance(event, RunStarted):
            self._runs.setdefault(event.run, _as_started(event, fact.at))
        elif isinstance(event, RunEnded) and event.run in self._runs:
            self._runs[event.run] = _as_ended(self._runs[event.run], fact)


def iter_runs(ledger: Ledger) -> Iterator[RunInfo]:
    """Read the runs one by one, newest first."""
    ends: dict[str, RecordedEvent] = {}
    for recorded in ledger.events(kinds=_RUN_EVENTS, newest=True):
        event = recorded.event
        if isinstance(event, RunStarted):
            yield _as_ended(_as_started(event, recorded.at), ends.pop(event.run, None))
        elif isinstance(event, RunEnded):
            ends[event.run] = recorded


def _started(ledger: Ledger, where: EventFilter, limit: int | None = None) -> Iterator[RunInfo]:
    """The runs of some events as they started, newest first."""
    kinds = (RunStarted.__name__,)
    for recorded in ledger.events(kinds=kinds, where=where, newest=True, limit=limit):
        event = recorded.event
        if isinstance(event, RunStarted):
            yield _as_started(event, recorded.at)


def _as_started(event: RunStarted, at: float) -> RunInfo:
    return RunInfo(
        id=event.run,
        environment=event.environment,
        status=Status.RUNNING,
        started=at,
        command=event.command,
        holder=event.holder,
        actor=event.actor,
    )


def _ended(ledger: Ledger, info: RunInfo) -> RunInfo:
    """A run with its end, if it has ended."""
    found = ledger.events(kinds=(RunEnded.__name__,), where=about(run_subject(info.id)), limit=1)
    return _as_ended(info, next(iter(found), None))


def _with_ends(ledger: Ledger, starts: Iterable[RecordedEvent]) -> Iterator[tuple[int, RunInfo]]:
    """Runs by the events that started them, with their ends as far as they have ended."""
    infos = [
        (fact.seq, _as_started(fact.event, fact.at))
        for fact in starts
        if isinstance(fact.event, RunStarted)
    ]
    where = EventFilter(among=tuple(run_subject(info.id) for _, info in infos))
    ends = {
        fact.event.run: fact
        for fact in ledger.events(kinds=(RunEnded.__name__,), where=where)
        if isinstance(fact.event, RunEnded)
    }
    for seq, info in infos:
        yield seq, _as_ended(info, ends.get(info.id))


def _as_ended(info: RunInfo, recorded: RecordedEvent | None) -> RunInfo:
    """A run with its end, if there is one."""
    if recorded is None or not isinstance(recorded.event, RunEnded):
        return info
    event = recorded.event
    return replace(info, status=event.status, ended=recorded.at, receipt=event.receipt)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPartition:
    """A partition that was published: by which run, and when."""

    partition: str
    run: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractVersion:
    """A contract version: the first and the last partition published under it, and how many there are.

    `published` counts all publications, `held` the partitions that are bound under it now.
    """

    version: str
    first: PublishedPartition
    last: PublishedPartition
    published: int = 0
    held: int = 0


def list_contract_versions(ledger: Ledger, state: State, stage: str) -> list[ContractVersion]:
    """The versions of a stage's contract in a state, oldest first; `ledger` is that of the whole home."""
    head = state.heads.get(stage)
    held = Counter(bound.contract for bound in head.partitions.values()) if head else Counter()
    return [
        ContractVersion(
            version=version,
            first=_publication(ledger, stage, use.first),
            last=_publication(ledger, stage, use.last),
            published=use.published,
            held=held[version],
        )
        for version, use in state.contract_versions.get(stage, {}).items()
    ]


def _publication(ledger: Ledger, stage: str, seq: int) -> PublishedPartition:
    """The publication that an event recorded."""
    [fact] = ledger.events(kinds=(Published.__name__,), stage=stage, after=seq - 1, limit=1)
    assert isinstance(fact.event, Published)
    assert fact.seq == seq
    return PublishedPartition(
        partition=fact.event.partition, run=fact.event.binding.run, at=fact.at
    )
