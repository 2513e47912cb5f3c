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
    DOCUMENTATION,
    LOOSENS,
    NEUTRAL,
    READERS_UNAFFECTED,
    TIGHTENS,
    WARNS_ONLY,
    ChangeEffect,
    constant_judge,
    describe_list_change,
    judge_allowed_values,
    judge_condition,
    judge_key,
    judge_lower_bound,
    judge_maximum,
    judge_minimum,
    judge_permission,
    judge_promise,
    judge_type,
    judge_unknown_columns,
    judge_upper_bound,
    meaning_judge,
    severity_judge,
)
from tidemill.contracts.compatibility.nested_types import has_fields, nested_changes
from tidemill.contracts.compatibility.table_rules import table_rule_changes
from tidemill.contracts.compatibility.terms import (
    Term,
    format_value,
    make_change,
    term,
    term_changes,
)
from tidemill.contracts.declaration import DeclaredContract
from tidemill.contracts.spec import ContractSpec, Rule
from tidemill.contracts.table_rules import DEFAULT_MAX_BAD, Budget, Rows
from tidemill.contracts.text_format import TextFormat

_ORDER = ("warn", "quarantine", "fail")
_TABLE = "the table"


def _describe_types(old: Any, new: Any) -> str:
    if old.name == new.name == "Enum":
        return f"Enum {describe_list_change(old.args, new.args)}"
    return f"{old} -> {new}"


def _describe_values(old: Any, new: Any) -> str:
    if old is None or new is None:
        return f"{format_value(old)} -> {format_value(new)}"
    return describe_list_change(old, new)


def _describe_text(old: str, new: str) -> str:
    if old and new:
        return "changed"
    return "added" if new else "removed"


def _describe_reading(old: TextFormat, new: TextFormat) -> str:
    """Name the options of how text is read that changed."""
    names = (name for name in new.__slots__ if getattr(old, name) != getattr(new, name))
    return f"changed: {', '.join(name.removesuffix('s') if name == 'formats' else name for name in names)}"


_UNIT = meaning_judge("the same numbers have another meaning")
COLUMN_TERMS = (
    Term(label="type", field="dtype", judge=judge_type, words=_describe_types),
    term("nullable", judge_permission),
    term("min", judge_lower_bound, exclusive="min_exclusive", checked=True),
    term("max", judge_upper_bound, exclusive="max_exclusive", checked=True),
    term("min_length", judge_minimum, checked=True),
    term("max_length", judge_maximum, checked=True),
    term("regex", judge_condition, checked=True),
    term("isin", judge_allowed_values, words=_describe_values, checked=True),
    term("unique", judge_promise, checked=True),
    term("on_fail", severity_judge(_ORDER)),
    term("partition", constant_judge(BOTH)),
    term("optional", judge_permission),
    term("default", meaning_judge("rows without the column get another value")),
    term("unit", _UNIT),
    term("description", constant_judge(DOCUMENTATION), words=_describe_text),
    term("role", constant_judge(DOCUMENTATION)),
    term("pii", constant_judge(DOCUMENTATION)),
    term("source", constant_judge(DOCUMENTATION)),
    Term(
        label="format of text",
        field="text",
        judge=constant_judge(DOCUMENTATION),
        words=_describe_reading,
    ),
)
TABLE_TERMS = (
    term("key", judge_key),
    term("unknown_columns", judge_unknown_columns),
    term("compatibility", constant_judge(DOCUMENTATION)),
    term("description", constant_judge(DOCUMENTATION), words=_describe_text),
)
_ROWS_TERMS = (
    term("min", judge_minimum, checked=True),
    term("max", judge_maximum, checked=True),
    term("vs_last", judge_condition, checked=True),
    term("within", judge_maximum, checked=True),
    term("on_fail", severity_judge(_ORDER)),
)
# Fields that have functions of their own, and those that only identify the contract.
SEPARATE_FIELDS = frozenset(
    {"name", "version", "place", "columns", "rules", "rows", "budget", "table_rules"}
)


def diff(
    old: type[DeclaredContract] | ContractSpec, new: type[DeclaredContract] | ContractSpec
) -> Diff:
    """Compare the contract `old` with `new`, for producers and consumers; the result is printable."""
    before, after = _spec(old), _spec(new)
    return Diff(
        old=before.name,
        new=after.name,
        old_version=before.version,
        new_version=after.version,
        changes=tuple(_changes(before, after)),
    )


def _spec(contract: type[DeclaredContract] | ContractSpec) -> ContractSpec:
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
    yield from term_changes(_TABLE, TABLE_TERMS, old, new)
    yield from _rules(old, new)
    yield from _rows(old.rows, new.rows)
    yield from _budget(old.budget, new.budget)
    yield from table_rule_changes(old, new)


def _removed_column(column: Column, new: ContractSpec) -> Change:
    note = "data that still has it is refused" if new.unknown_columns == "fail" else ""
    # Readers of an optional column must already cope without it.
    verdict = replace(READERS_UNAFFECTED if column.optional else LOOSENS, note=note)
    return replace(make_change(column.name, "column removed", verdict, column.name), gone=True)


def _added_column(column: Column) -> Change:
    more = f"{', nullable' * column.nullable}{', optional' * column.optional}"
    # Data without an optional column still passes.
    verdict = NEUTRAL if column.optional else TIGHTENS
    return make_change(column.name, f"column added: {column.dtype}{more}", verdict, column.name)


def _column(old: Column, new: Column) -> Iterator[Change]:
    warns = old.on_fail == new.on_fail == "warn"
    if has_fields(old.dtype, new.dtype):
        for words, verdict in nested_changes(old.dtype, new.dtype):
            yield make_change(new.name, words, verdict, new.name, "type")
        old = replace(old, dtype=new.dtype)
    yield from term_changes(new.name, COLUMN_TERMS, old, new, column=new.name, warns=warns)


def _column_order(old: ContractSpec, new: ContractSpec) -> Iterator[Change]:
    both = [name for name in old.names if name in new.names]
    if both != [name for name in new.names if name in old.names]:
        note = "affects readers by position"
        verdict = ChangeEffect(direction=Direction.NEUTRAL, note=note)
        yield make_change(_TABLE, "columns in another order", verdict)


def _rules(old: ContractSpec, new: ContractSpec) -> Iterator[Change]:
    before = {rule.name: rule for rule in old.rules}
    after = {rule.name: rule for rule in new.rules}
    renamed = _renamed(before, after)
    for name, rule in before.items():
        if name not in after and name not in renamed:
            yield make_change(
                name, "rule removed", WARNS_ONLY if rule.on_fail == "warn" else LOOSENS
            )
    earlier = {new_name: name for name, new_name in renamed.items()}
    for name, rule in after.items():
        if name in earlier:
            yield make_change(name, f"rule renamed from {earlier[name]}", DOCUMENTATION)
        if name in before or name in earlier:
            yield from _rule(before[earlier.get(name, name)], rule)
        else:
            verdict = WARNS_ONLY if rule.on_fail == "warn" else TIGHTENS
            yield make_change(name, f"rule added: {rule.expr}", verdict)


def _renamed(before: Mapping[str, Rule], after: Mapping[str, Rule]) -> dict[str, str]:
    """Map each removed rule to the new name of an added rule with the same expression."""
    came = {rule.digest: name for name, rule in after.items() if name not in before}
    gone = {rule.digest: name for name, rule in before.items() if name not in after}
    return {name: came[digest] for digest, name in gone.items() if digest in came}


def _rule(old: Rule, new: Rule) -> Iterator[Change]:
    if old.digest != new.digest:
        warns = old.on_fail == new.on_fail == "warn"
        yield make_change(new.name, _expressions(old, new), WARNS_ONLY if warns else BOTH)
    terms = (
        term("on_fail", severity_judge(_ORDER)),
        term("description", constant_judge(DOCUMENTATION), words=_describe_text),
    )
    yield from term_changes(new.name, terms, old, new)


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
    return term_changes("rows", _ROWS_TERMS, before, after, warns=warns)


def _budget(old: Budget | None, new: Budget | None) -> Iterator[Change]:
    # A larger share lets more rows be quarantined.
    before, after = (budget.max_bad if budget else DEFAULT_MAX_BAD for budget in (old, new))
    if before != after:
        yield make_change(
            "budget",
            f"max_bad {format_value(before)} -> {format_value(after)}",
            judge_maximum(before, after),
        )
