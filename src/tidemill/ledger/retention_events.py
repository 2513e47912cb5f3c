"""Events of retention: what was removed and why, what people pinned, and stages that aren't declared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.garbage import MarkedEvents
from tidemill.ledger.retention_settings import RetentionSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepMarked:
    """A sweep marked what it removes: results that can't be reused from now on, and their objects.

    Results that are bound again by then stay. The objects are deleted afterwards; one that is bound before
    that stays.
    """

    sweep: str
    marks: tuple[MarkedEvents, ...]
    actor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepConfirmed:
    """A sweep deleted what the events `marked` (numbers of `SweepMarked`) had marked, and counts it.

    `objects` and `bytes` are what was deleted, `stages` the bytes by stage. `orphans` of `orphan_bytes` were
    stored and never recorded. `removed` are the bytes of other files by kind: "logs", "memos", "temporary".
    """

    sweep: str
    marked: tuple[int, ...] = ()
    objects: int = 0
    bytes: int = 0
    stages: Mapping[str, int] = field(default_factory=dict)
    orphans: int = 0
    orphan_bytes: int = 0
    removed: Mapping[str, int] = field(default_factory=dict)
    actor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPinned:
    """A person pinned an object, the results of a run, or those of a stage or partition: none is removed."""

    environment: str
    pin: str
    target: str
    actor: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DataUnpinned:
    """A person removed a pin."""

    environment: str
    pin: str
    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StagesUndeclared:
    """A sweep found these published stages, and no others, that the workflow doesn't declare any more."""

    environment: str
    stages: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionDeclared:
    """A workflow of a shared home says how long it keeps data: sweeps that others start go by that.

    `workflow` is what the names of its environments begin with, without the slash.
    """

    workflow: str
    settings: RetentionSettings
