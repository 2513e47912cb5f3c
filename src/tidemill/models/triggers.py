"""Evaluate triggers: is an outdated model due for retraining, and why?

Triggers are functions of recorded facts: the last training, what changed since then, and the figures of
the live model. Nothing fires while a training would use the same recipe and data as the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol, TypeAlias

from tidemill.core.counts import plural
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import Span, time_bounds
from tidemill.workflow.gate import Scores
from tidemill.workflow.model import Artifact
from tidemill.workflow.trigger import (
    AllOf,
    AnyOf,
    ContractChanged,
    Degraded,
    Every,
    MaxAge,
    NewData,
    PredictionShift,
    Trigger,
    TriggerEvidence,
    Volume,
)

_DAY_S = 86_400.0
_UNCHANGED = "its recipe and inputs are those of its last training"


@dataclass(frozen=True, slots=True, kw_only=True)
class DayFigure:
    """The value of a metric on one day (or another partition), over `rows` labelled rows."""

    day: str
    rows: int
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricHistory:
    """A metric of the live model: its scores at approval, and its figures since then in order.

    Only evidence after the day `since` counts: what came before led to the last training. A year has
    `a_year` figures.
    """

    approved: Scores
    figures: tuple[DayFigure, ...]
    since: str = ""
    a_year: int = 365


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """The finding of a detector: the evidence of a lasting change, and how much raises the alarm.

    `evidence` is None without anything to compare; `note` says why it can't tell.
    """

    seen: str
    threshold: str = ""
    evidence: float | None = None
    limit: float | None = None
    note: str = ""


class LiveModelWatch(Protocol):
    """Looks for lasting changes of live models."""

    def degradation(self, trigger: Degraded, history: MetricHistory) -> Observation:
        """Return the evidence that a metric is worse than at approval."""

    def prediction_shift(self, trigger: PredictionShift, model: str, since: str) -> Observation:
        """Return the evidence that delivered predictions changed; that after the day `since` counts."""


# Looks at the figures, or the predictions, of the live model of one stage.
Observe: TypeAlias = Callable[[Degraded | PredictionShift], Observation]


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerFacts:
    """What triggers look at: the last training, changes since then, and the live model.

    `changed` says what a training would use that the last one didn't; `trained_at` and `now` are in Unix
    seconds. `trained_until` and `anchor` are the newest partitions by time in training and now, or empty.
    `labels` is the input that has the label; it had `trained_rows` rows in training, and has `new_rows` more.
    `pending` of its partitions will be published by the plan, and aren't counted.
    """

    artifact: Artifact
    changed: tuple[str, ...]
    trained_at: float
    now: float
    trained_until: str
    anchor: str
    labels: str
    trained_rows: int
    new_rows: int
    pending: int
    contracts: Mapping[str, str]
    observe: Observe


def evaluate_trigger(trigger: Trigger, facts: TriggerFacts) -> TriggerEvidence:
    """Return what a trigger and its parts saw, and whether it fires."""
    if isinstance(trigger, AnyOf | AllOf):
        parts = tuple(evaluate_trigger(each, facts) for each in trigger.triggers)
        fired = [part.fires for part in parts]
        fires = bool(fired) and (any(fired) if isinstance(trigger, AnyOf) else all(fired))
        if trigger.cooldown is None:
            return TriggerEvidence(trigger=str(trigger), fires=fires, parts=parts)
        left, note = _cooling(trigger.cooldown, facts)
        return TriggerEvidence(
            trigger=str(trigger), fires=fires and left <= 0, note=note, parts=parts
        )
    return _judged(facts, _evidence(trigger, facts))


def _evidence(trigger: Trigger, facts: TriggerFacts) -> TriggerEvidence:
    match trigger:
        case Degraded() | PredictionShift():
            return _observed(trigger, facts)
        case ContractChanged():
            return _contracts(facts)
        case Volume():
            return _volume(trigger, facts)
        case Every():
            return _every(trigger, facts)
        case MaxAge():
            return _max_age(trigger, facts)
        case _:
            return _new_data(facts)


def fired_reasons(evidence: TriggerEvidence) -> tuple[str, ...]:
    """Return the reasons to retrain, with their figures; empty if the trigger doesn't fire."""
    if not evidence.fires:
        return ()
    if evidence.parts:
        return tuple(reason for part in evidence.parts for reason in fired_reasons(part))
    return (f"{evidence.trigger}: {evidence.seen}",)


def _judged(facts: TriggerFacts, found: TriggerEvidence) -> TriggerEvidence:
    """The evidence with the decision whether it fires: if the threshold is reached, and anything changed."""
    reached = found.value is not None and found.limit is not None and found.value >= found.limit
    note = found.note
    if reached and not facts.changed:
        note = "; ".join(filter(None, (note, _UNCHANGED)))
    return replace(found, fires=reached and bool(facts.changed), note=note)


def _observed(trigger: Degraded | PredictionShift, facts: TriggerFacts) -> TriggerEvidence:
    found = facts.observe(trigger)
    return TriggerEvidence(
        trigger=str(trigger),
        seen=found.seen,
        threshold=found.threshold,
        value=found.evidence,
        limit=found.limit,
        unit="evidence",
        note=found.note,
    )


def _contracts(facts: TriggerFacts) -> TriggerEvidence:
    trained = facts.artifact.contracts
    changed = [
        f"the contract of `{name}` changed from {trained[name]} to {version}"
        for name, version in facts.contracts.items()
        if name in trained and trained[name] != version
    ]
    return TriggerEvidence(
        trigger=str(ContractChanged()),
        seen="; ".join(changed) or "no contract has another version than in its last training",
        threshold="1 contract",
        value=len(changed),
        limit=1,
        unit="contracts",
    )


def _volume(trigger: Volume, facts: TriggerFacts) -> TriggerEvidence:
    # A model that was trained on no row is due with the first.
    limit = max(trigger.share * facts.trained_rows, 1)
    new = plural(facts.new_rows, "new labelled row")
    later = f"{plural(facts.pending, 'partition')} of `{facts.labels}` in this plan"
    return TriggerEvidence(
        trigger=str(trigger),
        seen=f"{new} since it was trained on {facts.trained_rows:,}",
        threshold=plural(_ceil(limit), "row"),
        value=facts.new_rows,
        limit=limit,
        unit="rows",
        note=f"{later} will be counted when published" if facts.pending else "",
    )


def _ceil(value: float) -> int:
    return -int(-value // 1)


def _every(trigger: Every, facts: TriggerFacts) -> TriggerEvidence:
    then, now = facts.trained_until, facts.anchor
    found = TriggerEvidence(
        trigger=str(trigger),
        seen="no input is partitioned by time",
        threshold=str(trigger.span),
        unit="days",
    )
    if not then or not now:
        return found
    end = time_bounds(now)[0]
    moved = f"its newest data moved from {then} to {now}"
    return replace(
        found,
        seen=moved if then != now else f"its newest data is still {then}",
        value=(end - time_bounds(then)[0]).total_seconds() / _DAY_S,
        limit=_days(trigger.span, end),
    )


def _max_age(trigger: MaxAge, facts: TriggerFacts) -> TriggerEvidence:
    age = max(0.0, facts.now - facts.trained_at) / _DAY_S
    return TriggerEvidence(
        trigger=str(trigger),
        seen=f"it was trained {_in_words(age)} ago",
        threshold=str(trigger.span),
        value=age,
        limit=_days(trigger.span, _moment(facts.now)),
        unit="days",
    )


def _new_data(facts: TriggerFacts) -> TriggerEvidence:
    return TriggerEvidence(
        trigger=str(NewData()),
        seen="; ".join(facts.changed) or _UNCHANGED,
        threshold="1 change",
        value=len(facts.changed),
        limit=1,
        unit="changes",
    )


def _cooling(cooldown: Span, facts: TriggerFacts) -> tuple[float, str]:
    """The days that a cool-down still lasts, and that in words."""
    age = max(0.0, facts.now - facts.trained_at) / _DAY_S
    left = _days(cooldown, _moment(facts.now)) - age
    state = f"{_in_words(left)} to go" if left > 0 else "over"
    return left, f"cool-down {cooldown}: {state}, it was trained {_in_words(age)} ago"


def _days(span: Span, end: datetime) -> float:
    """The length of a span that ends at a moment, in days."""
    return (end - span.before(end)).total_seconds() / _DAY_S


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC).replace(tzinfo=None)


def _in_words(days: float) -> str:
    """A length of time to two digits: `12 min`, `5.5 h`, `3.2 days`."""
    if days < 1 / 24:
        return f"{days * 1440:.0f} min"
    if days < 2:
        return f"{days * 24:.2g} h"
    return f"{days:.3g} days"
