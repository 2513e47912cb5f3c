"""Declare a workflow: a named DAG of stages.

Decorators only record the declaration and return the function unchanged, so that it can be called and
tested by itself. `seal` checks the whole declaration at once, so that users see all faults together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from importlib import import_module
from typing import Any, Protocol, TypeAlias, TypeVar, overload

from tidemill.contracts.spec import ContractSpec, Reads
from tidemill.core.callsite import caller
from tidemill.core.counts import plural
from tidemill.core.errors import DeclarationError, Fault
from tidemill.core.lazy_dataclass import dataclass
from tidemill.workflow.endpoint import Rollout
from tidemill.workflow.gate_kinds import Gate, gates_of
from tidemill.workflow.incremental_fold import Fold
from tidemill.workflow.own_gate import GateFunction
from tidemill.workflow.prediction_log import RequestLog
from tidemill.workflow.resources import Resources
from tidemill.workflow.retry_policy import Retries
from tidemill.workflow.review import ReviewTerms
from tidemill.workflow.search import Search
from tidemill.workflow.sink import SinkOption
from tidemill.workflow.stage import Approval, Function, Kind, OnNewModel
from tidemill.workflow.trigger import Trigger
from tidemill.workflow.window import Window

F = TypeVar("F", bound=Function)


class Decorator(Protocol):
    """A decorator that declares a function as a stage and returns it unchanged."""

    def __call__(self, function: F, /) -> F: ...


Windows: TypeAlias = Window | Mapping[str, Window]

# The defaults: the planner decides what a step uses, and nothing is retried.
FREE, ONCE = Resources(), Retries()


@dataclass(frozen=True, slots=True, kw_only=True)
class StageDeclaration:
    """The declaration of a stage, before any checks."""

    name: str
    kind: Kind
    place: str
    function: Function | None = None
    window: Windows | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointDeclaration:
    """The declaration of an endpoint, before any checks."""

    name: str
    model: Approval
    features: Function | None
    rollout: Rollout | None
    log: RequestLog | float | None
    place: str


class DeliveredTable:
    """A delivered table, by which another one can deliver its rows, too."""

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __repr__(self) -> str:
        return f"DeliveredTable({self.__name__!r})"


class Workflow:
    """A named DAG of stages, declared with decorators.

    `owner` is the team or person responsible for it. With `deferrable=True` its worker processes run at
    low priority, so that other programs on the machine go first.
    """

    def __init__(self, name: str, *, owner: str = "", deferrable: bool = False) -> None:
        self.name = name
        self.owner = owner
        self.deferrable = deferrable
        self.declarations: list[StageDeclaration] = []
        self.approvals: list[Approval] = []
        self.endpoints: list[EndpointDeclaration] = []

    def __repr__(self) -> str:
        return f"Workflow({self.name!r}, {plural(len(self.declarations), 'stage')})"

    def _repr_html_(self) -> str:
        """Render the graph of the stages and a row for each, for notebooks."""
        # Only notebooks need drawings.
        html: str = import_module("tidemill.workflow.workflow_notebook").workflow_html(self)
        return html

    @overload
    def ingest(self, function: F) -> F: ...
    @overload
    def ingest(
        self,
        *,
        start: str | None = None,
        sample_by: Sequence[str] | None = None,
        version: str | None = None,
        resources: Resources = FREE,
        retries: Retries = ONCE,
    ) -> Decorator: ...
    def ingest(
        self,
        function: Function | None = None,
        *,
        start: str | None = None,
        sample_by: Sequence[str] | None = None,
        version: str | None = None,
        resources: Resources = FREE,
        retries: Retries = ONCE,
    ) -> Any:
        """Declare a stage that reads rows from a source into a contract.

        The function has no parameters and returns a source: `def orders() -> tm.Source[Orders]`.

        - `start`: the first partition to ingest; earlier ones are ignored.
        - `sample_by`: the columns whose hash decides which rows are in a sample (default: the key);
          `[]` keeps all rows in every sample.
        - `version`: part of the stage's fingerprint; change it to read all rows again.
        - `resources`: limits of each step, `tm.resources(...)`.
        - `retries`: when a failed step is retried, `tm.retries(...)`.
        """
        options = {"start": start, "sample_by": sample_by, "version": version}
        return self._stage(Kind.INGEST, function, options | _limits(resources, retries))

    @overload
    def transform(self, function: F) -> F: ...
    @overload
    def transform(
        self,
        *,
        window: Windows | None = None,
        fold: Mapping[str, Fold] | None = None,
        optional: Sequence[str] = (),
        reads: Sequence[Reads] = (),
        version: str | None = None,
        resources: Resources = FREE,
        retries: Retries = ONCE,
    ) -> Decorator: ...
    def transform(  # noqa: PLR0913 - a declaration, said in keywords
        self,
        function: Function | None = None,
        *,
        window: Windows | None = None,
        fold: Mapping[str, Fold] | None = None,
        optional: Sequence[str] = (),
        reads: Sequence[Reads] = (),
        version: str | None = None,
        resources: Resources = FREE,
        retries: Retries = ONCE,
    ) -> Any:
        """Declare a stage that computes one table from others.

        Parameters of the function name upstream stages, annotations name their contracts:
        `def daily(orders: tm.Frame[Orders]) -> tm.Frame[Daily]`. By default a partition is computed from
        the same partition of each partitioned input.

        - `window`: read a range of partitions instead, `tm.last("7d")` or `tm.all`; for all inputs, or
          by name.
        - `fold`: pass aggregates of an input instead of its rows, `{"orders": tm.fold(...)}`.
        - `optional`: inputs that may be missing: the function gets an empty frame then. Without it a
          partition waits until all its inputs exist.
        - `reads`: the columns that it gets of inputs with a contract, and the guarantees that it relies
          on, `[Orders.reads("id")]`.
        - `version`: stands for code that can't be fingerprinted; change it when its results change.
        - `resources`, `retries`: as for `ingest`.
        """
        options = {
            "optional": tuple(optional),
            "fold": fold,
            "reads": reads,
            "version": version,
        }
        return self._stage(Kind.TRANSFORM, function, options | _limits(resources, retries), window)

    @overload
    def model(self, function: F) -> F: ...
    @overload
    def model(
        self,
        *,
        window: Windows | None = None,
        params: Mapping[str, Any] | None = None,
        seed: int | None = None,
        retrain: Trigger | None = None,
        search: Search | None = None,
        warm_start: int | None = None,
        format: str = "",
        reads: Sequence[Reads] = (),
        version: str | None = None,
        resources: Resources = FREE,
        retries: Retries = ONCE,
    ) -> Decorator: ...
    def model(  # noqa: PLR0913 - a declaration, said in keywords
        self,
        function: Function | None = None,
        *,
        window: Windows | None = None,
        params: Mapping[str, Any] | None = None,
        seed: int | None = None,
        retrain: Trigger | None = None,
        search: Search | None = None,
        warm_start: int | None = None,
        format: str = "",
        reads: Sequence[Reads] = (),
        version: str | None = None,
        resources: Resources = FREE,
        retries: Retries = ONCE,
    ) -> Any:
        """Declare a stage that trains a model on a window of its inputs and returns `tm.fitted(...)`.

        A change of its code or inputs makes a model outdated, but doesn't retrain it: `retrain` does, or
        `tidemill run --train MODEL`.

        - `window`: the partitions to train on, `tm.last("60d", before=tm.last("7d"))`.
        - `params`, `seed`: passed to parameters of these names.
        - `retrain`: the trigger that makes an outdated model due, such as `tm.every("14d")`.
        - `search`: hyperparameters to try before each training, `tm.search({...}, metric="mae")`.
        - `warm_start`: let a training continue the version before, which is passed to the parameter
          `parent: tm.Parent | None`; after so many in a row, one is from scratch.
        - `format`: the format of the model, such as "lightgbm", if the code uses several libraries: only what
          it needs must be installed.
        - `reads`, `version`: as for `transform`; `resources`, `retries`: as for `ingest`.
        """
        options = {
            "params": dict(params or {}),
            "seed": seed,
            "retrain": retrain,
            "search": search,
            "warm_start": warm_start,
            "format": format,
            "reads": reads,
            "version": version,
        }
        return self._stage(Kind.MODEL, function, options | _limits(resources, retries), window)

    @overload
    def evaluate(self, function: F) -> F: ...
    @overload
    def evaluate(
        self,
        *,
        window: Windows | None = None,
        backtest: str | None = None,
        reads: Sequence[Reads] = (),
        version: str | None = None,
        resources: Resources = FREE,
        retries: Retries = ONCE,
    ) -> Decorator: ...
    def evaluate(
        self,
        function: Function | None = None,
        *,
        window: Windows | None = None,
        backtest: str | None = None,
        reads: Sequence[Reads] = (),
        version: str | None = None,
        resources: Resources = FREE,
        retries: Retries = ONCE,
    ) -> Any:
        """Declare a stage that scores a model on partitions outside its training window.

        The function takes the model as `tm.Predictor` and returns `tm.scores(...)`. `window` must not
        overlap the training window. `reads` and `version` are as for `transform`, `resources` and
        `retries` as for `ingest`.

        With `backtest`, such as "28d", the model is also trained and scored as it would have been then,
        once for each window of the length of `window` in that span, counted from a fixed Monday, so that a
        new day doesn't move them. Each is a partition, `backtest-2026-02-01`, which is computed once.
        """
        options = {"backtest": backtest, "reads": reads, "version": version}
        return self._stage(Kind.EVALUATE, function, options | _limits(resources, retries), window)

    def approve(
        self,
        model: Function,
        *,
        gates: Sequence[Gate | GateFunction],
        review: ReviewTerms | None = None,
    ) -> Approval:
        """Declare the gates that a model must pass to go live; deliveries take the returned approval.

        A function is a gate that judges a `tm.Candidate`: see `tm.gate`. With `review=tm.review(...)` people
        are asked about a version that passed the gates, before it goes live.
        """
        place = caller(1)
        approval = Approval(
            model=getattr(model, "__name__", str(model)),
            gates=gates_of(gates, place),
            place=place,
            review=review,
        )
        if _in_notebook(model):
            self.approvals = [known for known in self.approvals if known.model != approval.model]
        self.approvals.append(approval)
        return approval

    def table(  # noqa: PLR0913 - a declaration, said in keywords
        self,
        name: str,
        *,
        sink: SinkOption,
        stage: Function | DeliveredTable | None = None,
        model: Approval | None = None,
        features: Function | None = None,
        contract: type | None = None,
        start: str | None = None,
        exclude_training: bool = False,
        on_new_model: OnNewModel = "keep",
        public: bool = False,
        reads: Sequence[Reads] = (),
        resources: Resources = FREE,
        retries: Retries = ONCE,
    ) -> DeliveredTable:
        """Deliver the rows of a stage, or predictions for them, as a table: each partition once.

        `sink` is where they go, such as `tm.parquet(...)` or `tm.postgres(...)`.

        - `stage`: the stage whose rows are delivered as they are.
        - `model`, `features`: an approved model and the stage that it scores instead. Each partition is
          scored by the model that is live at that time. Rows have the key columns of the features (all
          columns if they have no key), `prediction` and `model`.
        - `contract`: the contract of the predictions. With it, other stages can read the table like a
          stage: a parameter of its name.
        - `start`: the first partition to deliver.
        - `exclude_training`: leave out partitions that the live model was trained on.
        - `on_new_model`: what happens to rows that were delivered when another version goes live, by gates
          or by a person: "keep" them, or "rescore" them with that version.
        - `public`: people outside of the organization read the table, which rules see.
        - `reads`: the columns that a live model may read, and the guarantees that it relies on.
        - `resources`, `retries`: as for `ingest`.
        """
        options = {
            "model": model,
            "features": features,
            "stage": stage,
            "sink": sink,
            "contract": contract,
            "start": start,
            "exclude_training": exclude_training,
            "on_new_model": on_new_model,
            "public": public,
            "reads": reads,
        }
        options |= _limits(resources, retries)
        self._declare(
            StageDeclaration(name=name, kind=Kind.DELIVER, place=caller(1), options=options)
        )
        return DeliveredTable(name)

    def endpoint(
        self,
        name: str,
        *,
        model: Approval,
        features: Function | None = None,
        rollout: Rollout | None = None,
        log: RequestLog | float | None = None,
    ) -> None:
        """Serve the predictions of an approved model under a name.

        - `model`: what `approve` returned. The version that is live answers requests.
        - `features`: the transform that computes the model's inputs from a request; without it a request
          has the model's inputs.
        - `rollout`: how a new version takes over, `tm.rollout(...)`; without it at once.
        - `log`: the share of requests that are logged with their predictions, or `tm.log(...)`; without it
          none are.
        """
        declared = EndpointDeclaration(
            name=name, model=model, features=features, rollout=rollout, log=log, place=caller(1)
        )
        if _in_notebook(features) or _in_notebook(self._function_of(model)):
            self.endpoints = [known for known in self.endpoints if known.name != name]
        self.endpoints.append(declared)

    def _function_of(self, model: object) -> Function | None:
        name = getattr(model, "model", None)
        return next((each.function for each in self.declarations if each.name == name), None)

    def _stage(
        self,
        kind: Kind,
        function: Function | None,
        options: Mapping[str, Any],
        window: Windows | None = None,
    ) -> Any:
        place = "" if function is None else caller(2)

        def declare(function: F) -> F:
            if not hasattr(function, "__code__"):
                fault = _function_fault(kind, function, place or caller(1))
                raise DeclarationError(f"workflow {self.name!r}", [fault])
            self._declare(
                StageDeclaration(
                    name=function.__name__,
                    kind=kind,
                    place=_location(function),
                    function=function,
                    window=window,
                    options=options,
                )
            )
            return function

        return declare if function is None else declare(function)

    def _declare(self, declared: StageDeclaration) -> None:
        # Running a notebook cell again replaces the stage that it declared before.
        options = declared.options
        if _in_notebook(declared.function or options.get("features") or options.get("stage")):
            self.declarations = [
                known for known in self.declarations if known.name != declared.name
            ]
        self.declarations.append(declared)


def _limits(resources: Resources, retries: Retries) -> dict[str, Any]:
    return {"resources": resources, "retries": retries}


def _in_notebook(function: object) -> bool:
    return getattr(function, "__module__", None) == "__main__"


def _function_fault(kind: Kind, function: object, where: str) -> Fault:
    return Fault(
        message=f"{kind} takes a function, not {function!r}",
        where=where,
        hint="wrap it in a def whose parameters name its inputs",
    )


def _location(function: Function) -> str:
    code = function.__code__
    return f"{code.co_filename.rpartition('/')[2]}:{code.co_firstlineno}"


def contract_of(annotation: object) -> ContractSpec | None:
    """Return the spec of a contract class; None for anything else."""
    spec = getattr(annotation, "__tidemill_contract__", None)
    return spec if isinstance(spec, ContractSpec) else None
