"""Compare two versions of a contract: describe every change, with its direction.

The terms of a column are listed in one table, those of the contract in another; a test fails for a term
that is in neither. `compatibility/changes.py` defines the directions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from tidemill.contracts.column import Column
from tidemill.contracts.compatibility.changes import Change, Diff, Direction
from tidemill.contracts.compatibility.directions import (
    BOTH,
    LOOSENS,
    NEUTRAL,
    SURVIVED,
    TIGHTENS,
    TOLD,
    WATCHED,
    Verdict,
    allowed,
    always,
    greatest,
    keys,
    least,
    listed,
    lower_end,
    moved,
    pattern,
    severity,
    types,
    unknown,
    upper_end,
    when_eased,
    when_set,
)
from tidemill.contracts.compatibility.nested_types import has_fields, inside
from tidemill.contracts.compatibility.table_rules import wider
from tidemill.contracts.compatibility.terms import Term, change, judged, said, term
from tidemill.contracts.declaration import Contract
from tidemill.contracts.spec import ContractSpec, Rule
from tidemill.contracts.table_rules import Budget, Rows

_ORDER = ("warn", "quarantine", "fail")
_TABLE = "the table"


def _describe_types(old: Any, new: Any) -> str:
    if old.name == new.name == "Enum":
        return f"Enum {listed(old.args, new.args)}"
    return f"{old} -> {new}"


def _describe_values(old: Any, new: Any) -> str:
    if old is None or new is None:
        return f"{said(old)} -> {said(new)}"
    return listed(old, new)


def _describe_text(old: str, new: str) -> str:
    if old and new:
        return "changed"
    return "added" if new else "removed"


_UNIT = moved("the same numbers have another meaning")
COLUMN_TERMS = (
    Term(label="type", field="dtype", judge=types, words=_describe_types),
    term("nullable", when_eased),
    term("min", lower_end, exclusive="min_exclusive", checked=True),
    term("max", upper_end, exclusive="max_exclusive", checked=True),
    term("min_length", least, checked=True),
    term("max_length", greatest, checked=True),
    term("regex", pattern, checked=True),
    term("isin", allowed, words=_describe_values, checked=True),
    term("unique", when_set, checked=True),
    term("on_fail", severity(_ORDER)),
    term("partition", always(BOTH)),
    term("optional", when_eased),
    term("default", moved("rows without the column get another value")),
    term("unit", _UNIT),
    term("description", always(TOLD), words=_describe_text),
    term("role", always(TOLD)),
    term("pii", always(TOLD)),
)
TABLE_TERMS = (
    term("key", keys),
    term("unknown_columns", unknown),
    term("compatibility", always(TOLD)),
    term("description", always(TOLD), words=_describe_text),
)
_ROWS_TERMS = (
    term("min", least, checked=True),
    term("max", greatest, checked=True),
    term("vs_last", pattern, checked=True),
    term("within", greatest, checked=True),
    term("on_fail", severity(_ORDER)),
)
# Fields that have functions of their own, and those that only identify the contract.
OTHERS = frozenset({"name", "version", "place", "columns", "rules", "rows", "budget", "wider"})


def diff(old: type[Contract] | ContractSpec, new: type[Contract] | ContractSpec) -> Diff:
    """Compare the contract `old` with `new`, for producers and consumers; the result is printable."""
    before, after = _spec(old), _spec(new)
    return Diff(
        old=before.name,
        new=after.name,
        old_version=before.version,
        new_version=after.version,
        changes=tuple(_changes(before, after)),
    )


def _spec(contract: type[Contract] | ContractSpec) -> ContractSpec:
    return contract if isinstance(contract, ContractSpec) else contract.__tidemill_contract__


def _changes(old: ContractSpec, new: ContractSpec) -> Iterator[Change]:
    for column in old.columns:
        if column.name not in new.names:
            yield _removed_column(column, new)
    for column in new.columns:
        if column.name in old.names:
            yield from _column(old.column(column.name), column)
        else:
            yield _added_column(column)
    yield from _column_order(old, new)
    yield from judged(_TABLE, TABLE_TERMS, old, new)
    yield from _rules(old, new)
    yield from _rows(old.rows, new.rows)
    yield from _budget(old.budget, new.budget)
    yield from wider(old, new)


def _removed_column(column: Column, new: ContractSpec) -> Change:
    note = "data that still has it is refused" if new.unknown_columns == "fail" else ""
    # Readers of an optional column must already cope without it.
    verdict = replace(SURVIVED if column.optional else LOOSENS, note=note)
    return replace(change(column.name, "column removed", verdict, column.name), gone=True)


def _added_column(column: Column) -> Change:
    more = f"{', nullable' * column.nullable}{', optional' * column.optional}"
    # Data without an optional column still passes.
    verdict = NEUTRAL if column.optional else TIGHTENS
    return change(column.name, f"column added: {column.dtype}{more}", verdict, column.name)


def _column(old: Column, new: Column) -> Iterator[Change]:
    warns = old.on_fail == new.on_fail == "warn"
    if has_fields(old.dtype, new.dtype):
        for words, verdict in inside(old.dtype, new.dtype):
            yield change(new.name, words, verdict, new.name, "type")
        old = replace(old, dtype=new.dtype)
    yield from judged(new.name, COLUMN_TERMS, old, new, column=new.name, warns=warns)


def _column_order(old: ContractSpec, new: ContractSpec) -> Iterator[Change]:
    both = [name for name in old.names if name in new.names]
    if both != [name for name in new.names if name in old.names]:
        note = "affects readers by position"
        verdict = Verdict(direction=Direction.NEUTRAL, note=note)
        yield change(_TABLE, "columns in another order", verdict)


def _rules(old: ContractSpec, new: ContractSpec) -> Iterator[Change]:
    before = {rule.name: rule for rule in old.rules}
    after = {rule.name: rule for rule in new.rules}
    renamed = _renamed(before, after)
    for name, rule in before.items():
        if name not in after and name not in renamed:
            yield change(name, "rule removed", WATCHED if rule.on_fail == "warn" else LOOSENS)
    earlier = {new_name: name for name, new_name in renamed.items()}
    for name, rule in after.items():
        if name in earlier:
            yield change(name, f"rule renamed from {earlier[name]}", TOLD)
        if name in before or name in earlier:
            yield from _rule(before[earlier.get(name, name)], rule)
        else:
            verdict = WATCHED if rule.on_fail == "warn" else TIGHTENS
            yield change(name, f"rule added: {rule.expr}", verdict)


def _renamed(before: Mapping[str, Rule], after: Mapping[str, Rule]) -> dict[str, str]:
    """Map each removed rule to the new name of an added rule with the same expression."""
    came = {rule.digest: name for name, rule in after.items() if name not in before}
    gone = {rule.digest: name for name, rule in before.items() if name not in after}
    return {name: came[digest] for digest, name in gone.items() if digest in came}


def _rule(old: Rule, new: Rule) -> Iterator[Change]:
    if old.digest != new.digest:
        warns = old.on_fail == new.on_fail == "warn"
        yield change(new.name, _expressions(old, new), WATCHED if warns else BOTH)
    terms = (
        term("on_fail", severity(_ORDER)),
        term("description", always(TOLD), words=_describe_text),
    )
    yield from judged(new.name, terms, old, new)


def _expressions(old: Rule, new: Rule) -> str:
    before, after = str(old.expr), str(new.expr)
    if before == after:
        return f"rule changed in a part that its text doesn't show: {after}"
    return f"rule {before} -> {after}"


def _rows(old: Rows | None, new: Rows | None) -> Iterator[Change]:
    # None means the same as a record without any bounds.
    before = old or Rows(on_fail=new.on_fail if new else "warn")
    after = new or Rows(on_fail=before.on_fail)
    warns = before.on_fail == after.on_fail == "warn"
    return judged("rows", _ROWS_TERMS, before, after, warns=warns)


def _budget(old: Budget | None, new: Budget | None) -> Iterator[Change]:
    # A larger share lets more rows be quarantined.
    before, after = (budget and budget.max_bad for budget in (old, new))
    if before != after:
        yield change("budget", f"max_bad {said(before)} -> {said(after)}", greatest(before, after))
