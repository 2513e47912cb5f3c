"""Runs and attempts: how an execution of a plan and each of its steps ended, and what they cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from importlib import import_module

from tidemill.contracts.finding import Finding
from tidemill.core.errors import BudgetError, GateError, TidemillError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import WHOLE, summarize_keys
from tidemill.ledger.off_peak import OffPeakSaving
from tidemill.workflow.incremental_fold import FoldUsage
from tidemill.workflow.memo import MemoUsage
from tidemill.workflow.trigger import TriggerEvidence

# How many causes the error of a failed run names.
_NAMED_CAUSES = 3


class Outcome(StrEnum):
    """How an attempt at a step ended.

    BOUND reused a result. CURRENT turned out to be up to date, and isn't recorded as an event. RETRIED
    failed and was retried: another attempt at the same step follows. PRUNED, GAVE_UP and STOPPED are ends of
    trials of a search that don't fail it: it wasn't promising, it failed, or the budget was used. Any other
    step that was STOPPED would have exceeded a budget.
    """

    OK = "ok"
    BOUND = "bound"
    CURRENT = "current"
    FAILED = "failed"
    RETRIED = "retried"
    REFUSED = "refused"
    SKIPPED = "skipped"
    PRUNED = "pruned"
    GAVE_UP = "gave up"
    STOPPED = "stopped"


FAILURES = frozenset({Outcome.FAILED, Outcome.REFUSED})
# Also what failed at first.
FAULTS = FAILURES | {Outcome.RETRIED}


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
    "lost", "oom", "timeout", "cancelled" or "budget". It waited `queued_s` seconds for the process `worker`
    (empty: the run's own), whose memory reached `peak_rss` bytes (0: not measured). If it recomputed only
    some columns, they are in `columns`. `memo` and `fold` are the use of memos and folds. It had `gpus`
    devices, sent `egress_bytes` to others, and used so many of each of the named `units`. If too many rows
    were bad, `findings` are the rules that these break. `evidence` is what the trigger of a training saw.
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
    findings: tuple[Finding, ...] = ()
    evidence: TriggerEvidence | None = None
    gpus: int = 0
    egress_bytes: int = 0
    units: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A failure of some partitions of a stage for the same reason, and advice what to do about it.

    `why` is one line; `messages` are those of the attempts (none if gates refused, since their verdict
    is shown already). `skipped` counts the steps that were skipped because of it. If too many rows of the
    first partition were bad, `findings` are the rules that these break.
    """

    stage: str
    partitions: tuple[str, ...]
    why: str
    advice: str
    messages: tuple[str, ...] = ()
    skipped: int = 0
    findings: tuple[Finding, ...] = ()


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
    memory_gb_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Receipt:
    """The summary of a run: what it did, reused and cost.

    `cost` is money in the project's currency: what all attempts and the run beside them used, at the prices
    when it began (0 if none is set), plus the spending of memos. `memory_gb_s` is the memory that its
    processes held, in gigabytes (10^9 bytes) times seconds. `off_peak` is what work saved that
    had waited for a cheaper time.
    processes held, in gigabytes (10^9 bytes) times seconds. `estimated_cost` is what it was expected to cost
    when it began; None if that wasn't known.
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
    memory_gb_s: float = 0.0
    off_peak: OffPeakSaving | None = None
    estimated_cost: float | None = None

    def __repr__(self) -> str:
        return f"<Receipt {self.headline}>"

    @property
    def outcome_line(self) -> str:
        """How the run ended, how many steps of each stage ran, and how long it took."""
        ran = ", ".join(f"{stage.stage} {stage.ran}" for stage in self.stages if stage.ran)
        return f"{self.status}: {ran or 'nothing ran'} in {self.wall_s:.1f} s"

    @property
    def has_failed(self) -> bool:
        """Whether it failed, and trying again may help.

        That helps nothing where gates refused a model, people have to decide, or a budget is used up.
        """
        waits = self.exit_code in (GateError.exit_code, BudgetError.exit_code) and not any(
            failure.messages for failure in self.failures
        )
        return self.status is Status.FAILED and not waits

    @property
    def headline(self) -> str:
        """The run, how it ended, and how many steps it ran."""
        kinds = ("ran", "bound", "failed", "skipped", "quarantined")
        counts = {kind: sum(getattr(tally, kind) for tally in self.stages) for kind in kinds}
        words = {"bound": "reused", "quarantined": "rows quarantined"}
        figures = [
            f"{number:,} {words.get(kind, kind)}" for kind, number in counts.items() if number
        ]
        return f"{self.run} {self.status}: {', '.join(figures) or 'nothing to do'}; {self.wall_s:.1f} s"

    def _repr_html_(self) -> str:
        """Render a row per stage, and one per cause of failures, for notebooks."""
        html: str = import_module("tidemill.ledger.run_notebook").receipt_html(self)
        return html

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


class RunFailed(TidemillError):
    """A run in which something failed, was refused or was interrupted; carries its receipt."""

    def __init__(self, receipt: Receipt) -> None:
        self.receipt = receipt
        self.exit_code = receipt.exit_code
        causes = [
            f"{one.stage}{_partitions(one.partitions)}: {one.why}" for one in receipt.failures
        ] or list(receipt.messages)
        more = len(causes) - _NAMED_CAUSES
        shown = causes[:_NAMED_CAUSES] + ([f"and {more:,} more"] if more > 0 else [])
        head = (
            f"run {receipt.run} {receipt.status}; see its receipt, or `tidemill runs {receipt.run}`"
        )
        super().__init__("\n  ".join([head, *shown]))


def _partitions(keys: Sequence[str]) -> str:
    named = summarize_keys(set(keys) - {WHOLE})
    return f" {named}" if named else ""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RunInfo:
    """A run in the ledger, and who started it; times are Unix seconds."""

    id: str
    environment: str
    status: Status
    started: float
    ended: float | None = None
    command: str = ""
    holder: Mapping[str, str] = field(default_factory=dict)
    receipt: Receipt | None = None
    actor: str = ""

    def __repr__(self) -> str:
        return f"<RunInfo {self.headline}>"

    @property
    def headline(self) -> str:
        """The run, how it ended, where and when it started, and the command."""
        started = datetime.fromtimestamp(self.started).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        return f"{self.id} {self.status} in {self.environment}, {started}: {self.command}"

    def _repr_html_(self) -> str:
        """Render the run and its receipt, for notebooks."""
        html: str = import_module("tidemill.ledger.run_notebook").run_html(self)
        return html


class Action(StrEnum):
    """The action of a step."""

    RUN = "run"
    BIND = "bind"
    RECHECK = "recheck"
    TRAIN = "train"
    TRIAL = "trial"
    EVALUATE = "evaluate"
    GATE = "gate"
    DELIVER = "deliver"
    REMOVE = "remove"


_COUNTED_AS: Mapping[Outcome, str] = {
    Outcome.OK: "ran",
    Outcome.BOUND: "bound",
    Outcome.CURRENT: "current",
    Outcome.FAILED: "failed",
    Outcome.RETRIED: "retried",
    Outcome.REFUSED: "failed",
    Outcome.SKIPPED: "skipped",
    Outcome.PRUNED: "ran",
    Outcome.GAVE_UP: "ran",
    Outcome.STOPPED: "skipped",
}


_WELL = frozenset({"ran", "bound", "rechecked", "current"})


def counted_as(attempt: Attempt) -> str:
    """The figure of StageTotals in which an attempt counts; "" if in none: a trial that was stopped."""
    if attempt.action == Action.RECHECK and attempt.outcome is Outcome.OK:
        return "rechecked"
    if attempt.action == Action.TRIAL and attempt.outcome is Outcome.STOPPED:
        return ""
    return _COUNTED_AS[attempt.outcome]


def done_steps(attempts: Iterable[Attempt]) -> set[tuple[str, str, str]]:
    """The steps of a plan that ended well."""
    return {(each.action, each.stage, each.partition) for each in attempts if ended_well(each)}


def ended_well(attempt: Attempt) -> bool:
    """Whether a step ended well with an attempt: neither failed nor skipped. A trial is no step of a plan."""
    return attempt.action != Action.TRIAL and counted_as(attempt) in _WELL
