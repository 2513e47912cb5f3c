"""Past and current runs: the list, and one with its stages, its timeline and its log."""

from __future__ import annotations

from collections.abc import Mapping

from tidemill.console.views.run_causes import FailureCause, failure_causes, says_more
from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.io.recorded_reviews import open_reviews
from tidemill.history.attempt_log import failed_lines, is_failure
from tidemill.history.io.run_attempts import StageAttempts
from tidemill.ledger.io.lease_holder import is_dead
from tidemill.ledger.log_line import LogLine
from tidemill.ledger.run import Attempt, Outcome, RunInfo, Status
from tidemill.project.project import Project
from tidemill.project.run_words import read_run_words

_MOST_LINES = 2_000
# In which order attempts are shown that didn't go well.
_URGENCY = {Outcome.FAILED: 0, Outcome.REFUSED: 1, Outcome.RETRIED: 2}


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
    """A run: its stages, its last attempts, and those that failed; of its `steps` so many ended well: `done`.

    A run `is_lost` if its process died. With `is_cut` there are more attempts than the timeline has. `word`
    says how it ended, or that it waits for people. `causes` are why stages failed: errors, then refusals,
    then what people are asked. `failed` are attempts of which there is more to say, in the same order, and
    `messages` what the run said of nothing else.
    """

    run: RunInfo
    word: str
    causes: tuple[FailureCause, ...]
    steps: int
    done: int
    is_lost: bool
    stages: tuple[StageAttempts, ...]
    timeline: tuple[StepBar, ...]
    is_cut: bool
    failed: tuple[Attempt, ...]
    messages: tuple[str, ...]
    notes: tuple[str, ...]
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLogView:
    """Lines that the steps of a run printed and logged, from the line `first` on, of `total` ones.

    While the run goes on, lines come between those before them. So what follows isn't found by its number:
    send `next` as `after`, until it is empty; then `first` and `total` count what followed.

    With `failures` there are only those of attempts that failed, of which there are `failed`. The first of
    these ended at the line `first_failure`, -1 if there is none.
    """

    run: str
    stage: str
    partition: str
    first: int
    total: int
    is_running: bool
    lines: tuple[LogLine, ...]
    failures: bool
    failed: int
    first_failure: int
    next: str


def list_runs(project: Project, before: int = 0, limit: int = 50, status: str = "") -> RunList:
    """List runs, newest first, or those with a `status` only: ok, failed, running, interrupted or lost.

    `before` is the `next` of the page before; `limit` is at most 200.
    """
    if status and status not in [*Status]:
        raise UsageError(f"status = {status!r} is none of {', '.join(Status)}")
    wanted = Status(status) if status else None
    page = project.history.page(max(before, 0), min(max(limit, 1), 200), wanted)
    words = read_run_words(project.workspace.tools.ledger, page.runs)
    # Of those that only wait for people nothing failed.
    runs = (run for run in page.runs if wanted is not Status.FAILED or run.id not in words)
    return RunList(runs=tuple(runs), next=page.next, words=words)


def show_run(project: Project, run: str) -> RunView:
    """Show a run: how far it is or how it ended, what failed and why, and when each step ran.

    `run` is an id, a prefix of one, or `last`.
    """
    history = project.history
    info = history.run(run)
    found = history.summed_attempts(info.id)
    ledger = project.workspace.tools.ledger
    said = {attempt.message for attempt in found.failed}
    receipt = info.receipt
    return RunView(
        run=info,
        word=read_run_words(ledger, (info,)).get(info.id, str(info.status)),
        causes=failure_causes(info, found.failed, open_reviews(ledger, info.environment)),
        steps=history.steps(info.id),
        done=found.done,
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
        failed=tuple(
            sorted(filter(says_more, found.failed), key=lambda each: _URGENCY[each.outcome])
        ),
        messages=() if receipt is None else tuple(m for m in receipt.messages if m not in said),
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
    failures: bool = False,
) -> RunLogView:
    """Show what the steps of a run printed and logged, from the line `first` on.

    Without `first` these are the last lines, or those from the first failure on of a run that ended. Only of
    a `stage` and a `partition`, if these are named, and only of attempts that failed with `failures`. There
    are at most 2,000 lines at once, or all of a part that followed `after`, the `next` of what was shown
    before.
    """
    history = project.history
    info = history.run(run)
    part = history.log_part(info.id, stage, partition, after)
    lines = part.lines
    ends = [line for line in lines if is_failure(line)]
    if failures:
        lines = failed_lines(lines)
    goes_on = info.status is Status.RUNNING and not is_dead(info.holder)
    first_failure = lines.index(ends[0]) if ends and not goes_on else -1
    start = max(len(lines) - _MOST_LINES, 0) if first < 0 else first
    if first < 0 <= first_failure:
        start = min(start, first_failure)
    if after:
        start = 0
    return RunLogView(
        run=info.id,
        stage=stage,
        partition=partition,
        first=start,
        total=len(lines),
        is_running=goes_on,
        lines=tuple(lines if after else lines[start : start + _MOST_LINES]),
        failures=failures,
        failed=len(ends),
        first_failure=first_failure,
        # Only the end of a log is followed.
        next=part.next if after or start + _MOST_LINES >= len(lines) else "",
    )
