"""Past and current runs: the list, and one with its stages, its timeline and its log."""

from __future__ import annotations

from collections.abc import Mapping

from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.history.io.run_attempts import StageAttempts
from tidemill.ledger.io.lease_holder import is_dead
from tidemill.ledger.log_line import LogLine
from tidemill.ledger.run import Attempt, Outcome, RunInfo, Status
from tidemill.project.project import Project
from tidemill.project.run_words import read_run_words

_MOST_LINES = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StepBar:
    """An attempt at a step, from `begun` for `wall_s` seconds, as a timeline shows it."""

    stage: str
    partition: str
    outcome: Outcome
    action: str
    begun: float
    wall_s: float
    worker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunList:
    """Some runs, and the `before` of the next page; 0 if there are no more.

    `words` say how those ended of which people are asked about something.
    """

    runs: tuple[RunInfo, ...]
    next: int
    words: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """A run: how many of its `steps` are `done`, its stages, its last attempts, and those that failed.

    A run `is_lost` if its process died. With `is_cut` there are more attempts than the timeline has.
    """

    run: RunInfo
    steps: int
    done: int
    is_lost: bool
    stages: tuple[StageAttempts, ...]
    timeline: tuple[StepBar, ...]
    is_cut: bool
    failed: tuple[Attempt, ...]
    notes: tuple[str, ...]
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLogView:
    """Lines that the steps of a run printed and logged, from the line `first` on, of `total` ones."""

    run: str
    stage: str
    partition: str
    first: int
    total: int
    is_running: bool
    lines: tuple[LogLine, ...]


def list_runs(project: Project, before: int = 0, limit: int = 50, status: str = "") -> RunList:
    """List runs, newest first, or those with a `status` only: ok, failed, running, interrupted or lost.

    `before` is the `next` of the page before; `limit` is at most 200.
    """
    if status and status not in [*Status]:
        raise UsageError(f"status = {status!r} is none of {', '.join(Status)}")
    wanted = Status(status) if status else None
    page = project.history.page(max(before, 0), min(max(limit, 1), 200), wanted)
    words = read_run_words(project.workspace.tools.ledger, page.runs)
    return RunList(runs=page.runs, next=page.next, words=words)


def show_run(project: Project, run: str) -> RunView:
    """Show a run: how far it is or how it ended, what failed and why, and when each step ran.

    `run` is an id, a prefix of one, or `last`.
    """
    history = project.history
    info = history.run(run)
    found = history.summed_attempts(info.id)
    return RunView(
        run=info,
        steps=history.steps(info.id),
        done=len(found.steps),
        is_lost=info.status is Status.RUNNING and is_dead(info.holder),
        stages=tuple(found.stages.values()),
        timeline=tuple(
            StepBar(
                stage=each.stage,
                partition=each.partition,
                outcome=each.outcome,
                action=each.action,
                begun=at - each.wall_s,
                wall_s=each.wall_s,
                worker=each.worker,
            )
            for at, each in found.last
        ),
        is_cut=found.total > len(found.last),
        failed=tuple(found.failed),
        notes=tuple(history.notes(info.id)),
        currency=project.settings.currency,
    )


def show_log(
    project: Project, run: str, stage: str = "", partition: str = "", first: int = -1
) -> RunLogView:
    """Show what the steps of a run printed and logged, from the line `first` on; the last lines without it.

    Only of a `stage` and a `partition`, if these are named. There are at most 2,000 lines at once.
    """
    history = project.history
    info = history.run(run)
    lines = history.log(info.id, stage, partition)
    start = max(len(lines) - _MOST_LINES, 0) if first < 0 else first
    return RunLogView(
        run=info.id,
        stage=stage,
        partition=partition,
        first=start,
        total=len(lines),
        is_running=info.status is Status.RUNNING and not is_dead(info.holder),
        lines=tuple(lines[start : start + _MOST_LINES]),
    )
