"""Past and current runs: the list, and one with its stages, its timeline and its log."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from tidemill.contracts.finding import Finding
from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import WHOLE, summarize_keys
from tidemill.governance.io.recorded_reviews import open_reviews
from tidemill.history.attempt_log import failed_lines, is_failure
from tidemill.history.io.run_attempts import StageAttempts
from tidemill.ledger.awaited_review import awaited_by_attempt, awaited_by_failure
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
class FailureCause:
    """Why some partitions of a stage failed, and what to do; `findings` are the rules that bad rows break.

    If it only waits for people, `review` is what they decide, which `is_waiting` until they did, and
    `verdict` what the gates said of it.
    """

    stage: str
    partitions: str
    why: str
    advice: str
    findings: tuple[Finding, ...]
    review: str
    is_waiting: bool
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """A run: how many of its `steps` are `done`, its stages, its last attempts, and those that failed.

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
    ledger = project.workspace.tools.ledger
    said = {attempt.message for attempt in found.failed}
    receipt = info.receipt
    return RunView(
        run=info,
        word=read_run_words(ledger, (info,)).get(info.id, str(info.status)),
        causes=_causes(info, found.failed, open_reviews(ledger, info.environment)),
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
        failed=tuple(
            sorted(filter(_says_more, found.failed), key=lambda each: _URGENCY[each.outcome])
        ),
        messages=() if receipt is None else tuple(m for m in receipt.messages if m not in said),
        notes=tuple(history.notes(info.id)),
        currency=project.settings.currency,
    )


def _causes(
    info: RunInfo, failed: Iterable[Attempt], open_ids: Collection[str]
) -> tuple[FailureCause, ...]:
    """Why stages failed: errors, then what gates refused, then what waits for people."""
    verdicts = {awaited_by_attempt(attempt): attempt.message for attempt in failed}
    found = []
    for failure in info.receipt.failures if info.receipt is not None else ():
        review = awaited_by_failure(failure)
        one = FailureCause(
            stage=failure.stage,
            partitions=summarize_keys({*failure.partitions} - {WHOLE}),
            why=failure.why,
            advice="" if review else failure.advice,
            findings=failure.findings,
            review=review,
            is_waiting=review in open_ids,
            verdict=verdicts.get(review, "") if review else "",
        )
        found.append((bool(review), not failure.messages, one))
    return tuple(one for *_, one in sorted(found, key=lambda each: each[:2]))


def _says_more(attempt: Attempt) -> bool:
    """Whether an attempt says more than the cause that stands above it."""
    if awaited_by_attempt(attempt):
        return False
    is_retried = attempt.outcome is Outcome.RETRIED
    return bool(is_retried or attempt.trace or "\n" in attempt.message.strip())


def show_log(
    project: Project,
    run: str,
    stage: str = "",
    partition: str = "",
    first: int = -1,
    failures: bool = False,
) -> RunLogView:
    """Show what the steps of a run printed and logged, from the line `first` on.

    Without `first` these are the last lines, or those from the first failure on of a run that ended. Only of
    a `stage` and a `partition`, if these are named, and only of attempts that failed with `failures`. There
    are at most 2,000 lines at once.
    """
    history = project.history
    info = history.run(run)
    lines = history.log(info.id, stage, partition)
    ends = [line for line in lines if is_failure(line)]
    if failures:
        lines = failed_lines(lines)
    goes_on = info.status is Status.RUNNING and not is_dead(info.holder)
    first_failure = lines.index(ends[0]) if ends and not goes_on else -1
    start = max(len(lines) - _MOST_LINES, 0) if first < 0 else first
    if first < 0 <= first_failure:
        start = min(start, first_failure)
    return RunLogView(
        run=info.id,
        stage=stage,
        partition=partition,
        first=start,
        total=len(lines),
        is_running=goes_on,
        lines=tuple(lines[start : start + _MOST_LINES]),
        failures=failures,
        failed=len(ends),
        first_failure=first_failure,
    )
