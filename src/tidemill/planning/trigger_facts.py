"""Collect what the trigger of a model looks at, from published data and recorded trainings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from tidemill.core.counts import plural
from tidemill.core.errors import UsageError
from tidemill.core.partition import PARTITIONS_A_YEAR, time_bounds
from tidemill.ledger.binding import Binding
from tidemill.ledger.delivery import Delivery
from tidemill.models.triggers import (
    MetricHistory,
    Observation,
    TriggerFacts,
    evaluate_trigger,
)
from tidemill.planning.draft import Draft
from tidemill.planning.live_days import approval_scores, live_figures, timed_input
from tidemill.reuse.step_key import Inputs
from tidemill.workflow.gate import split_metric
from tidemill.workflow.model import Artifact
from tidemill.workflow.stage import Input, Stage, evaluations_of
from tidemill.workflow.trigger import Degraded, PredictionShift, TriggerEvidence


def trigger_evidence(
    draft: Draft, stage: Stage, inputs: Inputs, bound: Binding | None, changed: tuple[str, ...]
) -> TriggerEvidence | None:
    """Return what the trigger of a model saw; None without a trigger, or if the model was never trained.

    `inputs` is the window that it would be trained on now, `bound` its last training, and `changed` what
    a training would use that the last one didn't.
    """
    retrain = stage.training.retrain if stage.training is not None else None
    if retrain is None or bound is None or bound.product.artifact is None:
        return None
    return evaluate_trigger(
        retrain, _facts(draft, stage, inputs, bound, bound.product.artifact, changed)
    )


def _facts(
    draft: Draft,
    stage: Stage,
    inputs: Inputs,
    bound: Binding,
    artifact: Artifact,
    changed: tuple[str, ...],
) -> TriggerFacts:
    timed = timed_input(draft, stage)
    labels = _labels_input(stage, artifact)
    new, pending = _new_rows(draft, labels.name, inputs, artifact)
    return TriggerFacts(
        artifact=artifact,
        changed=changed,
        trained_at=_trained_at(draft, bound),
        now=draft.facts.at,
        trained_until=_newest(artifact.trained_on.get(timed.name, ())) if timed else "",
        anchor=_newest(inputs.get(timed.name, ())) if timed else "",
        labels=labels.name,
        trained_rows=artifact.labelled or artifact.rows,
        new_rows=new,
        pending=pending,
        contracts={item.name: item.contract.version for item in stage.frames if item.contract},
        observe=partial(_observe, draft, stage, artifact),
    )


def _trained_at(draft: Draft, bound: Binding) -> float:
    """When the model was last trained, or bound again."""
    return min(bound.at, draft.facts.at)


def _labels_input(stage: Stage, artifact: Artifact) -> Input:
    """The input that has the label; the first one if none has it any more."""
    having = (item for item in stage.frames if artifact.output in item.columns)
    return next(having, stage.frames[0])


def _new_rows(draft: Draft, name: str, inputs: Inputs, artifact: Artifact) -> tuple[int, int]:
    """Count the rows of an input that came since training, and the partitions that aren't published yet.

    Rows that were added to partitions that it was trained on count, too.
    """
    trained = artifact.trained_on.get(name, ())
    bound = draft.bindings(name)
    window = [key for key in inputs.get(name, ()) if key not in set(trained)]
    fresh = sum(bound[key].product.rows for key in window if key in bound)
    pending = sum(key not in bound for key in window)
    if artifact.labelled:
        now = sum(bound[key].product.rows for key in trained if key in bound)
        fresh += max(0, now - artifact.labelled)
    return fresh, pending


def _newest(keys: Iterable[str]) -> str:
    """The last partition by time; "" for an input that wasn't partitioned by time when it was read."""
    newest = max(keys, default="")
    try:
        time_bounds(newest)
    except UsageError:
        return ""
    return newest


def _observe(
    draft: Draft, stage: Stage, artifact: Artifact, trigger: Degraded | PredictionShift
) -> Observation:
    live, watch = draft.facts.live.get(stage.name), draft.facts.watch
    if live is None or watch is None:
        return Observation(seen="no model is live")
    judged = (d.through for d in draft.facts.decisions.values() if d.artifact == artifact.id)
    since = max((live.through, *judged))
    if isinstance(trigger, PredictionShift):
        return watch.prediction_shift(trigger, stage.name, since)
    evaluation = _evaluation_with(draft, stage, live, trigger.metric)
    timed = timed_input(draft, evaluation) if evaluation is not None else None
    approved = approval_scores(live, evaluation) if evaluation is not None else None
    if evaluation is None or timed is None or approved is None:
        return Observation(
            seen="no evaluation of the model reads an input that is partitioned by time"
        )
    own = replace(trigger, metric=split_metric(trigger.metric)[1])
    figures, pending = live_figures(draft, evaluation, live, own.metric)
    grain = draft.partitionings[timed.name].grain
    assert grain is not None
    history = MetricHistory(
        approved=approved, figures=tuple(figures), since=since, a_year=PARTITIONS_A_YEAR[grain]
    )
    return _with_pending(watch.degradation(own, history), pending)


def _with_pending(found: Observation, pending: int) -> Observation:
    if not pending:
        return found
    from_now = f"{plural(pending, 'day')} of this plan will be counted when evaluated"
    note = "; ".join(filter(None, (found.note, from_now)))
    return Observation(
        seen=found.seen,
        threshold=found.threshold,
        evidence=found.evidence,
        limit=found.limit,
        note=note,
    )


def _evaluation_with(draft: Draft, model: Stage, live: Delivery, name: str) -> Stage | None:
    """The evaluation whose scores at approval have a metric; the named or the first one if none has it."""
    wanted, metric = split_metric(name)
    own = [stage for stage in evaluations_of(draft.flow, model.name) if wanted in ("", stage.name)]
    having = (
        stage
        for stage in own
        if (scores := approval_scores(live, stage)) is not None and metric in scores.metrics
    )
    return next(having, next(iter(own), None))
