"""Stages of a sealed workflow: one function from inputs with contracts to an output with a contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from enum import StrEnum
from importlib import import_module
from typing import Any, Literal, TypeAlias

from tidemill.contracts.spec import ContractSpec, Reads
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import Partitioning
from tidemill.workflow.endpoint import Endpoint
from tidemill.workflow.gate_kinds import Gate
from tidemill.workflow.impure import Impure
from tidemill.workflow.incremental_fold import ResolvedFold
from tidemill.workflow.resources import Resources
from tidemill.workflow.retry_policy import Retries
from tidemill.workflow.review import ReviewTerms
from tidemill.workflow.search import Search
from tidemill.workflow.sink import Sink
from tidemill.workflow.trigger import Trigger
from tidemill.workflow.window import Window

Function: TypeAlias = Callable[..., Any]


class Kind(StrEnum):
    """The kind of a stage: ingest, transform, model, evaluate or deliver."""

    INGEST = "ingest"
    TRANSFORM = "transform"
    MODEL = "model"
    EVALUATE = "evaluate"
    DELIVER = "deliver"


# What happens to delivered rows when another version of their model goes live.
OnNewModel: TypeAlias = Literal["keep", "rescore"]

# The place of a stage that is published, but isn't in the workflow any more.
UNDECLARED = "no longer declared"

# The kinds of stages that produce a table with a contract.
DATA = (Kind.INGEST, Kind.TRANSFORM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """An input of a stage: the upstream stage, the contract that it expects, and its window.

    With `reads` the stage gets only these columns; with a `fold` it gets aggregates instead of rows.
    """

    name: str
    contract: ContractSpec | None
    window: Window | None = None
    optional: bool = False
    reads: Reads | None = None
    fold: ResolvedFold | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the stage, or its fold, reads, in the order of the contract."""
        if self.fold is not None:
            return self.fold.columns
        names = self.contract.names if self.contract is not None else ()
        if self.reads is None:
            return names
        return tuple(name for name in names if name in self.reads.columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How a model is trained: parameters, seed, the trigger that makes it due, and what is searched.

    `params` has a value for every searched parameter: the one of the first trial. `format` names the format
    of the model, if it is declared. With `warm_start` a training continues the version before, at most so
    many times in a row; None: every training is from scratch.
    """

    params: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    retrain: Trigger | None = None
    wants_params: bool = False
    wants_seed: bool = False
    wants_trial: bool = False
    search: Search | None = None
    format: str = ""
    warm_start: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Approval of a model for delivery, given once its scores pass all gates, and people agree."""

    model: str
    gates: tuple[Gate, ...] = ()
    place: str = ""
    review: ReviewTerms | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stage of a sealed workflow. `function` is None for deliveries, which have no user code.

    `on_new_model` says whether delivered partitions are scored again when another version of the model is
    live. `refers` maps each reference rule of its contract to the stage whose table it means. A `sample`
    below 1 is the share of rows that ingests take, selected by the columns `sample_by`. A delivery without a
    `model` delivers the rows of its input; with `exclude_training` not the partitions that its model was
    trained on. People outside of the organization read a `public` one. An evaluation is repeated on past
    windows in the span of time `backtest`.
    """

    name: str
    kind: Kind
    function: Function | None
    inputs: tuple[Input, ...]
    output: ContractSpec | None
    place: str
    version: str | None = None
    impure: Impure | None = None
    start: str | None = None
    training: Training | None = None
    approval: Approval | None = None
    model: str = ""
    sink: Sink | None = None
    on_new_model: OnNewModel = "keep"
    public: bool = False
    exclude_training: bool = False
    refers: Mapping[str, str] = field(default_factory=dict, hash=False)
    resources: Resources = field(default_factory=Resources)
    retries: Retries = field(default_factory=Retries)
    sample: float = 1.0
    sample_by: tuple[str, ...] | None = None
    backtest: str = ""

    @property
    def sample_columns(self) -> tuple[str, ...]:
        """The columns that select an ingest's rows of a sample: `sample_by`, by default its key."""
        if self.kind is not Kind.INGEST or self.output is None:
            return ()
        return (self.output.key or self.output.names) if self.sample_by is None else self.sample_by

    @property
    def is_declared(self) -> bool:
        """Whether the workflow still has the stage."""
        return self.place != UNDECLARED

    @property
    def is_vouched_for(self) -> bool:
        """Whether its author takes responsibility for hidden inputs: by a version, or by `tm.impure`."""
        return self.version is not None or self.impure is not None

    @property
    def partitioning(self) -> Partitioning:
        return self.output.partitioning if self.output else Partitioning()

    @property
    def frames(self) -> tuple[Input, ...]:
        """The inputs that are frames; a predictor isn't."""
        return tuple(item for item in self.inputs if item.contract is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """A sealed workflow: its stages in topological order, and its endpoints in that of declaration.

    If it is `deferrable`, other programs on the machine go first.
    """

    name: str
    owner: str
    stages: tuple[Stage, ...]
    deferrable: bool = False
    endpoints: tuple[Endpoint, ...] = ()
    _by_name: Mapping[str, Stage] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_name = {stage.name: stage for stage in reversed(self.stages)}
        object.__setattr__(self, "_by_name", by_name)

    def __getitem__(self, name: str) -> Stage:
        return self._by_name[name]

    def _repr_html_(self) -> str:
        """Render the graph of the stages and a row for each, for notebooks."""
        draw = import_module("tidemill.workflow.workflow_notebook").stages_html
        html: str = draw(self.stages, f"workflow {self.name}")
        return html

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(stage.name for stage in self.stages)

    def readers(self, name: str) -> tuple[Stage, ...]:
        """Return the stages that read `name` directly."""
        return tuple(
            s for s in self.stages if s.model == name or any(i.name == name for i in s.inputs)
        )


def evaluations_of(flow: Flow, model: str) -> tuple[Stage, ...]:
    """Return the stages that evaluate a model, in the order of the workflow."""
    return tuple(stage for stage in flow.readers(model) if stage.kind is Kind.EVALUATE)


def undeclared_stage(name: str, kind: Kind) -> Stage:
    """A stage of which only what it published is known."""
    return Stage(name=name, kind=kind, function=None, inputs=(), output=None, place=UNDECLARED)
