"""One execution of a plan, and its attempts at steps: outcome, findings, cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tidemill.workflow.incremental_fold import FoldUsage
from tidemill.workflow.memo import Usage


class Outcome(StrEnum):
    """How an attempt ended; CURRENT turned out to have nothing to do, and is no event.

    RETRIED failed, and was tried again: another attempt at the same step follows.
    """

    OK = "ok"
    BOUND = "bound"
    CURRENT = "current"
    FAILED = "failed"
    RETRIED = "retried"
    REFUSED = "refused"
    SKIPPED = "skipped"


class Status(StrEnum):
    """How a run ended, or that it hasn't."""

    RUNNING = "running"
    OK = "ok"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What one try at a step did and cost; seconds, rows and bytes. `message` says why it failed.

    `number` counts the tries at a step in a run, and `fate` tells how one that failed ended: "error",
    "lost", "oom", "timeout" or "cancelled". It waited `queued_s` for the process `worker` (empty: the
    run's own), which held at most `peak_rss` bytes (0 where that wasn't seen). Where it made only some
    `columns`, the others stayed as they were. `memo` is what its memos spared and took, `fold` what
    its folds did.
    """

    stage: str
    partition: str
    action: str
    outcome: Outcome
    reasons: tuple[str, ...] = ()
    message: str = ""
    trace: str = ""
    exit_code: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    rows_in: int = 0
    rows_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    quarantined: int = 0
    number: int = 1
    fate: str = ""
    queued_s: float = 0.0
    peak_rss: int = 0
    worker: str = ""
    memo: Usage | None = None
    fold: FoldUsage | None = None
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What went wrong in the same way in some partitions of a stage, why, and what to do about it.

    `why` is one line, `messages` are those of the attempts (none where gates refused: their verdict is
    for everybody to see). So many steps were `skipped` because of it.
    """

    stage: str
    partitions: tuple[str, ...]
    why: str
    advice: str
    messages: tuple[str, ...] = ()
    skipped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The sums over one stage's attempts in a run; `ran` includes those that `removed` a partition."""

    stage: str
    ran: int = 0
    bound: int = 0
    rechecked: int = 0
    removed: int = 0
    current: int = 0
    failed: int = 0
    retried: int = 0
    skipped: int = 0
    rows_in: int = 0
    rows_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    quarantined: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    memo: Usage | None = None
    fold: FoldUsage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a run did, what it spared, and what it cost.

    `cost` is money, in the project's currency: CPU seconds at its price (nothing while none is set), and
    what memos spent, in all attempts together.
    """

    run: str
    status: Status
    stages: tuple[Tally, ...] = ()
    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_rss: int = 0
    cost: float = 0.0
    currency: str = ""
    exit_code: int = 0
    messages: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()

    @property
    def memo(self) -> Usage | None:
        """What the memos of all stages spared and took; None if none was asked."""
        used = [tally.memo for tally in self.stages if tally.memo is not None]
        return sum(used, Usage()) if used else None

    @property
    def fold(self) -> FoldUsage | None:
        """What the folds of all stages spared and took; None if there were none."""
        used = [tally.fold for tally in self.stages if tally.fold is not None]
        return sum(used, FoldUsage()) if used else None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """A run as the ledger knows it."""

    id: str
    environment: str
    status: Status
    started: float
    ended: float | None = None
    command: str = ""
    holder: Mapping[str, str] = field(default_factory=dict)
    receipt: Receipt | None = None


class Action(StrEnum):
    """What a step does."""

    RUN = "run"
    BIND = "bind"
    RECHECK = "recheck"
    TRAIN = "train"
    EVALUATE = "evaluate"
    GATE = "gate"
    DELIVER = "deliver"
    REMOVE = "remove"
