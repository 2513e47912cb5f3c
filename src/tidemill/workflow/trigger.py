"""When an outdated model is due for training. Only a trigger makes it so, or a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from tidemill.core.partition import Span, parse_span


@dataclass(frozen=True, slots=True, kw_only=True)
class Degraded:
    """The live model's metric on the newest window is worse than at its approval by the share `by`."""

    metric: str
    by: float
    higher_is_better: bool = False

    def __str__(self) -> str:
        return f"degraded({self.metric}, by={self.by:g})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractChanged:
    """A contract of an input is another version than the one that the model was trained on."""

    def __str__(self) -> str:
        return "contract_changed()"


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """The rows that came since the training are this share of those that it was trained on."""

    share: float

    def __str__(self) -> str:
        return f"volume({self.share:g})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Every:
    """The newest partition is this much newer than the newest at the training."""

    span: Span

    def __str__(self) -> str:
        return f"every({self.span})"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewData:
    """Any change of what the model reads."""

    def __str__(self) -> str:
        return "new_data()"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyOf:
    """One of several triggers."""

    triggers: tuple[Trigger, ...]

    def __str__(self) -> str:
        return " or ".join(map(str, self.triggers))


@dataclass(frozen=True, slots=True, kw_only=True)
class AllOf:
    """All of several triggers."""

    triggers: tuple[Trigger, ...]

    def __str__(self) -> str:
        return " and ".join(f"({t})" if isinstance(t, AnyOf) else str(t) for t in self.triggers)


Trigger: TypeAlias = Degraded | ContractChanged | Volume | Every | NewData | AnyOf | AllOf


def degraded(metric: str, *, by: float, higher_is_better: bool = False) -> Degraded:
    """Due when the live model's `metric` got worse than at its approval by the share `by`."""
    return Degraded(metric=metric, by=by, higher_is_better=higher_is_better)


def contract_changed() -> ContractChanged:
    """Due when an input's contract has another version than at the training."""
    return ContractChanged()


def volume(share: float) -> Volume:
    """Due when the rows that came since the training are at least `share` of those trained on."""
    if share <= 0:
        raise ValueError(f"volume({share!r}): the share of new rows must be above 0, such as 0.2")
    return Volume(share=share)


def every(span: str) -> Every:
    """Due when the newest partition is at least `span` (such as "14d") newer than at the training."""
    return Every(span=parse_span(span))


def new_data() -> NewData:
    """Due at every change of what the model reads."""
    return NewData()


def any_of(*triggers: Trigger) -> AnyOf:
    """Due when one of `triggers` is."""
    return AnyOf(triggers=triggers)


def all_of(*triggers: Trigger) -> AllOf:
    """Due when all of `triggers` are."""
    return AllOf(triggers=triggers)
