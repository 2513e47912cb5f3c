"""Guarantees that a consumer relies on: resolve declared `reads` to the contract that they require.

A guarantee given by name stands for the contract's current term: "weight.min" is whatever minimum the
contract declares. Reviews of a change resolve it against the old version of the contract.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tidemill.contracts.column import Column
from tidemill.contracts.compatibility.unmet_demands import UnmetDemand, unmet_demands
from tidemill.contracts.compatibility.value_inclusion import VALUE_TERMS
from tidemill.contracts.spec import ContractSpec, Reads, Rule
from tidemill.core.errors import Fault, did_you_mean
from tidemill.workflow.stage import Stage

_FIELDS = {**VALUE_TERMS, "null": ("nullable",), "nan": ("nullable",), "unique": ("unique",)}
_SILENT = {"nullable": True, "unique": False}
_TABLE = ("key", "rows", "budget")


def required_contract(reads: Reads, spec: ContractSpec) -> ContractSpec:
    """Return the contract that a consumer requires; names resolve against `spec`, others are skipped."""
    wanted = ContractSpec(name=str(reads), version=spec.version, columns=())
    for guarantee in reads.guarantees or ():
        match guarantee:
            case str():
                wanted = _with_named_guarantee(wanted, guarantee, spec)
            case Rule():
                wanted = replace(wanted, rules=(*wanted.rules, guarantee))
            case Column():
                wanted = _with_column(wanted, guarantee)
    return wanted


def unmet_guarantees(reads: Reads, offered: ContractSpec) -> Iterator[UnmetDemand]:
    """Yield each term that a consumer relies on and the contract `given` doesn't guarantee."""
    return unmet_demands(required_contract(reads, reads.contract), offered)


def guarantee_faults(stage: Stage, reads: Reads) -> Iterator[Fault]:
    """Yield a fault for each guarantee that the contract doesn't have: unknown names, wrong types."""
    guarantees = reads.guarantees or ()
    known = frozenset(guarantee_names(reads.contract)) if guarantees else frozenset()
    for guarantee in guarantees:
        message, hint = _guarantee_fault(guarantee, reads.contract, known)
        if message:
            text = f"{stage.kind} {stage.name!r}: {reads}: {message}"
            yield Fault(message=text, where=reads.place, hint=hint)


def with_reads(
    stage: Stage, declared: Sequence[Reads], contracts: Mapping[str, ContractSpec | None]
) -> tuple[Stage, list[Fault]]:
    """Attach declared `reads` to the stage's inputs, matched by contract; unmatched ones are faults.

    `given` maps the name of each input to its contract.
    """
    faults = [fault for reads in declared for fault in guarantee_faults(stage, reads)]
    for place, reads in enumerate(declared):
        if not reads.columns:
            message = f"{stage.kind} {stage.name!r}: {reads} names no columns"
            faults.append(Fault(message=message, where=reads.place, hint="name at least one"))
        if all(reads.contract != spec for spec in contracts.values()):
            faults.append(_unmatched_reads(stage, reads, contracts))
        if any(reads.contract == other.contract for other in declared[:place]):
            message = f"{stage.kind} {stage.name!r}: {reads} repeats the reads of that contract"
            faults.append(Fault(message=message, where=reads.place, hint="merge them into one"))
    found = {
        name: next((reads for reads in declared if reads.contract == spec), None)
        for name, spec in contracts.items()
    }
    inputs = (replace(item, reads=found.get(item.name)) for item in stage.inputs)
    return replace(stage, inputs=tuple(inputs)), faults


def _unmatched_reads(
    stage: Stage, reads: Reads, contracts: Mapping[str, ContractSpec | None]
) -> Fault:
    name = reads.contract.name
    message = f"{stage.kind} {stage.name!r}: {reads}, but none of its inputs has contract {name}"
    names = [spec.name for spec in contracts.values() if spec is not None]
    return Fault(message=message, where=reads.place, hint=did_you_mean(name, names))


def _guarantee_fault(
    guarantee: object, spec: ContractSpec, known: Collection[str]
) -> tuple[str, str]:
    match guarantee:
        case Rule():
            return "", ""
        case Column():
            if not guarantee.name:
                hint = f"name it: {spec.name}.reads(weight=tm.Float64(min=0))"
                return f"a guarantee is a column without a name ({guarantee.dtype})", hint
            if guarantee.name in spec.names:
                return "", ""
            hint = did_you_mean(guarantee.name, spec.names)
            return f"{spec.name} has no column {guarantee.name!r}", hint
        case str():
            return _name_fault(guarantee, spec, known)
    hint = "name a rule of the contract, or pass a column or a tm.rule(...)"
    return f"{guarantee!r} is not a guarantee", hint


def _name_fault(name: str, spec: ContractSpec, known: Collection[str]) -> tuple[str, str]:
    if name in known:
        return "", ""
    column, _, term = name.rpartition(".")
    if column not in spec.names or term not in _FIELDS:
        hint = did_you_mean(name, known)
        return f"{spec.name} ({spec.place}) has no rule {name!r}", hint
    if term in ("null", "nan") and spec.column(column).nullable:
        problem = f"{column!r} may be null in {spec.name} ({spec.place})"
    else:
        problem = f"{spec.name} ({spec.place}) doesn't guarantee {name!r}"
    return problem, "declare it in the contract, or don't rely on it"


def guarantee_names(spec: ContractSpec) -> tuple[str, ...]:
    """Return the names of all guarantees of a contract, including rules that only warn."""
    own = [name for name in _TABLE if getattr(spec, name)]
    rules = [*(rule.name for rule in spec.rules), *(rule.name for rule in spec.table_rules)]
    terms = [
        f"{column.name}.{term}"
        for column in spec.columns
        for term in _FIELDS
        if _has_term(column, term)
    ]
    return (*own, *rules, *spec.names, *terms)


def _has_term(column: Column, term: str) -> bool:
    if term == "nan" and not column.dtype.name.startswith("Float"):
        return False
    return any(getattr(column, field) != _default_of(field) for field in _FIELDS[term])


def _default_of(field: str) -> Any:
    return _SILENT.get(field)


def _with_named_guarantee(wanted: ContractSpec, name: str, spec: ContractSpec) -> ContractSpec:
    """Add the guarantee that `name` means in `spec`; a rule that only warns there is required, too."""
    match name:
        case "key":
            return _with_key(wanted, spec)
        case "rows":
            return replace(wanted, rows=spec.rows and replace(spec.rows, on_fail="fail"))
        case "budget":
            return replace(wanted, budget=spec.budget)
    rules = (replace(rule, on_fail="quarantine") for rule in spec.rules if rule.name == name)
    wider = (replace(rule, on_fail="fail") for rule in spec.table_rules if rule.name == name)
    columns = (column for column in spec.columns if name.startswith(column.name))
    return replace(
        wanted,
        rules=(*wanted.rules, *rules),
        table_rules=(*wanted.table_rules, *wider),
        columns=(
            *wanted.columns,
            *(c for column in columns for c in _guaranteed_columns(column, name)),
        ),
    )


def _guaranteed_columns(column: Column, name: str) -> Iterator[Column]:
    """Yield the part of a column that a name means: the whole column, one term, or nothing."""
    term = name.removeprefix(f"{column.name}.")
    if name == column.name:
        yield replace(column, on_fail="quarantine")
    elif term in _FIELDS:
        yield _column_with_term(column, term)


def _column_with_term(column: Column, term: str) -> Column:
    """Return the column with one of its terms and no others."""
    kept = {field: getattr(column, field) for field in _FIELDS[term]}
    terms: dict[str, Any] = {"nullable": True, **kept}
    return Column(dtype=column.dtype, name=column.name, **terms)


def _with_key(wanted: ContractSpec, spec: ContractSpec) -> ContractSpec:
    for name in spec.key:
        wanted = _with_column(wanted, _column_with_term(spec.column(name), "null"))
    return replace(wanted, key=spec.key)


def _with_column(wanted: ContractSpec, column: Column) -> ContractSpec:
    """Append a column; one that is there already keeps its terms as well."""
    return replace(wanted, columns=(*wanted.columns, column))
