"""A step that was begun, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace

from tidemill.core.errors import BudgetError, GateError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import WHOLE
from tidemill.ledger.run import Action, Attempt, Outcome
from tidemill.planning.plan import Step
from tidemill.ports.execution import Fate
from tidemill.reuse.step_key import StepKey
from tidemill.runs.io.publisher import Publication
from tidemill.runs.io.step_inputs import Bound
from tidemill.steps.step_messages import StepCost, StepFailure, StepOutput, Work
from tidemill.workflow.model import Artifact
from tidemill.workflow.stage import Stage


@dataclass(slots=True, kw_only=True)
class StepInProgress:
    """A step that was begun and isn't finished; without `work` there is nothing to compute.

    `known` is the result where it is known already, and `reuse` how it is reused: BIND as it is, RECHECK
    after checking it again. `origins` are the runs whose work the result, or what is kept of it, is. `deaths`
    counts the attempts whose process died. `cost` is that of the attempt so far, which the attempt itself has
    when it ends. `inputs` are what it reads, and `parent` the version that a training continues, once its
    key is found. A step that has `claimed` its key looks its result up: it may be known by then.
    """

    step: Step
    attempt: Attempt
    step_key: StepKey = field(default_factory=lambda: StepKey(key="", inputs={}, shares={}))
    inputs: Mapping[str, Bound] | None = None
    parent: Artifact | None = None
    claimed: bool = False
    work: Work | None = None
    known: StepOutput | None = None
    reuse: Action | None = None
    origins: tuple[str, ...] = ()
    deaths: int = 0
    cost: StepCost = field(default_factory=StepCost)

    @property
    def key(self) -> str:
        """The step's key, once its inputs are known."""
        return self.step_key.key or ""

    def add_cost(self, cost: StepCost) -> None:
        """Add the cost of some of the work on the step."""
        now = self.cost
        self.cost = StepCost(
            wall_s=now.wall_s + cost.wall_s,
            cpu_s=now.cpu_s + cost.cpu_s,
            queued_s=cost.queued_s or now.queued_s,
            peak_rss=cost.peak_rss or now.peak_rss,
            worker=cost.worker or now.worker,
        )

    def next_attempt(self) -> StepInProgress:
        """The same step, for its next attempt."""
        attempt = new_attempt(self.step, self.attempt.number + 1)
        attempt = replace(attempt, evidence=self.attempt.evidence)
        work = None if self.work is None else replace(self.work, attempt=attempt.number)
        return replace(self, attempt=attempt, work=work, cost=StepCost())


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """How a step ended: its attempt (none when it was up to date) and what to publish.

    `key` is the key it had claimed. `postponed_for` is a key that another run claimed: the step hasn't ended.
    `retry_s`: it failed, and is retried after so many seconds.
    """

    attempt: Attempt | None
    publication: Publication | None = None
    key: str = ""
    postponed_for: str = ""
    retry_s: float | None = None


class ClaimedElsewhere(Exception):
    """Another run is computing the step's key."""


def new_attempt(step: Step, number: int = 1) -> Attempt:
    """The `number`-th attempt at a step, as long as nothing went wrong."""
    return Attempt(
        stage=step.stage,
        partition=step.partition,
        action=step.action,
        outcome=Outcome.OK,
        reasons=step.reasons,
        number=number,
    )


def result_of_failure(stage: Stage, begun: StepInProgress, failure: StepFailure) -> StepResult:
    """Retry a step that failed, or give it up, as the stage's retry policy says.

    One that was stopped by a budget hasn't failed, and isn't retried.
    """
    if failure.fate == Fate.BUDGET:
        stopped = failed_attempt(begun.attempt, failure)
        stopped = replace(stopped, outcome=Outcome.STOPPED, exit_code=BudgetError.exit_code)
        return StepResult(attempt=stopped)
    died = failure.fate == Fate.LOST
    begun.deaths += died
    retry_s = stage.retries.retry_delay_s(
        begun.attempt.number, transient=failure.transient, deaths=begun.deaths if died else 0
    )
    attempt = failed_attempt(begun.attempt, failure)
    if retry_s is not None:
        attempt = replace(attempt, outcome=Outcome.RETRIED, exit_code=0)
    return StepResult(attempt=attempt, retry_s=retry_s)


def is_missing(attempt: Attempt) -> bool:
    """Whether the output of a step is missing after its last attempt; trials have none that others read."""
    if attempt.outcome is Outcome.STOPPED:
        return attempt.action != Action.TRIAL
    return attempt.outcome in (Outcome.FAILED, Outcome.SKIPPED)


def failed_attempt(attempt: Attempt, failure: StepFailure) -> Attempt:
    """The attempt with its failure; the message names the step."""
    text = failure.message
    if not text.startswith(attempt.stage):
        place = "" if attempt.partition == WHOLE else f" {attempt.partition}"
        text = f"{attempt.stage}{place}: {text}"
    refused = failure.exit_code == GateError.exit_code
    return replace(
        attempt,
        outcome=Outcome.REFUSED if refused else Outcome.FAILED,
        message=text,
        trace=failure.trace,
        exit_code=failure.exit_code,
        fate=failure.fate,
        findings=failure.findings,
    )


def bytes_written(begun: StepInProgress, made: StepOutput) -> int:
    """The bytes that a step added: without columns that stayed as they were."""
    if not made.columns or begun.work is None or begun.work.held is None:
        return made.product.bytes
    there = begun.work.held.objects
    return sum(part.bytes for part in made.product.parts if part.object not in there)
