"""Begin and finish the trials of searches: their results are recorded under their keys, and not published."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tidemill.ledger.binding import Binding
from tidemill.ledger.event import Computed
from tidemill.ledger.run import Action, Outcome
from tidemill.models.search import trial_number
from tidemill.reuse.trial_key import trial_key
from tidemill.runs.io.job import Job
from tidemill.runs.io.published_view import PublishedView
from tidemill.runs.io.publisher import Publication
from tidemill.runs.io.search_session import SearchSession, trial_params
from tidemill.runs.io.step_inputs import StepInputs, contents
from tidemill.runs.io.step_progress import (
    ClaimedElsewhere,
    StepInProgress,
    StepResult,
    result_of_failure,
)
from tidemill.steps.step_messages import StepFailure, StepOutput, TrialWork
from tidemill.workflow.search import TrialResult
from tidemill.workflow.stage import Stage


class TrialLifecycle:
    """Begins and finishes trials; `claim` returns whether a key is this run's to compute."""

    def __init__(
        self,
        job: Job,
        published: PublishedView,
        inputs: StepInputs,
        claim: Callable[[str], bool],
    ) -> None:
        self._ledger = job.tools.ledger
        self._clock = job.tools.clock
        self._recipes = job.recipes
        self._run = job.run
        self._inputs = inputs
        self._published = published
        self._claim = claim
        self._searches = SearchSession(job.tools.sampler, job.price)
        # The results of trials in this run, by key, and by key the trials that run.
        self._results: dict[str, Binding] = {}
        self._running: dict[str, str] = {}
        # By model, the runs whose work its trials are.
        self._makers: dict[str, dict[str, None]] = {}

    def prepare(self, stage: Stage, begun: StepInProgress) -> StepResult | None:
        """Choose the parameters of a trial; look its result up, or put together the work that gives it."""
        step, number = begun.step, trial_number(begun.step.partition)
        trial = self._searches.choose(stage, number)
        if trial is None:
            message = f"{stage.name}: {self._searches.stop_message(stage)}"
            stopped = replace(begun.attempt, outcome=Outcome.STOPPED, message=message)
            return StepResult(attempt=stopped)
        inputs = self._inputs.resolve(stage, step)
        recipe = self._recipes[stage.name]
        begun.step_key = trial_key(recipe, trial_params(stage, trial), contents(inputs))
        # Another trial of this run may have the same parameters.
        if self._running.setdefault(begun.key, step.partition) != step.partition:
            raise ClaimedElsewhere(begun.key)
        if not step.forced:
            self._find_trial(stage, begun)
        if begun.known is None:
            past = tuple(self._searches.before(stage, number))
            begun.work = replace(
                self._inputs.work(stage, step, inputs),
                trial=TrialWork(number=number, params=trial.params, past=past),
            )
        return None

    def _find_trial(self, stage: Stage, begun: StepInProgress) -> None:
        """Look the result of a trial up, or claim its key."""
        for attempted in (False, True):
            found = self._results.get(begun.key) or self._ledger.traces((begun.key,)).get(begun.key)
            if found is not None and self._is_valid(stage, begun, found):
                begun.known, begun.reuse = StepOutput(product=found.product), Action.BIND
                begun.origins = found.makers
                return
            if not attempted and not self._claim(begun.key):
                self._running.pop(begun.key)
                raise ClaimedElsewhere(begun.key)

    def _is_valid(self, stage: Stage, begun: StepInProgress, found: Binding) -> bool:
        """Whether a recorded result is that of this trial."""
        result = found.product.trial
        if result is None or found.touched:
            return False
        number = trial_number(begun.step.partition)
        return not result.pruned or self._searches.is_still_pruned(stage, number, result)

    def choose_best(self, stage: Stage, begun: StepInProgress) -> None:
        """Let the training that follows a search use the parameters of its best trial.

        StepError if no trial succeeded.
        """
        assert begun.work is not None
        params, study = self._searches.conclude(stage)
        begun.work = replace(begun.work, chosen=params, study=study)
        begun.origins = tuple(self._makers.get(stage.name, ()))
        begun.attempt = replace(begun.attempt, message=f"{stage.name}: {study}")

    def conclude(
        self, stage: Stage, begun: StepInProgress, output: StepOutput | StepFailure | None
    ) -> StepResult:
        """Note how a trial ended: one that failed, and isn't retried, doesn't fail its search."""
        if isinstance(output, StepFailure):
            return self._give_up(stage, begun, result_of_failure(stage, begun, output))
        made = begun.known or output
        assert made is not None
        self._running.pop(begun.key, None)
        if begun.known is not None:
            return self._reuse(stage, begun, made)
        return self._record(stage, begun, made)

    def _give_up(self, stage: Stage, begun: StepInProgress, failed: StepResult) -> StepResult:
        self._searches.note_cost(stage, begun.cost.cpu_s)
        if failed.retry_s is not None or failed.attempt is None:
            return failed
        self._running.pop(begun.key, None)
        if failed.attempt.outcome is Outcome.STOPPED:
            return failed
        attempt = replace(failed.attempt, outcome=Outcome.GAVE_UP, exit_code=0)
        number = trial_number(begun.step.partition)
        self._searches.note_failure(stage, number, attempt.message, begun.cost.wall_s)
        return replace(failed, attempt=attempt)

    def _reuse(self, stage: Stage, begun: StepInProgress, made: StepOutput) -> StepResult:
        result = made.product.trial
        assert result is not None
        self._searches.note_result(stage, trial_number(begun.step.partition), result)
        self._makers.setdefault(stage.name, {}).update(dict.fromkeys(begun.origins))
        attempt = replace(
            begun.attempt, outcome=Outcome.BOUND, message=_message(stage, begun, result)
        )
        return StepResult(attempt=attempt)

    def _record(self, stage: Stage, begun: StepInProgress, made: StepOutput) -> StepResult:
        """Record the result of a trial, with its cost, under its key."""
        result, cost = made.product.trial, begun.cost
        assert result is not None
        result = replace(result, wall_s=cost.wall_s, cpu_s=cost.cpu_s)
        self._searches.note_result(stage, trial_number(begun.step.partition), result)
        binding = self._results[begun.key] = Binding(
            key=begun.key,
            inputs=dict(begun.step_key.inputs),
            touched=made.touched,
            recipe=self._recipes[stage.name].digest,
            contract="",
            check="",
            product=replace(made.product, trial=result),
            run=self._run,
            at=self._clock(),
            sample=self._recipes[stage.name].sample,
        )
        rows, size = self._published.input_size(begun.step)
        attempt = replace(
            begun.attempt,
            outcome=Outcome.PRUNED if result.pruned else Outcome.OK,
            message=_message(stage, begun, result),
            rows_in=rows,
            bytes_in=size,
        )
        event = Computed(stage=stage.name, partition=begun.step.partition, binding=binding)
        return StepResult(attempt=attempt, publication=Publication(events=(event,)))


def _message(stage: Stage, begun: StepInProgress, result: TrialResult) -> str:
    assert stage.training is not None
    assert stage.training.search is not None
    name = stage.training.search.metric_name
    figure = "pruned" if result.value is None else f"{name} {result.value:.6g}"
    return f"{stage.name} {begun.step.partition}: {figure} with {result.params}"
