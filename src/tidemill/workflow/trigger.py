"""Triggers decide when an outdated model is due for retraining; without one, only a person starts it."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import TypeAlias

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import Span, parse_span

# A single one fires, so that figures say nothing.
_COUNTED = ("contracts", "changes")


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerEvidence:
    """The evidence that a trigger looked at, the threshold at which it fires, and the distance to it.

    `value` and `limit` are the figures in `unit` that are compared, None where there is nothing to compare;
    it fires at `value >= limit`. `note` says why it can't tell, or why it waits. `parts` are those of
    `any_of` and `all_of`.
    """

    trigger: str
    fires: bool = False
    seen: str = ""
    threshold: str = ""
    value: float | None = None
    limit: float | None = None
    unit: str = ""
    note: str = ""
    parts: tuple[TriggerEvidence, ...] = ()

    @property
    def distance(self) -> float | None:
        """How far the figure is below the threshold, in `unit`; 0 if it is reached."""
        if self.value is None or self.limit is None:
            return None
        return max(0.0, self.limit - self.value)

    @property
    def figures(self) -> str:
        """The figure, the threshold and the distance in words: `1 of 7 days, 6 to go`."""
        if self.value is None or self.limit is None or self.unit in _COUNTED:
            return ""
        if self.distance == 0:
            return f"{_figure(self.value)} {self.unit}, fires at {self.threshold}"
        left = _figure(max(0.0, self.limit - self.value))
        return f"{_figure(self.value)} of {_figure(self.limit)} {self.unit}, {left} to go"

    def leaves(self) -> Iterator[TriggerEvidence]:
        """Yield the evidence of every trigger that isn't made of others."""
        if not self.parts:
            yield self
        for part in self.parts:
            yield from part.leaves()


def _figure(value: float) -> str:
    """A figure to four digits, without an exponent: `0.8358`, `11,073`."""
    return f"{value:,.0f}" if isfinite(value) and abs(value) >= 1_000 else f"{value:.4g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Degraded:
    """The live model's metric is lastingly worse than at approval, by more than the relative share `by`."""

    metric: str
    by: float
    higher_is_better: bool = False

    def __str__(self) -> str:
        return f"degraded({self.metric}, by={self.by:g})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractChanged:
    """The contract of an input has a different version than in training."""

    def __str__(self) -> str:
        return "contract_changed()"


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """The labelled rows added since training are at least this share of those that it was trained on."""

    share: float

    def __str__(self) -> str:
        return f"volume({self.share:g})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Every:
    """The newest partition is at least `span` newer than the newest one in training."""

    span: Span

    def __str__(self) -> str:
        return f"every({self.span})"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewData:
    """Anything that the model reads changed."""

    def __str__(self) -> str:
        return "new_data()"


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxAge:
    """The model was trained at least `span` ago, by the clock."""

    span: Span

    def __str__(self) -> str:
        return f"max_age({self.span})"


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionShift:
    """The distribution of the live model's predictions lastingly differs from that at its approval.

    They are those of the stage `of`, which reads the log of an endpoint; of a delivered table if it is "".
    """

    tolerance: float
    of: str = ""

    def __str__(self) -> str:
        return f"prediction_shift({self.tolerance:g}{self.of and f', of={self.of}'})"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyOf:
    """At least one of several triggers fires, and the last training is at least `cooldown` ago."""

    triggers: tuple[Trigger, ...]
    cooldown: Span | None = None

    def __str__(self) -> str:
        return _with_cooldown(" or ".join(map(str, self.triggers)), self.cooldown)


@dataclass(frozen=True, slots=True, kw_only=True)
class AllOf:
    """All of several triggers fire, and the last training is at least `cooldown` ago."""

    triggers: tuple[Trigger, ...]
    cooldown: Span | None = None

    def __str__(self) -> str:
        words = (f"({t})" if isinstance(t, AnyOf) else str(t) for t in self.triggers)
        return _with_cooldown(" and ".join(words), self.cooldown)


Trigger: TypeAlias = (
    Degraded | ContractChanged | Volume | Every | NewData | MaxAge | PredictionShift | AnyOf | AllOf
)
_LEAVES = (Degraded, ContractChanged, Volume, Every, NewData, MaxAge, PredictionShift)


def is_trigger(value: object) -> bool:
    """Whether a value is a trigger, made of triggers only."""
    if isinstance(value, AnyOf | AllOf):
        return bool(value.triggers) and all(map(is_trigger, value.triggers))
    return isinstance(value, _LEAVES)


def leaf_triggers(trigger: Trigger | None) -> Iterator[Trigger]:
    """Yield the triggers that a trigger is made of, or itself."""
    if isinstance(trigger, AnyOf | AllOf):
        for part in trigger.triggers:
            yield from leaf_triggers(part)
    elif trigger is not None:
        yield trigger


def _with_cooldown(words: str, cooldown: Span | None) -> str:
    return words if cooldown is None else f"({words}, at most once in {cooldown})"


def degraded(metric: str, *, by: float, higher_is_better: bool = False) -> Degraded:
    """Retrain when the live model's `metric` is lastingly worse than at its approval.

    It may be worse by the relative share `by` (0.05 means 5 %), and a share such as an error rate by at least
    one point. The metric is computed for each partition after the approval, when its labels are there. False
    alarms are rare (one a year of daily partitions) although it looks every day; the plan says so where
    there are too few labels to be both quiet and quick. With several evaluations `metric` is
    `EVALUATION.METRIC`.
    """
    if not isinstance(metric, str) or not metric:
        raise ValueError(f"degraded({metric!r}): name a metric of the evaluation, such as 'mae'")
    _require_positive(f"degraded({metric!r}, by={by!r})", by, "a relative share such as 0.05")
    return Degraded(metric=metric, by=by, higher_is_better=higher_is_better)


def contract_changed() -> ContractChanged:
    """Retrain when the contract of an input has a different version than in training."""
    return ContractChanged()


def volume(share: float) -> Volume:
    """Retrain when the labelled rows added since training are at least `share` of the training set.

    Labelled rows are those of the input that has the label.
    """
    _require_positive(f"volume({share!r})", share, "a share of the training set such as 0.2")
    return Volume(share=share)


def every(span: str) -> Every:
    """Retrain when the newest partition is at least `span` ("14d") newer than the newest in training."""
    return Every(span=parse_span(span))


def new_data() -> NewData:
    """Retrain whenever anything that the model reads changes."""
    return NewData()


def max_age(span: str) -> MaxAge:
    """Retrain when the model was trained at least `span` ago ("30d"), by the clock."""
    return MaxAge(span=parse_span(span))


def prediction_shift(tolerance: float = 0.03, *, of: str = "") -> PredictionShift:
    """Retrain when the live model's predictions lastingly differ from those at its approval.

    No share of predictions below a decile (or of a predicted class) may move by more than `tolerance`.
    It needs no labels, and says nothing about errors: let a gate compare the candidate.

    - `of`: the name of the stage that reads the log of an endpoint, by a contract of `tm.prediction_log`.
      What the live version answered is compared with what it predicted in its evaluation; requests that
      named a version, and answers of candidates in a rollout, don't count. By default it is a table that
      delivers predictions.
    """
    _require_positive(f"prediction_shift({tolerance!r})", tolerance, "a share such as 0.03")
    if tolerance >= 1:
        raise ValueError(f"prediction_shift({tolerance!r}): a share can't move by 1 or more")
    if not isinstance(of, str):
        raise ValueError(
            f"prediction_shift(of={of!r}): name a stage that reads a log, such as 'requests'"
        )
    return PredictionShift(tolerance=tolerance, of=of)


def any_of(*triggers: Trigger, cooldown: str | None = None) -> AnyOf:
    """Retrain when at least one of `triggers` fires, but at most once in `cooldown` ("3d", by the clock).

    The cool-down begins with every training, also one whose model the gates refused.
    """
    return AnyOf(triggers=triggers, cooldown=None if cooldown is None else parse_span(cooldown))


def all_of(*triggers: Trigger, cooldown: str | None = None) -> AllOf:
    """Retrain when all of `triggers` fire, but at most once in `cooldown` ("3d", by the clock).

    The cool-down begins with every training, also one whose model the gates refused.
    """
    return AllOf(triggers=triggers, cooldown=None if cooldown is None else parse_span(cooldown))


def _require_positive(call: str, value: float, expected: str) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not isfinite(value) or value <= 0:
        raise ValueError(f"{call}: it must be above 0, {expected}")
