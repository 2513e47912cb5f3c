"""Past and current runs: the list, and one with its stages, its timeline and its log."""

from __future__ import annotations

from tidemill.core.lazy_dataclass import dataclass
from tidemill.history.io.run_attempts import StageAttempts
from tidemill.history.io.runs import RunPage
from tidemill.ledger.io.lease_holder import is_dead
from tidemill.ledger.log_line import LogLine
from tidemill.ledger.run import Attempt, Outcome, RunInfo, Status
from tidemill.project.project import Project

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
class RunView:
    """A run: its stages, its last attempts, and those that failed; of its `steps` so many ended well: `done`.

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
    """Lines that the steps of a run printed and logged, from the line `first` on, of `total` ones.

    While the run goes on, lines come between those before them. So what follows isn't found by its number:
    send `next` as `after`, until it is empty; then `first` and `total` count what followed.
    """

    run: str
    stage: str
    partition: str
    first: int
    total: int
    is_running: bool
    lines: tuple[LogLine, ...]
    next: str


def list_runs(project: Project, before: int = 0, limit: int = 50) -> RunPage:
    """List runs, newest first.

    `before` is the `next` of the page before; `limit` is at most 200.
    """
    return project.history.page(max(before, 0), min(max(limit, 1), 200))


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
        done=len(found.done),
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
    project: Project,
    run: str,
    stage: str = "",
    partition: str = "",
    first: int = -1,
    after: str = "",
) -> RunLogView:
    """Show what the steps of a run printed and logged, from the line `first` on; the last lines without it.

    Only of a `stage` and a `partition`, if these are named. There are at most 2,000 lines at once, or all
    of a part that followed `after`, the `next` of what was shown before.
    """
    history = project.history
    info = history.run(run)
    part = history.log_part(info.id, stage, partition, after)
    found = part.lines
    start = max(len(found) - _MOST_LINES, 0) if first < 0 else first
    if after:
        start = 0
    return RunLogView(
        run=info.id,
        stage=stage,
        partition=partition,
        first=start,
        total=len(found),
        is_running=info.status is Status.RUNNING and not is_dead(info.holder),
        lines=tuple(found if after else found[start : start + _MOST_LINES]),
        # Only the end of a log is followed.
        next=part.next if after or start + _MOST_LINES >= len(found) else "",
    )
