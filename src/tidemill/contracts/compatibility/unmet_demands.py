"""Find the demands of a consumer that the contract of a table doesn't guarantee.

A contract guarantees what no published row can break; rules that only warn guarantee nothing. Demands are
expressed as a contract, too, so that both sides have the same form.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tidemill.contracts.column import Column
from tidemill.contracts.compatibility.value_inclusion import VALUE_TERMS, breakable_terms
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.table_rules import Rows, TableRule, UniqueRule
from tidemill.core.errors import did_you_mean
from tidemill.core.lazy_dataclass import dataclass

_SILENT: dict[str, Any] = {field: None for fields in VALUE_TERMS.values() for field in fields}


@dataclass(frozen=True, slots=True, kw_only=True)
class UnmetDemand:
    """An unmet demand: the column or rule, the term, and what each side says."""

    about: str
    term: str
    asked: str
    given: str
    hint: str = ""

    @property
    def name(self) -> str:
        """The name as in findings, such as `weight.min`; a rule by its own name."""
        return f"{self.about}.{self.term}" if self.term else self.about


def unmet_demands(wanted: ContractSpec, given: ContractSpec) -> Iterator[UnmetDemand]:
    """Yield the demands of `wanted` that a table allowed by `given` may break."""
    for column in wanted.columns:
        if column.name not in given.names:
            hint = did_you_mean(column.name, given.names)
            yield UnmetDemand(
                about=column.name, term="exists", asked="a column", given="none", hint=hint
            )
        else:
            yield from _column(column, given)
    yield from _table(wanted, given)


def _column(wanted: Column, spec: ContractSpec) -> Iterator[UnmetDemand]:
    declared = spec.column(wanted.name)
    given = _guaranteed(declared, spec)
    name, warns = wanted.name, declared.on_fail == "warn"
    if not wanted.dtype.includes(given.dtype):
        yield UnmetDemand(about=name, term="type", asked=str(wanted.dtype), given=str(given.dtype))
        return
    if wanted.on_fail == "warn":
        return
    if given.nullable and not wanted.nullable:
        words = "it may be null" + _only_warns(warns and not declared.nullable)
        yield UnmetDemand(about=name, term="null", asked="never null", given=words)
    for term in breakable_terms(wanted, given):
        words = _describe_term(declared, term) + _only_warns(warns)
        yield UnmetDemand(about=name, term=term, asked=_describe_term(wanted, term), given=words)
    if wanted.unique and not _is_unique((name,), spec):
        words = "it may repeat" + _only_warns(warns and declared.unique)
        yield UnmetDemand(about=name, term="unique", asked="unique", given=words)


def _guaranteed(column: Column, spec: ContractSpec) -> Column:
    """Return a column with only the terms that no published value can break."""
    if column.on_fail != "warn":
        return column
    # Rows without a key or a partition are never kept.
    fixed = column.name in spec.key or column.partition is not None
    return replace(column, **_SILENT, unique=False, nullable=column.nullable or not fixed)


def _describe_term(column: Column, term: str) -> str:
    """Describe a term, such as `min 0`, `min 0 (exclusive)`, `no min`."""
    for field in VALUE_TERMS[term]:
        value = getattr(column, field)
        if value is not None:
            from tidemill.contracts.compatibility.terms import format_value

            return f"{term} {format_value(value)}{' (exclusive)' * field.endswith('_exclusive')}"
    return f"no {term}"


def _only_warns(warns: bool) -> str:
    return ", but violations only warn" if warns else ""


def _is_unique(columns: tuple[str, ...], spec: ContractSpec) -> bool:
    """Whether combinations of some columns are unique in a partition."""
    within = set(columns)
    if spec.key and set(spec.key) <= within:
        return True
    if any(_distinct(spec.column(name), spec, alone=len(columns) == 1) for name in columns):
        return True
    return any(
        isinstance(rule, UniqueRule)
        and rule.on_fail == "fail"
        and set(rule.columns) <= within
        and (rule.columns == columns or not _may_be_null(rule.columns, spec))
        for rule in spec.table_rules
    )


def _distinct(column: Column, spec: ContractSpec, *, alone: bool) -> bool:
    # Nulls never count as repeated, but in a combination they don't distinguish rows.
    return _guaranteed(column, spec).unique and (alone or not column.nullable)


def _may_be_null(columns: tuple[str, ...], spec: ContractSpec) -> bool:
    return any(_guaranteed(spec.column(name), spec).nullable for name in columns)


def _table(wanted: ContractSpec, given: ContractSpec) -> Iterator[UnmetDemand]:
    names = [name for name in wanted.key if name in given.names]
    from tidemill.contracts.compatibility.terms import format_value

    if wanted.key and (len(names) < len(wanted.key) or not _is_unique(tuple(names), given)):
        yield UnmetDemand(
            about="key",
            term="",
            asked=f"key {format_value(wanted.key)}",
            given=f"key {format_value(given.key)}",
        )
    yield from _rules(wanted, given)
    yield from _table_rules(wanted, given)
    yield from _rows(wanted.rows, given.rows)
    if wanted.budget is not None and given.max_bad > wanted.budget.max_bad:
        asked = f"max_bad {wanted.budget.max_bad}"
        yield UnmetDemand(
            about="budget", term="", asked=asked, given=f"max_bad {format_value(given.max_bad)}"
        )


def _rules(wanted: ContractSpec, given: ContractSpec) -> Iterator[UnmetDemand]:
    kept = {rule.digest: rule.on_fail for rule in given.rules}
    names = {rule.name for rule in given.rules}
    for rule in wanted.rules:
        found = kept.get(rule.digest)
        if rule.on_fail == "warn" or found in ("fail", "quarantine"):
            continue
        words = "it only warns" if found else "another rule of that name"
        if not found and rule.name not in names:
            words = "no such rule"
        hint = "" if found else did_you_mean(rule.name, names)
        yield UnmetDemand(about=rule.name, term="", asked=str(rule.expr), given=words, hint=hint)


def _table_rules(wanted: ContractSpec, given: ContractSpec) -> Iterator[UnmetDemand]:
    kept = {_plain(rule): rule.on_fail for rule in given.table_rules}
    for rule in wanted.table_rules:
        found = kept.get(_plain(rule))
        if rule.on_fail == "fail" and found != "fail":
            words = "it only warns" if found else "no such rule"
            yield UnmetDemand(about=rule.name, term="", asked=str(rule), given=words)


def _plain(rule: TableRule) -> tuple[str, str]:
    return type(rule).__name__, repr(replace(rule, name="", description="", on_fail="fail"))


def _rows(wanted: Rows | None, given: Rows | None) -> Iterator[UnmetDemand]:
    if wanted is None or wanted.on_fail == "warn":
        return
    held = Rows() if given is None or given.on_fail == "warn" else given
    ends = (
        wanted.min is None or (held.min is not None and held.min >= wanted.min),
        wanted.max is None or (held.max is not None and held.max <= wanted.max),
        wanted.vs_last is None or (held.vs_last, held.within) == (wanted.vs_last, wanted.within),
    )
    if not all(ends):
        words = "none" if given is None else _describe_rows(given)
        words += _only_warns(given is not None and given.on_fail == "warn")
        yield UnmetDemand(about="rows", term="", asked=_describe_rows(wanted), given=words)


def _describe_rows(rows: Rows) -> str:
    fields = ("min", "max", "vs_last", "within")
    bounds = ((name, getattr(rows, name)) for name in fields)
    return ", ".join(f"{name} {value}" for name, value in bounds if value is not None)
