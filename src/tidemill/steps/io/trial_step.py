"""Run a trial of a hyperparameter search: train on the first part of the window, score on the rest."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from inspect import signature
from math import isfinite
from typing import TYPE_CHECKING, Any

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.fingerprint import fingerprint
from tidemill.core.partition import WHOLE
from tidemill.ledger.binding import Product
from tidemill.models.predictors import ModelPredictor
from tidemill.models.search import RUNNING, split_window
from tidemill.ports.search import TrialSampler
from tidemill.steps.io.audit_watch import AuditWatch
from tidemill.steps.io.input_frames import InputFrames
from tidemill.steps.io.invocation import call_stage
from tidemill.steps.io.model_export import step_error, unstored_predictor
from tidemill.steps.io.model_step import ModelStepRunner
from tidemill.steps.step_messages import Inputs, StepOutput, TrialWork, Work
from tidemill.workflow.gate import Goal, Scores
from tidemill.workflow.partition_mapping import partitionings_of
from tidemill.workflow.search import Search, StudyTrial, TrialPruned, TrialResult
from tidemill.workflow.search_evaluation import search_evaluation
from tidemill.workflow.stage import Flow, Stage

if TYPE_CHECKING:
    from tidemill.folds.io.partials_cache import FoldSession


class ReportingTrial:
    """The trial that a training function reports to; ends it when its pruner says so."""

    def __init__(
        self, search: Search, work: TrialWork, past: Sequence[StudyTrial], sampler: TrialSampler
    ) -> None:
        self.number = work.number
        self.reports: dict[int, float] = {}
        self.pruned = False
        self._search = search
        self._params = work.params
        self._past = past
        self._sampler = sampler

    def report(self, value: float, step: int) -> None:
        """Note the metric after `step` rounds; TrialPruned if the trial isn't promising."""
        value, step = float(value), int(step)
        if not isfinite(value) or step < 0:
            raise UsageError(
                f"trial.report({value}, step={step}): report a finite number, and a step of at least 0"
            )
        self.reports[step] = value
        now = StudyTrial(
            number=self.number,
            state=RUNNING,
            params=self._params,
            reports=tuple(sorted(self.reports.items())),
        )
        if self._sampler.should_prune(self._search, self._past, now):
            self.pruned = True
            raise TrialPruned(f"trial {self.number} isn't promising after step {step}")


class TrialRunner:
    """Runs the trials of one run."""

    def __init__(
        self, flow: Flow, frames: InputFrames, trainer: ModelStepRunner, sampler: TrialSampler
    ) -> None:
        self._flow = flow
        self._frames = frames
        self._trainer = trainer
        self._sampler = sampler
        self._partitionings = partitionings_of(flow)

    def run(self, stage: Stage, work: Work, folder: FoldSession | None) -> StepOutput:
        """Train with the parameters of a trial, and score the model on partitions that were held out."""
        assert work.trial is not None
        assert stage.training is not None
        search = stage.training.search
        assert search is not None
        keys = {name: sorted(bound) for name, bound in work.inputs.items()}
        fit, held = split_window(search, keys, self._partitionings)
        trial = ReportingTrial(search, work.trial, work.trial.past, self._sampler)
        params = {**stage.training.params, **json.loads(work.trial.params)}
        value: float | None = None
        touched: tuple[str, ...] = ()
        try:
            part = replace(work, inputs=_cut(work.inputs, fit), chosen=work.trial.params)
            frames = self._trainer.window(stage, part.inputs, folder)
            with AuditWatch(stage.place, active=not stage.is_vouched_for) as opened:
                fitted = self._trainer.fit(stage, frames, params, trial)
            touched = opened.describe()
            if not trial.pruned:
                predictor = unstored_predictor(*self._trainer.export(stage, part, fitted, frames))
                value, read = self._score(stage, search, predictor, _cut(work.inputs, held), folder)
                touched += read
        # The function may wrap what `report` raises in an error of its own.
        except Exception:
            if not trial.pruned:
                raise
        self._frames.confirm(work.inputs)
        if value is not None and not isfinite(value):
            raise step_error(stage, f"{search.metric_name} is {value} on the held-out partitions")
        result = TrialResult(
            params=work.trial.params,
            value=value,
            reports=tuple(sorted(trial.reports.items())),
            pruned=trial.pruned,
        )
        rows = sum(b.product.rows for b in work.inputs.get(stage.frames[0].name, {}).values())
        product = Product(content=fingerprint("trial", repr(result)), rows=rows, trial=result)
        return StepOutput(product=product, touched=touched)

    def _score(
        self,
        stage: Stage,
        search: Search,
        predictor: ModelPredictor,
        inputs: Inputs,
        folder: FoldSession | None,
    ) -> tuple[float, tuple[str, ...]]:
        """The metric on partitions that were held out, and the hidden inputs of its function."""
        evaluation = search_evaluation(stage, self._flow.stages)
        if evaluation is None:
            frames = self._frames.of_partition(stage, inputs, folder)
            with AuditWatch(search.place, active=not stage.is_vouched_for) as opened:
                value = self._call_metric(stage, search, predictor, frames)
            return value, opened.describe()
        own = {item.name for item in evaluation.frames}
        frames = self._frames.of_partition(
            evaluation, {name: bound for name, bound in inputs.items() if name in own}, folder
        )
        with AuditWatch(evaluation.place, active=not evaluation.is_vouched_for) as opened:
            scores = call_stage(evaluation, WHOLE, {**frames, stage.name: predictor})
        if not isinstance(scores, Scores):
            raise step_error(evaluation, f"it returned {type(scores).__name__}, not tm.scores(...)")
        if search.metric_name not in scores.metrics:
            advice = did_you_mean(search.metric_name, scores.metrics)
            raise step_error(
                stage, f"{evaluation.name} has no metric {search.metric_name!r} ({advice})"
            )
        _require_direction(stage, search, scores)
        return scores.metrics[search.metric_name], opened.describe()

    def _call_metric(
        self, stage: Stage, search: Search, predictor: ModelPredictor, frames: Mapping[str, Any]
    ) -> float:
        """Call the user's function with the frames that it names, and the model as its other parameter."""
        function: Any = search.metric
        names = list(signature(function).parameters)
        if sum(name not in frames for name in names) > 1:
            raise step_error(
                stage,
                f"metric={search.metric_name} takes {', '.join(names)}: one parameter is the model, the "
                f"others have names of its inputs ({', '.join(frames)})",
            )
        given = {name: frames.get(name, predictor) for name in names}
        scoring = replace(stage, function=function, place=search.place)
        found = call_stage(scoring, WHOLE, given)
        if isinstance(found, bool) or not hasattr(found, "__float__"):
            raise step_error(stage, f"metric={search.metric_name} returned {found!r}, not a number")
        return float(found)


def _require_direction(stage: Stage, search: Search, scores: Scores) -> None:
    """Raise StepError for a metric whose best value isn't the one that the search looks for."""
    name = search.metric_name
    goal = scores.goals.get(name, Goal.LOW)
    if goal is Goal.HIGH and not search.higher_is_better:
        raise step_error(stage, f"{name} is best high: tm.search(..., higher_is_better=True)")
    if goal is Goal.ZERO:
        raise step_error(
            stage,
            f"{name} is best at zero, which a search can't look for: pass a function as metric=",
        )


def _cut(inputs: Inputs, keys: Mapping[str, Sequence[str]]) -> Inputs:
    return {name: {key: bound[key] for key in keys[name]} for name, bound in inputs.items()}
