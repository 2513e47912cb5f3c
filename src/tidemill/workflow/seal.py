"""Seal a workflow: check its declaration, and report all faults at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from graphlib import TopologicalSorter
from heapq import heappop, heappush
from typing import Any, get_args, get_origin, get_type_hints

from tidemill.contracts.checks.opaque_rules import opaque_rule_faults
from tidemill.contracts.spec import ContractSpec, Reads
from tidemill.core.errors import DeclarationError, Fault, UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import partition_key, partition_start
from tidemill.workflow.annotations import Frame, Predictor
from tidemill.workflow.approved_model import approval_faults
from tidemill.workflow.endpoint_options import endpoint_faults, resolve_endpoints
from tidemill.workflow.fold_inputs import with_folds
from tidemill.workflow.gate import Scores
from tidemill.workflow.gate_faults import gate_faults
from tidemill.workflow.guarantees import with_reads
from tidemill.workflow.impure import impure_of
from tidemill.workflow.model import Fitted
from tidemill.workflow.parameters import params_faults
from tidemill.workflow.references import resolve_references
from tidemill.workflow.resources import Resources
from tidemill.workflow.retry_policy import Retries
from tidemill.workflow.search import Search, declaration_faults
from tidemill.workflow.sink import sink_of
from tidemill.workflow.source import Source
from tidemill.workflow.stage import Approval, Flow, Function, Input, Kind, Stage, Training
from tidemill.workflow.trigger import is_trigger
from tidemill.workflow.warm_start import warm_start_faults
from tidemill.workflow.window import All, Last, Window
from tidemill.workflow.wiring import upstreams, wiring_faults
from tidemill.workflow.workflow import StageDeclaration, Workflow, contract_of

_RETURNS = {
    Kind.INGEST: "tm.Source[Contract]",
    Kind.TRANSFORM: "tm.Frame[Contract]",
    Kind.MODEL: "tm.Fitted",
    Kind.EVALUATE: "tm.Scores",
}
_NEVER_IMPURE = {
    Kind.MODEL: "declare when a model is due instead: retrain=tm.every('14d')",
    Kind.EVALUATE: "remove the mark: a model is scored again when it or its data change",
}
_SPECIAL = ("params", "seed")
# Parameters of a model's function that are inputs if they are annotated as frames.
_SPECIAL_UNLESS_FRAMES = ("trial", "parent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """The stages of a workflow as far as they could be resolved, and all its faults.

    `unclear` are the stages with faults: their inputs and output may be incomplete.
    """

    workflow: Workflow
    stages: Mapping[str, Stage]
    faulty: frozenset[str]
    faults: tuple[Fault, ...]

    @property
    def checkable(self) -> Flow:
        """The stages that can be checked by themselves, in the order of declaration."""
        stages = (
            stage
            for name, stage in self.stages.items()
            # The name of an unknown input may be a typo.
            if name not in self.faulty and all(i.name in self.stages for i in stage.inputs)
        )
        return _flow(self.workflow, tuple(stages))


def seal(workflow: Workflow) -> Flow:
    """Check a workflow and return its stages in topological order.

    Raises DeclarationError with all faults: unknown stages, cycles, missing or unmet contracts, invalid
    windows, models that are delivered without approval.
    """
    found = resolve_declaration(workflow)
    if found.faults:
        raise DeclarationError(f"workflow {workflow.name!r}", found.faults)
    return _flow(workflow, tuple(_topological_order(found.stages)))


def _flow(workflow: Workflow, stages: tuple[Stage, ...]) -> Flow:
    return Flow(
        name=workflow.name,
        owner=workflow.owner,
        stages=stages,
        deferrable=workflow.deferrable,
        endpoints=resolve_endpoints(workflow),
    )


def resolve_declaration(workflow: Workflow) -> Declaration:
    """Resolve a workflow's declaration, and collect its faults instead of raising them."""
    faults: list[Fault] = list(_duplicate_faults(workflow))
    stages: dict[str, Stage] = {}
    unclear: set[str] = set()
    for declared in workflow.declarations:
        stage, found = _resolve_stage(declared, workflow)
        stages[stage.name] = stage
        faults += found
        if found:
            unclear.add(stage.name)
    if not workflow.declarations:
        faults.append(Fault(message="it has no stages", hint="declare one with @flow.ingest"))
    faults += approval_faults(workflow, stages)
    faults += endpoint_faults(workflow, stages)
    faults += gate_faults(workflow.approvals, stages, resolve_endpoints(workflow))
    stages, found = resolve_references(stages, unclear)
    faults += found
    faults += wiring_faults(stages, unclear)
    return Declaration(
        workflow=workflow,
        stages=stages,
        faulty=frozenset(unclear),
        # The faults of a contract are found at every stage that uses it.
        faults=tuple(dict.fromkeys(faults)),
    )


def _duplicate_faults(workflow: Workflow) -> Iterator[Fault]:
    seen: dict[str, str] = {}
    for declared in workflow.declarations:
        if declared.name in seen:
            yield Fault(
                message=f"stage {declared.name!r} is declared twice, first at {seen[declared.name]}",
                where=declared.place,
                hint="rename one of them",
            )
        seen.setdefault(declared.name, declared.place)


def _resolve_stage(declared: StageDeclaration, workflow: Workflow) -> tuple[Stage, list[Fault]]:
    if declared.kind is Kind.DELIVER:
        return _resolve_table(declared, workflow)
    assert declared.function is not None
    hints, faults = _annotations(declared, declared.function)
    windows, more = _windows(declared)
    faults += more
    faults += _trigger_faults(declared)
    faults += _impure_faults(declared)
    faults += _limit_faults(declared)
    faults += _search_faults(declared)
    inputs = tuple(_inputs(declared, hints, windows))
    faults += _input_faults(declared, inputs, hints)
    faults += _warm_start_faults(declared, inputs)
    output, more = _output(declared, hints)
    faults += more
    contracts = [output, *(item.contract for item in inputs)]
    faults += [
        fault for spec in contracts if spec is not None for fault in opaque_rule_faults(spec)
    ]
    options = declared.options
    faults += params_faults(declared.name, options.get("params", {}), declared.place)
    approval = next((a for a in workflow.approvals if a.model == declared.name), None)
    stage = Stage(
        name=declared.name,
        kind=declared.kind,
        function=declared.function,
        inputs=inputs,
        output=output,
        place=declared.place,
        version=options.get("version"),
        impure=impure_of(declared.function),
        start=_start_partition(declared, output, faults),
        sample_by=_sample_by(declared, output, faults),
        training=_training_options(declared) if declared.kind is Kind.MODEL else None,
        approval=approval,
        backtest=options.get("backtest") or "",
        **_limits(declared),
    )
    given = {item.name: item.contract for item in inputs}
    stage, more = _attach_reads(declared, stage, given)
    stage, folded = with_folds(stage, options.get("fold"))
    return stage, faults + more + folded


def _attach_reads(
    declared: StageDeclaration, stage: Stage, contracts: Mapping[str, ContractSpec | None]
) -> tuple[Stage, list[Fault]]:
    """Attach the declared `reads` to the stage; anything but `Contract.reads(...)` is a fault."""
    option = declared.options.get("reads", ())
    reads = option if isinstance(option, (tuple, list)) else (option,)
    wrong = next((each for each in reads if not isinstance(each, Reads)), None)
    if wrong is None:
        return with_reads(stage, tuple(reads), contracts)
    message = f"{stage.kind} {stage.name!r}: reads={wrong!r} was not made by a contract's reads()"
    hint = "write reads=[Orders.reads('id', 'weight')]"
    return stage, [Fault(message=message, where=declared.place, hint=hint)]


def _annotations(
    declared: StageDeclaration, function: Function
) -> tuple[dict[str, Any] | None, list[Fault]]:
    """Return the annotations of a function; None, with a fault, if they can't be evaluated."""
    try:
        return get_type_hints(function), []
    except (NameError, AttributeError, TypeError, SyntaxError) as error:
        hint = "contracts that annotations name must be importable where the function is defined"
        return None, [
            Fault(
                message=f"stage {declared.name!r}: its annotations can't be read: {error}",
                where=declared.place,
                hint=hint,
            )
        ]


def _parameters(function: Function) -> tuple[str, ...]:
    code = function.__code__
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


def _windows(declared: StageDeclaration) -> tuple[Mapping[str, Window], list[Fault]]:
    window = declared.window
    if window is None:
        return {}, []
    names = _parameters(declared.function) if declared.function else ()
    named: object = dict.fromkeys(names, window) if isinstance(window, (Last, All)) else window
    if not isinstance(named, Mapping):
        message = f"stage {declared.name!r}: window={window!r} is not a window"
        return {}, [
            Fault(message=message, where=declared.place, hint="write tm.last('7d') or tm.all")
        ]
    faults = [
        Fault(
            message=f"stage {declared.name!r}: window for {name!r}, which is not one of its inputs",
            where=declared.place,
            hint=did_you_mean(name, names),
        )
        for name in named
        if name not in names
    ]
    faults += [
        Fault(
            message=f"stage {declared.name!r}: window={value!r} of {name!r} is not a window",
            where=declared.place,
            hint="write tm.last('7d') or tm.all",
        )
        for name, value in named.items()
        if not isinstance(value, (Last, All))
    ]
    return {name: value for name, value in named.items() if isinstance(value, (Last, All))}, faults


def _trigger_faults(declared: StageDeclaration) -> Iterator[Fault]:
    retrain = declared.options.get("retrain")
    if retrain is not None and not is_trigger(retrain):
        message = f"model {declared.name!r}: retrain={retrain!r} is not a trigger"
        yield Fault(message=message, where=declared.place, hint="write tm.every('14d')")


def _impure_faults(declared: StageDeclaration) -> Iterator[Fault]:
    if impure_of(declared.function) is not None and declared.kind in _NEVER_IMPURE:
        message = f"{declared.kind} {declared.name!r} is marked with @tm.impure"
        yield Fault(message=message, where=declared.place, hint=_NEVER_IMPURE[declared.kind])


_HOW = (("resources", Resources), ("retries", Retries))


def _limit_faults(declared: StageDeclaration) -> Iterator[Fault]:
    for name, kind in _HOW:
        if not isinstance(declared.options.get(name, kind()), kind):
            message = f"{declared.kind} {declared.name!r}: {name}={declared.options[name]!r}"
            hint = f"write {name}=tm.{name}(...)"
            yield Fault(
                message=f"{message} was not made by tm.{name}()",
                where=declared.place,
                hint=hint,
            )


def _limits(declared: StageDeclaration) -> dict[str, Any]:
    """Return the declared `resources` and `retries` of a stage, without invalid ones."""
    options = {name: declared.options.get(name) for name, _ in _HOW}
    return {name: options[name] for name, kind in _HOW if isinstance(options[name], kind)}


def _inputs(
    declared: StageDeclaration, hints: Mapping[str, Any] | None, windows: Mapping[str, Window]
) -> Iterator[Input]:
    for name in _parameters(declared.function) if declared.function else ():
        contract = _contract_in((hints or {}).get(name), Frame)
        special = name in _SPECIAL or (name in _SPECIAL_UNLESS_FRAMES and contract is None)
        if special and declared.kind is Kind.MODEL:
            continue
        optional = name in declared.options.get("optional", ())
        window = windows.get(name) if contract else None
        yield Input(name=name, contract=contract, window=window, optional=optional)


def _contract_in(annotation: object, of: object) -> ContractSpec | None:
    if get_origin(annotation) is not of:
        return None
    return contract_of(next(iter(get_args(annotation)), None))


def _input_faults(
    declared: StageDeclaration,
    inputs: Sequence[Input],
    hints: Mapping[str, Any] | None,
) -> Iterator[Fault]:
    if declared.kind is Kind.INGEST and inputs:
        message = f"ingest {declared.name!r} takes no inputs, it has {inputs[0].name!r}"
        yield Fault(message=message, where=declared.place, hint="use @flow.transform")
        return
    if declared.kind is not Kind.INGEST and not inputs:
        message = f"stage {declared.name!r} has no inputs"
        yield Fault(
            message=message, where=declared.place, hint="name an upstream stage as a parameter"
        )
    for name in declared.options.get("optional", ()):
        if name not in {item.name for item in inputs}:
            message = f"stage {declared.name!r}: optional={name!r} is not one of its inputs"
            hint = did_you_mean(name, [item.name for item in inputs])
            yield Fault(message=message, where=declared.place, hint=hint)
    if hints is None:
        return
    for item in inputs:
        predictor = hints.get(item.name) is Predictor and declared.kind is Kind.EVALUATE
        if item.contract is None and not predictor:
            expected = "tm.Frame[Contract]" + (
                " or tm.Predictor" if declared.kind is Kind.EVALUATE else ""
            )
            message = f"stage {declared.name!r}: parameter {item.name!r} has no contract"
            yield Fault(message=message, where=declared.place, hint=f"annotate it {expected}")


def _output(
    declared: StageDeclaration, hints: Mapping[str, Any] | None
) -> tuple[ContractSpec | None, list[Fault]]:
    if hints is None:
        return None, []
    returned = hints.get("return")
    if declared.kind in (Kind.MODEL, Kind.EVALUATE):
        ok = returned is (Fitted if declared.kind is Kind.MODEL else Scores)
        spec = None
    else:
        spec = _contract_in(returned, Source if declared.kind is Kind.INGEST else Frame)
        ok = spec is not None
    if ok:
        return spec, []
    message = f"{declared.kind} {declared.name!r} has no valid return annotation"
    hint = f"annotate it -> {_RETURNS[declared.kind]}"
    return spec, [Fault(message=message, where=declared.place, hint=hint)]


def _start_partition(
    declared: StageDeclaration, output: ContractSpec | None, faults: list[Fault]
) -> str | None:
    """The first partition of an ingest or a delivery, whose rows have the contract `output`."""
    start: str | None = declared.options.get("start")
    if start is None or output is None:
        return None
    grain = output.partitioning.grain
    try:
        if grain is None:
            raise UsageError(
                f"its contract is {output.partitioning}, so there is no first partition"
            )
        if not isinstance(start, str):
            raise UsageError(
                f"write it as text, such as {partition_key(datetime(2013, 3, 7), grain)!r}"
            )
        partition_start(start, grain)
    except UsageError as error:
        message = f"{declared.kind} {declared.name!r}: start={start!r}: {error}"
        faults.append(Fault(message=message, where=declared.place))
    return start


def _sample_by(
    declared: StageDeclaration, output: ContractSpec | None, faults: list[Fault]
) -> tuple[str, ...] | None:
    names = declared.options.get("sample_by")
    if names is None or output is None:
        return None
    wrong = [names] if isinstance(names, str) else [n for n in names if n not in output.names]
    if wrong:
        faults.append(
            Fault(
                message=f"ingest {declared.name!r}: sample_by={names!r}: {wrong[0]!r} is not a column "
                f"of {output.name}",
                where=declared.place,
                hint=f"name columns, such as sample_by={output.names[:1]!r}",
            )
        )
    return tuple(names)


def _search_faults(declared: StageDeclaration) -> Iterator[Fault]:
    search, function = declared.options.get("search"), declared.function
    if search is not None and function is not None:
        names, params = _parameters(function), declared.options.get("params", {})
        yield from declaration_faults(search, declared.name, declared.place, names, params)
        from tidemill.workflow.search_parameters import parameter_faults

        yield from parameter_faults(search, declared.name, function, params)


def _warm_start_faults(declared: StageDeclaration, inputs: Sequence[Input]) -> Iterator[Fault]:
    names = set(_parameters(declared.function)) if declared.function is not None else set()
    options = declared.options
    return warm_start_faults(
        declared.name,
        declared.place,
        options.get("warm_start"),
        takes_parent="parent" in names.difference(item.name for item in inputs),
        searches=options.get("search") is not None,
    )


def _training_options(declared: StageDeclaration) -> Training:
    names = _parameters(declared.function) if declared.function else ()
    options = declared.options
    search = options.get("search")
    search = search if isinstance(search, Search) else None
    return Training(
        params={**(search.defaults if search else {}), **options.get("params", {})},
        seed=options.get("seed"),
        retrain=options.get("retrain"),
        wants_params="params" in names,
        wants_seed="seed" in names,
        wants_trial="trial" in names,
        search=search,
        format=options.get("format", ""),
        warm_start=options.get("warm_start"),
    )


def _resolve_table(declared: StageDeclaration, workflow: Workflow) -> tuple[Stage, list[Fault]]:
    from tidemill.workflow.table_options import table_faults, table_input

    options, faults = declared.options, [*table_faults(declared, workflow)]
    model, contract = options.get("model"), options.get("contract")
    item = Input(name=table_input(declared), contract=None)
    rows = _rows_of(item.name, workflow)
    output = contract_of(contract) if contract is not None else None
    if output is not None:
        faults += opaque_rule_faults(output)
    stage = Stage(
        name=declared.name,
        kind=Kind.DELIVER,
        function=None,
        inputs=(item,),
        output=output,
        place=declared.place,
        model=model.model if isinstance(model, Approval) else "",
        sink=sink_of(options.get("sink")),
        on_new_model=options.get("on_new_model", "keep"),
        public=options.get("public", False),
        start=_start_partition(declared, rows, faults),
        exclude_training=options.get("exclude_training") is True,
        **_limits(declared),
    )
    faults += _limit_faults(declared)
    stage, more = _attach_reads(declared, stage, {item.name: rows})
    return stage, faults + more


def _rows_of(name: str, workflow: Workflow) -> ContractSpec | None:
    """The contract of what a stage or a table returns."""
    source = next((known for known in workflow.declarations if known.name == name), None)
    if source is None:
        return None
    if source.function is None:
        return contract_of(source.options.get("contract"))
    return _output(source, _annotations(source, source.function)[0])[0]


def _topological_order(stages: Mapping[str, Stage]) -> Iterator[Stage]:
    """Yield stages after their inputs, and apart from that in the order of declaration."""
    place = {name: number for number, name in enumerate(stages)}
    sorter = TopologicalSorter(upstreams(stages))
    sorter.prepare()
    ready: list[tuple[int, str]] = []
    while sorter.is_active():
        for name in sorter.get_ready():
            heappush(ready, (place[name], name))
        _, name = heappop(ready)
        sorter.done(name)
        yield stages[name]


def dependencies(stage: Stage) -> set[str]:
    """Return the names of the stages that must be up to date before this one."""
    inputs = {item.name for item in stage.inputs} | set(stage.refers.values())
    return inputs | ({stage.model} if stage.model else set())
