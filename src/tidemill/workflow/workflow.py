"""A named acyclic set of stages, as the user declares it.

Decorators only note what was declared; they return the function unchanged, so that it can be called
and tested by itself. Whether the declaration holds together is judged in one go when the workflow is
sealed (`decide/declare.py`), so that all faults are shown at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, TypeVar, overload

from tidemill.contracts.spec import ContractSpec, Reads
from tidemill.core.callsite import caller
from tidemill.core.errors import DeclarationError, Fault
from tidemill.workflow.gate import Gate
from tidemill.workflow.incremental_fold import Fold
from tidemill.workflow.resources import Resources
from tidemill.workflow.retry_policy import Retries
from tidemill.workflow.stage import Approval, Function, Kind, Sink
from tidemill.workflow.trigger import Trigger
from tidemill.workflow.window import Window

F = TypeVar("F", bound=Function)


class Decorator(Protocol):
    """Notes a function as a stage and returns it unchanged."""

    def __call__(self, function: F, /) -> F: ...


Windows: TypeAlias = Window | Mapping[str, Window]

# Nothing said: the plan decides what a step uses, and nothing is tried again.
FREE, ONCE = Resources(), Retries()


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """A stage as it was written down, before anything about it was checked."""

    name: str
    kind: Kind
    place: str
    function: Function | None = None
    window: Windows | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


class Workflow:
    """A named set of stages that data flows through; `owner` is who answers for it.

    When it is `deferrable`, others on the machine go first: its workers have a low priority.
    """

    def __init__(self, name: str, *, owner: str = "", deferrable: bool = False) -> None:
        self.name = name
        self.owner = owner
        self.deferrable = deferrable
        self.declared: list[Declared] = []
        self.approvals: list[Approval] = []

    def __repr__(self) -> str:
        return f"Workflow({self.name!r}, {len(self.declared)} stages)"

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
        """Declare a stage that takes rows from a source; `start` is the first partition that is taken.

        `sample_by` are the columns that tell which rows are in a sample (default: the key); with none
        all are. `resources=tm.resources(...)` says what each step may use, `retries=tm.retries(...)` what is
        tried again.
        """
        options = {"start": start, "sample_by": sample_by, "version": version}
        return self._stage(Kind.INGEST, function, options | _how(resources, retries))

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
        """Declare a stage that makes one table of others.

        It sees its own partition of every partitioned input unless `window` (for all inputs, or by
        name) says otherwise. A partition waits for its inputs; one named in `optional` is handed as
        an empty frame while it is missing. Of inputs in `fold` (`{"orders": tm.fold(...)}`) it is handed
        aggregates in place of rows. `reads` (`[Orders.reads("id")]`) are the columns that it
        is handed of inputs with that contract, and what it relies on in them. `version` stands for
        code that can't be fingerprinted. `resources` and `retries` are as with ingests.
        """
        options = {
            "optional": tuple(optional),
            "fold": fold,
            "reads": reads,
            "version": version,
        }
        return self._stage(Kind.TRANSFORM, function, options | _how(resources, retries), window)

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
        reads: Sequence[Reads] = (),
        version: str | None = None,
        resources: Resources = FREE,
        retries: Retries = ONCE,
    ) -> Any:
        """Declare a stage that trains a model on a window of its inputs.

        A change of what it reads makes it outdated; only `retrain` makes it due (`tidemill run
        --train` forces it). `params` and `seed` are handed to parameters of those names; `reads` is
        as with transforms, `resources` and `retries` as with ingests.
        """
        options = {
            "params": dict(params or {}),
            "seed": seed,
            "retrain": retrain,
            "reads": reads,
            "version": version,
        }
        return self._stage(Kind.MODEL, function, options | _how(resources, retries), window)

    @overload
    def evaluate(self, function: F) -> F: ...
    @overload
    def evaluate(
        self,
        *,
        window: Windows | None = None,
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
        reads: Sequence[Reads] = (),
        version: str | None = None,
        resources: Resources = FREE,
        retries: Retries = ONCE,
    ) -> Any:
        """Declare how a model is scored, on partitions that its training never saw.

        `resources` and `retries` are as with ingests.
        """
        options = {"reads": reads, "version": version}
        return self._stage(Kind.EVALUATE, function, options | _how(resources, retries), window)

    def approve(self, model: Function, *, gates: Sequence[Gate]) -> Approval:
        """A model that reaches users once every gate passed; deliveries take it, never the model itself."""
        approval = Approval(
            model=getattr(model, "__name__", str(model)), gates=tuple(gates), place=caller(1)
        )
        if _in_notebook(model):
            self.approvals = [known for known in self.approvals if known.model != approval.model]
        self.approvals.append(approval)
        return approval

    def table(
        self,
        name: str,
        *,
        model: Approval,
        features: Function,
        sink: Sink,
        reads: Sequence[Reads] = (),
        resources: Resources = FREE,
        retries: Retries = ONCE,
    ) -> None:
        """Deliver `features` scored by an approved model: each partition once, by the model then live.

        Rows are the features' key columns (all columns without a key), `prediction` and `model`.
        `reads` are the columns that any live model may be fed, and what is relied on in them;
        `resources` and `retries` are as with ingests.
        """
        options = {"model": model, "features": features, "sink": sink, "reads": reads}
        options |= _how(resources, retries)
        self._declare(Declared(name=name, kind=Kind.DELIVER, place=caller(1), options=options))

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
                fault = _no_function(kind, function, place or caller(1))
                raise DeclarationError(f"workflow {self.name!r}", [fault])
            self._declare(
                Declared(
                    name=function.__name__,
                    kind=kind,
                    place=_place(function),
                    function=function,
                    window=window,
                    options=options,
                )
            )
            return function

        return declare if function is None else declare(function)

    def _declare(self, declared: Declared) -> None:
        # A notebook cell that is run again replaces the stage that it declared before.
        if _in_notebook(declared.function or declared.options.get("features")):
            self.declared = [known for known in self.declared if known.name != declared.name]
        self.declared.append(declared)


def _how(resources: Resources, retries: Retries) -> dict[str, Any]:
    return {"resources": resources, "retries": retries}


def _in_notebook(function: object) -> bool:
    return getattr(function, "__module__", None) == "__main__"


def _no_function(kind: Kind, function: object, where: str) -> Fault:
    return Fault(
        message=f"{kind} takes a function, not {function!r}",
        where=where,
        hint="wrap it in a def whose parameters name its inputs",
    )


def _place(function: Function) -> str:
    code = function.__code__
    return f"{code.co_filename.rpartition('/')[2]}:{code.co_firstlineno}"


def contract_of(annotation: object) -> ContractSpec | None:
    """The contract of a class that is one, else None."""
    spec = getattr(annotation, "__tidemill_contract__", None)
    return spec if isinstance(spec, ContractSpec) else None
