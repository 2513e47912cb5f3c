"""Decide what a hyperparameter search does next, and which trial is best.

Trial n is chosen from the results of trials 0 to n - parallel: from a fixed set, whatever has ended by then.
So up to `parallel` trials run at once, and the same results always give the same trials.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Any

from tidemill.core.counts import plural
from tidemill.core.errors import UsageError
from tidemill.core.partition import Partitioning, partition_end, partition_start
from tidemill.workflow.search import Search, Study, StudyTrial
from tidemill.workflow.window import Last, select_partitions

COMPLETE, PRUNED, FAILED, RUNNING = "complete", "pruned", "failed", "running"

_TRIAL = "trial "


def trial_partition(number: int) -> str:
    """The name under which a trial is a step of its model."""
    return f"{_TRIAL}{number}"


def trial_number(partition: str) -> int:
    """The number of the trial that a step is."""
    return int(partition.removeprefix(_TRIAL))


def trials_before(search: Search, number: int) -> tuple[str, ...]:
    """The trials whose results the parameters of a trial are chosen from."""
    return tuple(map(trial_partition, range(number - search.parallel + 1)))


def visible_trials(
    search: Search, trials: Mapping[int, StudyTrial], number: int
) -> list[StudyTrial]:
    """The trials before one as its sampler sees them: the last few as running, whether or not they ended."""
    seen = number - search.parallel
    return [
        trial if at <= seen else StudyTrial(number=at, state=RUNNING, params=trial.params)
        for at, trial in sorted(trials.items())
        if at < number
    ]


def params_text(params: Mapping[str, Any]) -> str:
    """Parameters as JSON, the same for equal ones."""
    return json.dumps(dict(params), sort_keys=True)


def budget_spent(search: Search, trials: Iterable[StudyTrial], price: float) -> str:
    """Why no further trial may begin; "" if one may. `price` is that of all trials so far."""
    spent = sum(trial.wall_s for trial in trials)
    if search.budget_s is not None and spent >= search.budget_s:
        return f"its budget of {search.budget_s:g} s is used ({spent:.3g} s)"
    if search.cost is not None and price >= search.cost:
        return f"its budget of {search.cost:g} is used ({price:.3g})"
    return ""


def best_trial(search: Search, trials: Iterable[StudyTrial]) -> StudyTrial | None:
    """The complete trial with the best metric, the first of equals; None if there is none."""
    sign = -1 if search.higher_is_better else 1
    scored = [
        (sign * t.value, t.number, t) for t in trials if t.value is not None and t.state == COMPLETE
    ]
    return min(scored, key=lambda item: item[:2])[2] if scored else None


def study_of(
    search: Search,
    trials: Iterable[StudyTrial],
    best: StudyTrial,
    importances: Mapping[str, float],
    stopped: str,
) -> Study:
    """The record of a search that ended."""
    kept = [
        StudyTrial(number=t.number, state=t.state, params=t.params, value=t.value, wall_s=t.wall_s)
        for t in trials
    ]
    return Study(
        metric=search.metric_name,
        higher_is_better=search.higher_is_better,
        best=best.number,
        trials=tuple(sorted(kept, key=lambda trial: trial.number)),
        planned=search.trials,
        importances=dict(importances),
        stopped=stopped,
    )


def split_window(
    search: Search, keys: Mapping[str, Sequence[str]], partitionings: Mapping[str, Partitioning]
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Split the partitions of a training window into those to fit on and those to score a trial on.

    `keys` are sorted, by input; the first one by time decides where the held-out part begins. Inputs that
    aren't partitioned by time are in both parts as a whole. UsageError if a part would be empty.
    """
    timed = [name for name in keys if partitionings[name].is_time and keys[name]]
    if not timed:
        raise UsageError(
            "a search holds out the last part of the training window, and no input is partitioned by time"
        )
    begin = _held_out_begin(search, keys[timed[0]], partitionings[timed[0]])
    fit: dict[str, list[str]] = {}
    held: dict[str, list[str]] = {}
    for name, own in keys.items():
        grain = partitionings[name].grain
        if grain is None:
            fit[name] = held[name] = list(own)
            continue
        fit[name] = [key for key in own if partition_end(key, grain) <= begin]
        held[name] = [key for key in own if partition_start(key, grain) >= begin]
        if not fit[name] or not held[name]:
            raise UsageError(
                f"the training window has {plural(len(own), 'partition')} of `{name}`: too few to hold out "
                f"validate={search.validate} and to train on the rest"
            )
    return fit, held


def _held_out_begin(search: Search, keys: Sequence[str], partitioning: Partitioning) -> Any:
    grain = partitioning.grain
    assert grain is not None
    if isinstance(search.validate, Last):
        chosen = select_partitions(search.validate, keys, grain, keys[-1])
    else:
        chosen = list(keys[-max(1, ceil(search.validate * len(keys))) :])
    return partition_start((chosen or [keys[-1]])[0], grain)
