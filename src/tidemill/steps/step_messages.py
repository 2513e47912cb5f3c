"""The messages between a run and its workers: the work of a step, its output or failure, and its cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TypeAlias, TypeVar

from tidemill.contracts.finding import Finding
from tidemill.contracts.row_ruling import Ruling
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import WHOLE
from tidemill.core.payload import Payload
from tidemill.ledger.binding import Binding, Product
from tidemill.sources.scan import feeds_only
from tidemill.workflow.incremental_fold import FoldUsage
from tidemill.workflow.memo import MemoUsage
from tidemill.workflow.model import Artifact
from tidemill.workflow.search import Study, StudyTrial
from tidemill.workflow.source import SourceFile

_T = TypeVar("_T")

# By stage, the partitions that a step reads.
Inputs: TypeAlias = Mapping[str, Mapping[str, Binding]]
Objects = tuple[tuple[Payload, str], ...]
_SHARED_ROWS = 100_000


def count_rows(inputs: Inputs) -> int:
    """Count the rows of a step's inputs; their number decides which engine of Polars computes them.

    Beside partitions, whole tables of up to 100,000 rows don't count: joining one to few rows takes little.
    """
    own = shared = 0
    for bound in inputs.values():
        rows = sum(held.product.rows for held in bound.values())
        own, shared = (own, shared + rows) if WHOLE in bound else (own + rows, shared)
    partitioned = any(bound and WHOLE not in bound for bound in inputs.values())
    return own if partitioned and shared <= _SHARED_ROWS else own + shared


def part_of(
    inputs: Mapping[str, Mapping[str, _T]], window: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, _T]]:
    """Return the partitions of inputs that are in a window."""
    return {name: {key: inputs[name][key] for key in keys} for name, keys in window.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialWork:
    """A trial: its number, the searched parameters as JSON, and the trials that its pruner knows."""

    number: int
    params: str
    past: tuple[StudyTrial, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A step as plain data, to be run in any process that has the workflow.

    `recipe` is the digest of the stage's recipe when the step was planned. `inputs` are partitions by stage,
    `files` those of an ingest, `artifact` the model to evaluate or to deliver with. `attempt` counts
    from 1. Where a partition is `held`, only its stale `columns` are recomputed, if possible. For the rows
    without a partition, `source_rows` counts all rows of the source. A training uses the parameters `chosen`
    by a `study`, as JSON. A backtest trains on and scores the partitions of two `windows`. `key` is that of a
    training, `parent` the version that it continues.
    """

    stage: str
    partition: str
    recipe: str
    attempt: int = 1
    subject: str = ""
    inputs: Inputs = field(default_factory=dict)
    files: Mapping[str, SourceFile] = field(default_factory=dict)
    rulings: tuple[Ruling, ...] = ()
    artifact: Artifact | None = None
    held: Product | None = None
    columns: tuple[str, ...] = ()
    source_rows: int = 0
    trial: TrialWork | None = None
    chosen: str = ""
    study: Study | None = None
    windows: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    key: str = ""
    parent: Artifact | None = None

    @property
    def rows(self) -> int:
        """The number of rows of its inputs, and of its partition in files."""
        return count_rows(self.inputs) + sum(
            file.rows.get(self.partition, 0) for file in self.files.values()
        )

    def can_batch_with(self, other: Work) -> bool:
        """Return whether both are first attempts at the same work on two partitions.

        Files either feed one partition each, or all of them feed both.
        """
        if self.attempt > 1 or self.rulings:
            return False
        alone = feeds_only(self.partition, self.files)
        if feeds_only(other.partition, other.files) != alone:
            return False
        if not alone and self.files.keys() != other.files.keys():
            return False
        return self._batch_key == other._batch_key

    @property
    def _batch_key(self) -> tuple[object, ...]:
        """What steps that run together have in common; of inputs, those without partitions."""
        shared = {name: bound for name, bound in self.inputs.items() if WHOLE in bound}
        return self.stage, self.columns, self.held is None, self.artifact, shared


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFailure:
    """Why a step failed: a message, the user's frames, and whether the fault is `transient`.

    `fate` is that of its task. `other_code`: it wasn't attempted, because the worker has other code. `memo`
    is what its memos used until then, `units` what else it recorded. `findings` are the rules that its rows
    break, if too many are bad.
    """

    message: str
    trace: str = ""
    exit_code: int = 1
    transient: bool = False
    fate: str = "error"
    other_code: bool = False
    memo: MemoUsage | None = None
    findings: tuple[Finding, ...] = ()
    units: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOutput:
    """The output of a step: its product, and the bytes of objects that aren't stored yet.

    `touched` are hidden inputs that its code read. Where `columns` are named, only these were recomputed.
    `memo` and `fold` are the usage of its memos and folds, `units` what else it recorded that it used.
    """

    product: Product
    touched: tuple[str, ...] = ()
    objects: Objects = ()
    memo: MemoUsage | None = None
    fold: FoldUsage | None = None
    columns: tuple[str, ...] = ()
    units: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCost:
    """The cost of work on a step, in seconds and bytes, and the worker that did it."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    queued_s: float = 0.0
    peak_rss: int = 0
    worker: str = ""
