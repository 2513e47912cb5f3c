"""Runs and attempts: how an execution of a plan and each of its steps ended, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tidemill.workflow.incremental_fold import FoldUsage
from tidemill.workflow.memo import MemoUsage


class Outcome(StrEnum):
    """How an attempt at a step ended.

    BOUND reused a result. CURRENT turned out to be up to date, and isn't recorded as an event. RETRIED
    failed and was retried: another attempt at the same step follows.
    """

    OK = "ok"
    BOUND = "bound"
    CURRENT = "current"
    FAILED = "failed"
    RETRIED = "retried"
    REFUSED = "refused"
    SKIPPED = "skipped"


class Status(StrEnum):
    """The status of a run: still running, or how it ended."""

    RUNNING = "running"
    OK = "ok"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """The outcome and cost of one attempt at a step; `message` says why it failed.

    `number` counts the attempts at a step in a run from 1. `fate` is how a failed one ended: "error",
    "lost", "oom", "timeout" or "cancelled". It waited `queued_s` seconds for the process `worker` (empty:
    the run's own), whose memory reached `peak_rss` bytes (0: not measured). If it recomputed only some
    columns, they are in `columns`. `memo` and `fold` are the use of memos and folds.
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
    memo: MemoUsage | None = None
    fold: FoldUsage | None = None
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A failure of some partitions of a stage for the same reason, and advice what to do about it.

    `why` is one line; `messages` are those of the attempts (none if gates refused, since their verdict
    is shown already). `skipped` counts the steps that were skipped because of it.
    """

    stage: str
    partitions: tuple[str, ...]
    why: str
    advice: str
    messages: tuple[str, ...] = ()
    skipped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTotals:
    """Totals of one stage's attempts in a run; `ran` includes those that `removed` a partition."""

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
    memo: MemoUsage | None = None
    fold: FoldUsage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The summary of a run: what it did, reused and cost.

    `cost` is money in the project's currency: CPU seconds at the configured price (0 if none is set)
    plus the spending of memos, over all attempts.
    """

    run: str
    status: Status
    stages: tuple[StageTotals, ...] = ()
    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_rss: int = 0
    cost: float = 0.0
    currency: str = ""
    exit_code: int = 0
    messages: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()

    @property
    def memo(self) -> MemoUsage | None:
        """The total use of memos; None if no memo was called."""
        used = [tally.memo for tally in self.stages if tally.memo is not None]
        return sum(used, MemoUsage()) if used else None

    @property
    def fold(self) -> FoldUsage | None:
        """The total work of folds; None if there were none."""
        used = [tally.fold for tally in self.stages if tally.fold is not None]
        return sum(used, FoldUsage()) if used else None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """A run in the ledger; times are Unix seconds."""

    id: str
    environment: str
    status: Status
    started: float
    ended: float | None = None
    command: str = ""
    holder: Mapping[str, str] = field(default_factory=dict)
    receipt: Receipt | None = None


class Action(StrEnum):
    """The action of a step."""

    RUN = "run"
    BIND = "bind"
    RECHECK = "recheck"
    TRAIN = "train"
    EVALUATE = "evaluate"
    GATE = "gate"
    DELIVER = "deliver"
    REMOVE = "remove"
