"""Triggers decide when an outdated model is due for retraining; otherwise only a person starts it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from tidemill.core.partition import Span, parse_span


@dataclass(frozen=True, slots=True, kw_only=True)
class Degraded:
    """The live model's metric on the newest window is worse than at approval by the relative share `by`."""

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
    """The rows added since training are at least this share of the training rows."""

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
class AnyOf:
    """At least one of several triggers fires."""

    triggers: tuple[Trigger, ...]

    def __str__(self) -> str:
        return " or ".join(map(str, self.triggers))


@dataclass(frozen=True, slots=True, kw_only=True)
class AllOf:
    """All of several triggers fire."""

    triggers: tuple[Trigger, ...]

    def __str__(self) -> str:
        return " and ".join(f"({t})" if isinstance(t, AnyOf) else str(t) for t in self.triggers)


Trigger: TypeAlias = Degraded | ContractChanged | Volume | Every | NewData | AnyOf | AllOf


def degraded(metric: str, *, by: float, higher_is_better: bool = False) -> Degraded:
    """Retrain when the live model's `metric` is worse than at its approval by the relative share `by`.

    The metric comes from the newest evaluation; `by=0.05` means 5 % worse.
    """
    return Degraded(metric=metric, by=by, higher_is_better=higher_is_better)


def contract_changed() -> ContractChanged:
    """Retrain when the contract of an input has a different version than in training."""
    return ContractChanged()


def volume(share: float) -> Volume:
    """Retrain when the rows added since training are at least `share` of the training rows."""
    if share <= 0:
        raise ValueError(f"volume({share!r}): the share of new rows must be above 0, such as 0.2")
    return Volume(share=share)


def every(span: str) -> Every:
    """Retrain when the newest partition is at least `span` ("14d") newer than the newest in training."""
    return Every(span=parse_span(span))


def new_data() -> NewData:
    """Retrain whenever anything that the model reads changes."""
    return NewData()


def any_of(*triggers: Trigger) -> AnyOf:
    """Retrain when at least one of `triggers` fires."""
    return AnyOf(triggers=triggers)


def all_of(*triggers: Trigger) -> AllOf:
    """Retrain when all of `triggers` fire."""
    return AllOf(triggers=triggers)
