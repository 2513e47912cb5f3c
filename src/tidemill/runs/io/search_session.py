"""The searches of one run: which parameters each trial gets, how trials ended, and which one is best."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from typing import Any

from tidemill.core.errors import StepError, UsageError
from tidemill.core.partition import WHOLE
from tidemill.ledger.price import Price
from tidemill.models.search import (
    COMPLETE,
    FAILED,
    PRUNED,
    RUNNING,
    best_trial,
    budget_spent,
    params_text,
    study_of,
    visible_trials,
)
from tidemill.ports.search import TrialSampler
from tidemill.workflow.search import Search, Study, StudyTrial, TrialResult
from tidemill.workflow.stage import Stage


class SearchSession:
    """Chooses the parameters of trials, and keeps how they ended; it is called in the order of the plan."""

    def __init__(self, sampler: TrialSampler, price: Price) -> None:
        self._sampler = sampler
        self._price = price
        self._trials: dict[str, dict[int, StudyTrial]] = defaultdict(dict)
        self._cpu_s: dict[str, float] = defaultdict(float)
        self._stopped: dict[str, str] = {}
        self._errors: dict[str, str] = {}

    def choose(self, stage: Stage, number: int) -> StudyTrial | None:
        """The parameters of a trial; None if the budget is used. UsageError if nothing can be searched."""
        search, trials = _search_of(stage), self._trials[stage.name]
        if number in trials:
            return trials[number]  # it was put off, or is retried
        if number == 0:
            params = {name: _training_params(stage)[name] for name in search.space}
        else:
            if reason := self._stop_reason(stage, search):
                self._stopped.setdefault(stage.name, reason)
                return None
            if obstacle := self._sampler.find_obstacle():
                raise UsageError(obstacle)
            params = self._sampler.suggest(search, self.before(stage, number), number)
        trials[number] = StudyTrial(number=number, state=RUNNING, params=params_text(params))
        return trials[number]

    def before(self, stage: Stage, number: int) -> list[StudyTrial]:
        """The trials that a trial's parameters and its pruning depend on."""
        return visible_trials(_search_of(stage), self._trials[stage.name], number)

    def stop_message(self, stage: Stage) -> str:
        """Why no further trial begins; "" if one may."""
        return self._stopped.get(stage.name, "")

    def is_still_pruned(self, stage: Stage, number: int, result: TrialResult) -> bool:
        """Whether a trial that was pruned would be pruned now: pruning depends on the trials before."""
        if self._sampler.find_obstacle():
            return False
        now = replace(self._trials[stage.name][number], reports=result.reports)
        return self._sampler.should_prune(_search_of(stage), self.before(stage, number), now)

    def note_result(self, stage: Stage, number: int, result: TrialResult) -> None:
        """Note the result of a trial, which ran now or before."""
        trials = self._trials[stage.name]
        trials[number] = replace(
            trials[number],
            state=PRUNED if result.pruned else COMPLETE,
            value=result.value,
            wall_s=result.wall_s,
            reports=result.reports,
        )
        self._cpu_s[stage.name] += result.cpu_s

    def note_cost(self, stage: Stage, cpu_s: float) -> None:
        """Add what a failed attempt at a trial used, which counts towards the limit like any other."""
        self._cpu_s[stage.name] += cpu_s

    def note_failure(self, stage: Stage, number: int, message: str, wall_s: float) -> None:
        """Note that a trial failed."""
        trials = self._trials[stage.name]
        if number in trials:
            trials[number] = replace(trials[number], state=FAILED, wall_s=wall_s)
        self._errors.setdefault(stage.name, message)

    def conclude(self, stage: Stage) -> tuple[str, Study]:
        """The parameters to train with, as JSON, and the study; StepError if no trial succeeded."""
        search = _search_of(stage)
        trials = [t for _, t in sorted(self._trials[stage.name].items()) if t.state != RUNNING]
        best = best_trial(search, trials)
        if best is None:
            first = self._errors.get(stage.name, self.stop_message(stage))
            raise StepError(
                f"{stage.name}: no trial of its search succeeded; the first one: {first}",
                stage=stage.name,
                partition=WHOLE,
            )
        importances = (
            {} if self._sampler.find_obstacle() else self._sampler.importances(search, trials)
        )
        return best.params, study_of(search, trials, best, importances, self.stop_message(stage))

    def _stop_reason(self, stage: Stage, search: Search) -> str:
        ended = [t for t in self._trials[stage.name].values() if t.state != RUNNING]
        return budget_spent(search, ended, self._price.of(self._cpu_s[stage.name]))


def trial_params(stage: Stage, trial: StudyTrial) -> dict[str, Any]:
    """All parameters of a model in a trial."""
    return {**_training_params(stage), **json.loads(trial.params)}


def _training_params(stage: Stage) -> dict[str, Any]:
    assert stage.training is not None
    return dict(stage.training.params)


def _search_of(stage: Stage) -> Search:
    assert stage.training is not None
    assert stage.training.search is not None
    return stage.training.search
