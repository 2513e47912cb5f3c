"""What a ledger knows about results and deliveries that something newer replaced."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SupersededResult:
    """A result that nothing is bound to any more: the numbers of its `events`, and since when.

    `artifact` is the id of the model in it, if there is one. Times are Unix seconds.
    """

    key: str
    events: tuple[int, ...]
    since: float
    environment: str
    stage: str
    partition: str
    run: str
    artifact: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SupersededEffect:
    """A delivery that was carried out, and that a later one on the same partition replaced."""

    event: int
    environment: str
    stage: str
    partition: str
    since: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectUse:
    """An event that needs an object; `since` is when its result was superseded, None while it is bound."""

    event: int
    kind: str
    environment: str
    stage: str
    partition: str
    at: float
    since: float | None = None
    read_by_branch: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedEvents:
    """The numbers of events about a stage whose objects nothing needs any more, for one reason."""

    stage: str
    reason: str
    events: tuple[int, ...]
