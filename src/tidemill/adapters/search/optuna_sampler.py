"""Choose the parameters of trials with Optuna.

A study is rebuilt in memory from recorded trials for each question, and its sampler is seeded by the number
of the trial. So an answer depends on nothing else, and a search continues after a crash where it was.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from tidemill.core.extras import install_command
from tidemill.workflow.search import Choices, Floats, Integers, Search, Space, StudyTrial

if TYPE_CHECKING:
    import optuna

# When a trial ran doesn't count.
_EPOCH = datetime(2000, 1, 1)
# Fewer complete trials say nothing about importance.
_TELLING = 4


class OptunaSampler:
    """The sampler, pruners and importance of Optuna."""

    def find_obstacle(self) -> str:
        """Why nothing can be searched: Optuna isn't installed."""
        if find_spec("optuna") is not None:
            return ""
        return f"a search needs optuna: {install_command('optuna')}"

    def suggest(self, search: Search, past: Sequence[StudyTrial], number: int) -> dict[str, Any]:
        """Choose by a tree-structured Parzen estimator; trials that still run count as bad ones nearby."""
        with _quiet() as optuna:
            sampler = optuna.samplers.TPESampler(
                seed=_seed(search, number), multivariate=True, constant_liar=True
            )
            study = _study(search, past, sampler)
            asked = study.ask(_distributions(search))
            return {name: asked.params[name] for name in search.space}

    def should_prune(self, search: Search, past: Sequence[StudyTrial], trial: StudyTrial) -> bool:
        """Ask the declared pruner, which compares with the trials before."""
        if search.pruner is None:
            return False
        with _quiet() as optuna:
            pruner: Any = (
                optuna.pruners.MedianPruner(n_startup_trials=4)
                if search.pruner == "median"
                else optuna.pruners.PercentilePruner(25.0, n_startup_trials=4)
            )
            study = _study(search, past, optuna.samplers.RandomSampler(seed=0))
            return bool(pruner.prune(study, _frozen(search, trial, len(study.trials))))

    def importances(self, search: Search, trials: Sequence[StudyTrial]) -> dict[str, float]:
        """Shares by PED-ANOVA (Watanabe, Bansal and Hutter, 2023), which needs no other library."""
        complete = [trial for trial in trials if trial.state == "complete"]
        if len(complete) < _TELLING or len({trial.value for trial in complete}) < 2:
            return {}
        with _quiet() as optuna:
            study = _study(search, complete, optuna.samplers.RandomSampler(seed=0))
            evaluator = optuna.importance.PedAnovaImportanceEvaluator()
            found = optuna.importance.get_param_importances(study, evaluator=evaluator)
        return {name: round(float(found.get(name, 0.0)), 6) for name in search.space}


@contextmanager
def _quiet() -> Iterator[Any]:
    """Import Optuna, and keep its log and its notes on experimental features to itself."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield optuna
    finally:
        optuna.logging.set_verbosity(level)


def _seed(search: Search, number: int) -> int:
    # Neighbouring seeds give unrelated numbers: NumPy hashes them.
    return (search.seed * 100_003 + number) % 2**32


def _distributions(search: Search) -> dict[str, optuna.distributions.BaseDistribution]:
    return {name: _distribution(space) for name, space in search.space.items()}


def _distribution(space: Space) -> optuna.distributions.BaseDistribution:
    from optuna import distributions

    match space:
        case Floats(low=low, high=high, log=log):
            return distributions.FloatDistribution(low, high, log=log)
        case Integers(low=low, high=high, step=step, log=log):
            # Optuna takes only ranges that end with a step.
            return distributions.IntDistribution(
                low, high - (high - low) % step, log=log, step=step
            )
        case Choices(values=values):
            return distributions.CategoricalDistribution(values)


def _study(
    search: Search, past: Sequence[StudyTrial], sampler: optuna.samplers.BaseSampler
) -> optuna.Study:
    import optuna

    study = optuna.create_study(
        sampler=sampler, direction="maximize" if search.higher_is_better else "minimize"
    )
    for number, trial in enumerate(past):
        study.add_trial(_frozen(search, trial, number))
    return study


def _frozen(search: Search, trial: StudyTrial, number: int) -> optuna.trial.FrozenTrial:
    from optuna.trial import FrozenTrial, TrialState

    states = {
        "complete": TrialState.COMPLETE,
        "pruned": TrialState.PRUNED,
        "failed": TrialState.FAIL,
        "running": TrialState.RUNNING,
    }
    params = json.loads(trial.params)
    ended = trial.state != "running"
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=states[trial.state],
        value=trial.value if trial.state == "complete" else None,
        datetime_start=_EPOCH,
        datetime_complete=_EPOCH if ended else None,
        params={name: params[name] for name in search.space},
        distributions=_distributions(search),
        user_attrs={},
        system_attrs={},
        intermediate_values=dict(trial.reports),
    )
