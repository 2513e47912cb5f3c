"""What a ledger knows about results and deliveries that something newer replaced."""

from __future__ import annotations

from tidemill.core.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedUse:
    """An event that needs objects, and what it is about; "" where it says nothing of that.

    What was only computed is in the environment of its run. `artifact` is the id of the model in it.
    """

    event: int
    environment: str
    stage: str
    partition: str
    run: str = ""
    artifact: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SupersededResult:
    """The results under a step key to which nothing is bound any more, oldest first, and since when.

    A step that was repeated has several: of other runs, environments or stages, also with other objects.
    """

    key: str
    uses: tuple[RecordedUse, ...]
    since: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedUse:
    """An event that a sweep marked, its kind, and the objects that it needed."""

    use: RecordedUse
    kind: str
    objects: tuple[str, ...]


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
