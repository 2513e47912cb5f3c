"""Plan the evaluation of a live model on each partition since its approval, for the trigger `degraded`.

Each partition is a step with a key of its own. So labels that arrive late or are corrected, and gaps that
are filled, change the figures of their days only, and the figures don't depend on the order of runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from tidemill.core.partition import WHOLE, is_valid_key, readable_keys
from tidemill.ledger.delivery import Delivery
from tidemill.models.gates import LIVE
from tidemill.models.triggers import DayFigure
from tidemill.planning.draft import Draft
from tidemill.reuse.input_contents import Contents, OverlaidContents
from tidemill.reuse.step_key import Inputs, key_for
from tidemill.workflow.gate import Scores, split_metric
from tidemill.workflow.partition_mapping import visible_partitions
from tidemill.workflow.stage import Input, Stage
from tidemill.workflow.trigger import Degraded, leaf_triggers

_LIVE_DAY = f"{LIVE} "


def live_key(day: str) -> str:
    """The partition of an evaluation that has the figures of the live model on one day."""
    return f"{_LIVE_DAY}{day}"


def day_of(partition: str) -> str:
    """The day of such a partition; "" for any other one."""
    return partition.removeprefix(_LIVE_DAY) if partition.startswith(_LIVE_DAY) else ""


def watched_metrics(model: Stage) -> frozenset[str]:
    """The metrics that triggers of a model watch, as they are declared: also `EVALUATION.METRIC`."""
    retrain = model.training.retrain if model.training is not None else None
    return frozenset(leaf.metric for leaf in leaf_triggers(retrain) if isinstance(leaf, Degraded))


def approval_scores(live: Delivery, evaluation: Stage) -> Scores | None:
    """The scores of a live model at its approval, by one of its evaluations; None if that came later."""
    return live.evaluations.get(evaluation.name) if live.evaluations else live.scores


def evaluates_days(draft: Draft, stage: Stage, model: Stage) -> bool:
    """Whether an evaluation has a metric that a trigger of the live model watches."""
    watched, live = watched_metrics(model), draft.facts.live.get(model.name)
    scores = approval_scores(live, stage) if live is not None and watched else None
    return scores is not None and any(
        evaluation in ("", stage.name) and metric in scores.metrics
        for evaluation, metric in map(split_metric, watched)
    )


def timed_input(draft: Draft, stage: Stage) -> Input | None:
    """The first input that is partitioned by time."""
    return next((item for item in stage.frames if draft.partitionings[item.name].is_time), None)


def live_days(
    draft: Draft, stage: Stage, live: Delivery, contents: Inputs
) -> Iterator[tuple[str, Inputs]]:
    """Yield the partitions since the approval that all inputs have, in order, and what each one reads."""
    timed = timed_input(draft, stage)
    if timed is None:
        return
    cut = draft.partitionings[timed.name]
    assert cut.grain is not None
    available = {item.name: readable_keys(contents[item.name]) for item in stage.frames}
    trained = set(live.artifact.trained_on.get(timed.name, ()))
    first = live.through if is_valid_key(live.through, cut) else max(trained, default="")
    for key in available[timed.name]:
        if key <= first or key in trained or not is_valid_key(key, cut):
            continue
        inputs: dict[str, Contents] = {}
        for item in stage.frames:
            other = draft.partitionings[item.name]
            found = visible_partitions(
                replace(item, window=None), key, cut, other, available[item.name]
            )
            if found:
                inputs[item.name] = {k: contents[item.name][k] for k in found}
        if len(inputs) == len(stage.frames):
            yield key, inputs


def live_figures(
    draft: Draft, stage: Stage, live: Delivery, metric: str
) -> tuple[list[DayFigure], int]:
    """Return the live model's figures of each day, in order, and the number of days to be evaluated.

    Only figures of what is published count: those that the plan will compute are counted by the next one.
    """
    bound = draft.bindings(stage.name)
    published = {item.name: OverlaidContents(draft.bindings(item.name)) for item in stage.frames}
    found: list[DayFigure] = []
    for day, key in _day_keys(draft, stage, live, published):
        held = bound.get(live_key(day))
        if held is not None and held.key == key and held.product.scores is not None:
            found += _figures(day, held.product.scores, metric)
    # A stage that only the evaluation reads may not be planned yet.
    planned = {name: draft.contents.get(name, own) for name, own in published.items()}
    pending = sum(
        key is None or (held := bound.get(live_key(day))) is None or held.key != key
        for day, key in _day_keys(draft, stage, live, planned)
    )
    return found, pending


def _day_keys(
    draft: Draft, stage: Stage, live: Delivery, contents: Inputs
) -> Iterator[tuple[str, str | None]]:
    """Yield each day since the approval with the key of its evaluation, None while an input isn't known."""
    model = next(item.name for item in stage.inputs if item.contract is None)
    for day, inputs in live_days(draft, stage, live, contents):
        read = {**inputs, model: {WHOLE: live.artifact.content}}
        yield day, key_for(draft.recipes[stage.name], "", read).key


def _figures(day: str, scores: Scores, metric: str) -> Iterator[DayFigure]:
    """Yield the figures of a partition: of each of its days, if the evaluation names the column of days."""
    daily = scores.daily
    if daily is not None and metric in daily.metrics:
        for own, rows, value in zip(daily.days, daily.rows, daily.metrics[metric], strict=True):
            yield DayFigure(day=own, rows=rows, value=value)
    else:
        yield DayFigure(day=day, rows=scores.rows, value=scores.metrics.get(metric, math.nan))
