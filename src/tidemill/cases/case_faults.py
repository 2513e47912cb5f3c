"""Find what in a case doesn't fit the workflow: unknown stages, columns, rules and partitions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from tidemill.cases.contract_rules import row_rules_of
from tidemill.cases.stage_case import GivenTable, StageCase
from tidemill.contracts.checks.ruled_rows import REASONS
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import Fault, did_you_mean
from tidemill.core.partition import is_valid_key
from tidemill.workflow.partition_mapping import partitionings_of
from tidemill.workflow.stage import DATA, Flow, Kind, Stage

# Rules of every column that its declaration implies.
_IMPLIED = ("type", "null", "nan", "fields", "unicode", "partition")
_ROWS = (*DATA, Kind.DELIVER)


def case_faults(case: StageCase, flow: Flow) -> Iterator[Fault]:
    """The faults of a case of a workflow, each with its place."""
    where = f"{case.file}: {case.name!r}"
    if case.stage not in flow.names:
        yield _unknown_stage(case.stage, flow.names, where)
        return
    stage = flow[case.stage]
    yield from _given_faults(case, flow, where)
    yield from _expected_faults(case, stage, where)
    yield from _quarantine_faults(case, flow, where)
    yield from _param_faults(case, flow, where)
    yield from _partition_fault(case, flow, where)


def upstream_of(flow: Flow, name: str) -> frozenset[str]:
    """The stages that a stage reads, directly or through others, and itself."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        stage = flow[waiting.pop()]
        if stage.name not in found:
            found.add(stage.name)
            waiting += [item.name for item in stage.inputs]
            waiting += [stage.model] if stage.model else []
    return frozenset(found)


def _unknown_stage(name: str, known: Collection[str], where: str) -> Fault:
    advice = did_you_mean(name, known)
    return Fault(message=f"there is no stage {name!r}", where=where, hint=advice)


def _given_faults(case: StageCase, flow: Flow, where: str) -> Iterator[Fault]:
    upstream = upstream_of(flow, case.stage)
    referred = {to for name in upstream for to in flow[name].refers.values()}
    for name, table in case.given.items():
        at = f"{where}: given.{name}"
        if name not in flow.names:
            yield _unknown_stage(name, flow.names, at)
        elif name == case.stage and flow[name].kind is not Kind.INGEST:
            yield Fault(
                message=f"{name} is the stage that is tested",
                where=at,
                hint="give the tables that it reads",
            )
        elif name not in upstream | referred:
            reads = did_you_mean(name, upstream - {case.stage})
            yield Fault(message=f"{case.stage} doesn't read {name}", where=at, hint=reads)
        elif flow[name].kind not in DATA:
            yield Fault(message=f"{name} is a {flow[name].kind}, which has no rows", where=at)
        else:
            spec = flow[name].output
            assert spec is not None
            yield from _column_faults(table, spec, at, keeps=flow[name].kind is Kind.INGEST)
    if flow[case.stage].kind is Kind.INGEST and case.stage not in case.given:
        yield Fault(
            message=f"{case.stage} is an ingest, and the case gives it no rows",
            where=where,
            hint=f"add given.{case.stage}: what its source has",
        )


def _column_faults(
    table: GivenTable, spec: ContractSpec, at: str, *, keeps: bool = False
) -> Iterator[Fault]:
    """Faults of columns that a contract doesn't have; a source may have others, which it drops."""
    for name in table.columns:
        if name not in spec.names and not (keeps and spec.unknown_columns != "fail"):
            hint = did_you_mean(name, spec.names)
            yield Fault(message=f"contract {spec.name} has no column {name!r}", where=at, hint=hint)


def _expected_faults(case: StageCase, stage: Stage, where: str) -> Iterator[Fault]:
    expect = case.expect
    tables = {"rows": expect.rows, "includes": expect.includes}
    for key, table in tables.items():
        at = f"{where}: expect.{key}"
        if table is None:
            continue
        if stage.kind not in _ROWS:
            yield Fault(
                message=f"{stage.name} is a {stage.kind}, which has no rows",
                where=at,
                hint="expect predictions or scores",
            )
        elif stage.output is not None:
            yield from _column_faults(table, stage.output, at)
        if stage.kind in _ROWS and table.height and not table.columns:
            yield Fault(message="its rows name no columns", where=at)
    if expect.scores and stage.kind is not Kind.EVALUATE:
        yield Fault(
            message=f"{stage.name} is a {stage.kind}, which has no scores",
            where=f"{where}: expect.scores",
            hint="name the stage that evaluates the model",
        )
    if expect.predictions is not None and stage.kind is not Kind.MODEL:
        yield Fault(
            message=f"{stage.name} is a {stage.kind}, which doesn't predict",
            where=f"{where}: expect.predictions",
            hint="name the stage that trains the model",
        )
    if expect.count is not None and stage.kind not in _ROWS:
        yield Fault(
            message=f"{stage.name} is a {stage.kind}, which has no rows",
            where=f"{where}: expect.count",
        )


def _quarantine_faults(case: StageCase, flow: Flow, where: str) -> Iterator[Fault]:
    upstream = upstream_of(flow, case.stage)
    for name, table in case.expect.quarantined.items():
        at = f"{where}: expect.quarantined"
        if name not in upstream:
            yield _unknown_stage(name, upstream, at)
            continue
        spec = flow[name].output
        if spec is None:
            yield Fault(message=f"{name} has no contract, so no row is quarantined", where=at)
        elif isinstance(table, GivenTable):
            yield from _reason_faults(table, spec, at, keeps=flow[name].kind is Kind.INGEST)


def _reason_faults(
    table: GivenTable, spec: ContractSpec, at: str, *, keeps: bool
) -> Iterator[Fault]:
    kept = table.columns
    known = known_rules(spec)
    for name in kept:
        if (
            name != REASONS
            and name not in spec.names
            and not (keeps and spec.unknown_columns != "fail")
        ):
            hint = did_you_mean(name, (*spec.names, REASONS))
            yield Fault(message=f"contract {spec.name} has no column {name!r}", where=at, hint=hint)
    rows = table.rows if table.rows is not None else ()
    for row in rows:
        for rule in reasons_of_row(row):
            if rule not in known:
                hint = did_you_mean(rule, known)
                said = f"contract {spec.name} has no rule {rule!r} that rejects rows"
                yield Fault(message=said, where=at, hint=hint)


def reasons_of_row(row: Mapping[str, object]) -> tuple[str, ...]:
    """The rules that an expected row breaks: a list of names, or a text with blanks between them."""
    value = row.get(REASONS)
    if value is None:
        return ()
    if isinstance(value, str):
        return tuple(value.replace(",", " ").split())
    return tuple(map(str, value)) if isinstance(value, list | tuple) else (str(value),)


def known_rules(spec: ContractSpec) -> frozenset[str]:
    """The names of all rules of a contract that can reject a row."""
    implied = {f"{column.name}.{kind}" for column in spec.columns for kind in _IMPLIED}
    return frozenset(implied) | {rule.name for rule in row_rules_of(spec)}


def _param_faults(case: StageCase, flow: Flow, where: str) -> Iterator[Fault]:
    upstream = upstream_of(flow, case.stage)
    models = {name: flow[name] for name in upstream if flow[name].training is not None}
    for model, params in case.params.items():
        at = f"{where}: params.{model}"
        if model not in models:
            hint = did_you_mean(model, models) if models else f"{case.stage} reads no model"
            yield Fault(message=f"there is no model {model!r}", where=at, hint=hint)
            continue
        training = models[model].training
        assert training is not None
        for name in params:
            if name not in training.params:
                hint = did_you_mean(name, training.params)
                yield Fault(message=f"{model} has no parameter {name!r}", where=at, hint=hint)


def _partition_fault(case: StageCase, flow: Flow, where: str) -> Iterator[Fault]:
    if not case.partition:
        return
    cut = partitionings_of(flow)[case.stage]
    if cut.is_whole:
        yield Fault(
            message=f"{case.stage} has no partitions",
            where=f"{where}: partition",
            hint="leave partition out",
        )
    elif not is_valid_key(case.partition, cut):
        grain = f" by {cut.grain}" if cut.grain else ""
        yield Fault(
            message=f"{case.partition!r} is no partition of {case.stage}, which is partitioned{grain}",
            where=f"{where}: partition",
        )
