"""What the ledger tells of runs, and of the versions of a contract that partitions passed.

What the steps of a run said isn't in the ledger, but beside it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.history.attempt_log import with_ends
from tidemill.history.io.log_reader import LogReader
from tidemill.history.stage_figures import counts, performances
from tidemill.ledger.binding import Binding
from tidemill.ledger.event import Attempted, Published, Recorded, RunEnded, RunStarted
from tidemill.ledger.io.lease_holder import is_dead
from tidemill.ledger.log_line import Line, Try
from tidemill.ledger.performance import Performance
from tidemill.ledger.run import Attempt, RunInfo, Status
from tidemill.ports.ledger import Ledger
from tidemill.workflow.environment import lineage_of

# Names the newest run.
LAST = "last"
_POLL_S = 0.3


class History:
    """What was run in a project: runs and their attempts, what steps said, how stages perform.

    A run is named by its id, by the beginning of it, or as "last"; UsageError names what there is.
    """

    def __init__(self, ledger: Ledger, logs: Path) -> None:
        self._ledger = ledger
        self._logs = logs

    def runs(self, limit: int | None = 20) -> list[RunInfo]:
        """The last runs, newest first."""
        return list_runs(self._ledger, limit)

    def run(self, name: str = LAST) -> RunInfo:
        """The run of that name."""
        known = self.runs(limit=None)
        if name == LAST and known:
            return known[0]
        found = [info for info in known if info.id.startswith(name)]
        exact = [info for info in found if info.id == name]
        if len(exact or found) != 1:
            advice = did_you_mean(name, [info.id for info in found or known])
            many = "more than one run is" if found else "there is no run"
            raise UsageError(f"{many} {name!r} ({advice})")
        return (exact or found)[0]

    def attempts(self, run: str) -> list[Attempt]:
        """All tries at the steps of a run, in the order in which they were recorded."""
        return [attempt for _, attempt in _attempts(self._ledger, self.run(run).id)]

    def log(self, run: str = LAST, stage: str = "", partition: str = "") -> list[Line]:
        """What steps printed and logged, step by step, and how they ended; silent successes are left out.

        UsageError when the run had no such step.
        """
        info = self.run(run)
        told = _Told(self._ledger, self._logs, info.id)
        lines = told.fresh()
        _refuse_unknown(info.id, stage, partition, told.steps)
        return [line for line in lines if _is_of(line, stage, partition)]

    def follow(self, run: str = LAST, stage: str = "", partition: str = "") -> Iterator[list[Line]]:
        """The lines so far, then new ones as they come, until the run ends; each batch is ordered by step."""
        info = self.run(run)
        told = _Told(self._ledger, self._logs, info.id)
        over = False
        while not over:
            # Asked first: what was said before the end is then read after it.
            over = is_dead(info.holder) or _has_ended(self._ledger, info.id)
            yield [line for line in told.fresh() if _is_of(line, stage, partition)]
            if not over:
                time.sleep(_POLL_S)

    def performance(self, last: int = 20) -> tuple[Performance, ...]:
        """The figures of each stage over the last runs that had any of its steps to do."""
        tried: list[tuple[str, Attempt]] = []
        worked = 0
        for info in self.runs(limit=None):
            own = [(info.id, a) for _, a in _attempts(self._ledger, info.id) if counts(a)]
            tried += own
            worked += bool(own)
            if worked == last:
                break
        return performances(tried)


class _Told:
    """What was said in a run, and how tries ended, since it was asked last; `steps` are all that it saw."""

    def __init__(self, ledger: Ledger, logs: Path, run: str) -> None:
        self._ledger = ledger
        self._run = run
        self._reader = LogReader(logs / run)
        self._spoke: set[Try] = set()
        self._seen = 0
        self.steps: set[tuple[str, str]] = set()

    def fresh(self) -> list[Line]:
        # How a try ended is recorded after it said the last: in this order nothing of it comes too late.
        ended = list(_attempts(self._ledger, self._run, self._seen))
        lines = self._reader.fresh()
        found = with_ends(lines, [(fact.at, attempt) for fact, attempt in ended], self._spoke)
        if ended:
            self._seen = ended[-1][0].seq
        self._spoke.update(line.of for line in lines)
        self.steps.update((attempt.stage, attempt.partition) for _, attempt in ended)
        self.steps.update((line.stage, line.partition) for line in lines)
        return found


def _attempts(ledger: Ledger, run: str, after: int = 0) -> Iterator[tuple[Recorded, Attempt]]:
    for recorded in ledger.events(kinds=("Attempted",), run=run, after=after):
        if isinstance(recorded.event, Attempted):
            yield recorded, recorded.event.attempt


def _has_ended(ledger: Ledger, run: str) -> bool:
    return any(True for _ in ledger.events(kinds=("RunEnded",), run=run, limit=1))


def _is_of(line: Line, stage: str, partition: str) -> bool:
    return stage in ("", line.stage) and partition in ("", line.partition)


def _refuse_unknown(run: str, stage: str, partition: str, steps: set[tuple[str, str]]) -> None:
    stages = {name for name, _ in steps if name}
    if stage and stage not in stages:
        raise UsageError(f"run {run} had no step of {stage!r} ({did_you_mean(stage, stages)})")
    keys = {key for name, key in steps if key and stage in ("", name)}
    if partition and partition not in keys:
        advice = did_you_mean(partition, keys)
        raise UsageError(f"run {run} had no step {stage} {partition!r} ({advice})")


def list_runs(ledger: Ledger, limit: int | None) -> list[RunInfo]:
    """The last runs, newest first."""
    runs: dict[str, RunInfo] = {}
    for recorded in ledger.events(kinds=("RunStarted", "RunEnded")):
        event = recorded.event
        if isinstance(event, RunStarted):
            runs[event.run] = RunInfo(
                id=event.run,
                environment=event.environment,
                status=Status.RUNNING,
                started=recorded.at,
                command=event.command,
                holder=event.holder,
            )
        elif isinstance(event, RunEnded) and event.run in runs:
            begun = runs[event.run]
            runs[event.run] = RunInfo(
                id=begun.id,
                environment=begun.environment,
                status=event.status,
                started=begun.started,
                ended=recorded.at,
                command=begun.command,
                holder=begun.holder,
                receipt=event.receipt,
            )
    return list(reversed(runs.values()))[:limit]


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """A partition that was published: by which run, and when."""

    partition: str
    run: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A version of a contract: what passed it first and last, how often, and how many hold it now."""

    version: str
    first: Publication
    last: Publication
    published: int = 0
    held: int = 0


def list_versions(
    ledger: Ledger, environment: str, stage: str, now: Mapping[str, Binding]
) -> list[Held]:
    """The versions of a stage's contract in the order in which they came; `now` is what is bound."""
    found: dict[str, Held] = {}
    ours = lineage_of(ledger.state(environment).environments, environment)
    for recorded in ledger.events(kinds=("Published",)):
        event = recorded.event
        if not isinstance(event, Published):
            continue
        if event.stage != stage or not ours(event.environment, recorded.seq):
            continue
        bound = event.binding
        made = Publication(partition=event.partition, run=bound.run, at=recorded.at)
        before = found.get(bound.contract, Held(version=bound.contract, first=made, last=made))
        found[bound.contract] = replace(before, last=made, published=before.published + 1)
    held = Counter(binding.contract for binding in now.values())
    return [replace(each, held=held[each.version]) for each in found.values()]
