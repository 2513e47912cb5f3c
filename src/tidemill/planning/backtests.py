"""Plan backtests: an evaluation repeated on past windows, each with a model that is trained as of then."""

from __future__ import annotations

from datetime import date

from tidemill.core.partition import WHOLE, readable_keys
from tidemill.ledger.run import Action
from tidemill.models.gates import BACKTEST
from tidemill.planning.draft import Draft, reads_of, reasons_for, size_of
from tidemill.planning.plan import Step
from tidemill.reuse.step_key import Inputs, key_for
from tidemill.workflow.backtest import backtest_days, backtest_ends, backtest_partition
from tidemill.workflow.partition_mapping import sortable_end, visible_to_unpartitioned
from tidemill.workflow.stage import Stage


def plan_backtests(draft: Draft, stage: Stage, model: Stage) -> None:
    """Plan the windows of an evaluation's `backtest` that aren't computed yet."""
    if not stage.backtest:
        return
    ends = [end for item in stage.frames if (end := _newest_end(draft, item.name))]
    if not ends:
        return
    for end in backtest_ends(min(ends), *backtest_days(stage)):
        training, evaluation = (_window_before(draft, each, end) for each in (model, stage))
        if training is not None and evaluation is not None:
            _plan_window(draft, stage, model, backtest_partition(end), training, evaluation)


def _plan_window(
    draft: Draft, stage: Stage, model: Stage, name: str, training: Inputs, evaluation: Inputs
) -> None:
    names = {**training, **evaluation}
    both = {n: {**training.get(n, {}), **evaluation.get(n, {})} for n in names}
    # What the model will be follows from its recipe and its inputs.
    trained = key_for(draft.recipes[model.name], WHOLE, training).key
    inputs: Inputs = {**both, model.name: {WHOLE: trained}}
    recipe, bound = draft.recipes[stage.name], draft.bindings(stage.name).get(name)
    handed = key_for(recipe, "", inputs)
    forced = bool(recipe.unproven or draft.recipes[model.name].unproven)
    forced = forced or (bound is not None and bool(bound.touched))
    if bound is not None and handed.key == bound.key and not forced:
        draft.current[stage.name] += 1
        return
    rows, size = size_of(draft, inputs)
    step = Step(
        stage=stage.name,
        partition=name,
        action=Action.EVALUATE,
        reasons=reasons_for(draft, stage, bound, inputs, handed),
        reads=reads_of(inputs),
        subject=BACKTEST,
        forced=forced,
        rows=rows,
        bytes=size,
        windows={"training": reads_of(training), "evaluation": reads_of(evaluation)},
    )
    draft.add(step)


def _newest_end(draft: Draft, name: str) -> date | None:
    cut = draft.partitionings[name]
    keys = readable_keys(sorted(draft.contents[name]))
    if cut.grain is None or not keys:
        return None
    return date.fromisoformat(sortable_end(keys[-1], cut.grain)[:10])


def _window_before(draft: Draft, stage: Stage, end: date) -> Inputs | None:
    """Return the inputs of a stage up to the day `end`; None if one of them has no partition until then."""
    available = {
        item.name: [
            key for key in sorted(draft.contents[item.name]) if _ends_by(draft, item.name, key, end)
        ]
        for item in stage.frames
    }
    seen = visible_to_unpartitioned(stage, draft.partitionings, available)
    if any(item.name not in seen for item in stage.frames):
        return None
    return {name: draft.contents_of(name, keys) for name, keys in seen.items()}


def _ends_by(draft: Draft, name: str, key: str, end: date) -> bool:
    grain = draft.partitionings[name].grain
    if grain is None:
        return True
    return bool([*readable_keys([key])]) and sortable_end(key, grain)[:19] <= f"{end}T00:00:00"
