"""What differs between two contracts: every change in words, with the direction in which it went.

A column's terms stand in one table, those of the contract itself in another; a term that is in neither
fails a test. What the directions mean is written in `domain/diff.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from tidemill.decide.judging import (
    BOTH,
    LOOSENS,
    NEUTRAL,
    SURVIVED,
    TIGHTENS,
    TOLD,
    WATCHED,
    Judge,
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
from tidemill.domain.column import Column
from tidemill.domain.contract import Budget, Contract, ContractSpec, Rows, Rule
from tidemill.domain.diff import Change, Diff, Direction

Words: TypeAlias = Callable[[Any, Any], str]

_ORDER = ("warn", "quarantine", "fail")
_TABLE = "the table"


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One thing that a contract says: its field, who judges a change of it, and how it is told.

    `exclusive` is the field that says the same and leaves the value itself out. `checked` terms are
    held against values; where a break only warns, they promise nothing.
    """

    label: str
    field: str
    judge: Judge
    exclusive: str = ""
    words: Words | None = None
    checked: bool = False

    def value(self, record: object) -> Any:
        """What a record says of it; of an end both forms, of which one is None."""
        if self.exclusive:
            return getattr(record, self.field), getattr(record, self.exclusive)
        return getattr(record, self.field)

    def told(self, old: object, new: object) -> str:
        """`min 0 -> 5`."""
        if self.words is not None:
            return f"{self.label} {self.words(self.value(old), self.value(new))}"
        if self.exclusive:
            return f"{self.label} {_end_said(self.value(old))} -> {_end_said(self.value(new))}"
        return f"{self.label} {said(self.value(old))} -> {said(self.value(new))}"


def _term(name: str, judge: Judge, **more: Any) -> Term:
    return Term(label=name, field=name, judge=judge, **more)


def _end_said(ends: tuple[object, object]) -> str:
    inclusive, exclusive = ends
    parts = [said(inclusive)] if inclusive is not None else []
    parts += [f"{said(exclusive)} (exclusive)"] if exclusive is not None else []
    return " and ".join(parts) or "none"


def said(value: object) -> str:
    """A term's value as people say it."""
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return f"({', '.join(map(str, value))})" if value else "none"
    return str(value)


def _types_told(old: Any, new: Any) -> str:
    if old.name == new.name == "Enum":
        return f"Enum {listed(old.args, new.args)}"
    return f"{old} -> {new}"


def _values_told(old: Any, new: Any) -> str:
    if old is None or new is None:
        return f"{said(old)} -> {said(new)}"
    return listed(old, new)


def _text_told(old: str, new: str) -> str:
    if old and new:
        return "changed"
    return "added" if new else "removed"


_UNIT = moved("the same numbers mean something else")
COLUMN_TERMS = (
    Term(label="type", field="dtype", judge=types, words=_types_told),
    _term("nullable", when_eased),
    _term("min", lower_end, exclusive="min_exclusive", checked=True),
    _term("max", upper_end, exclusive="max_exclusive", checked=True),
    _term("min_length", least, checked=True),
    _term("max_length", greatest, checked=True),
    _term("regex", pattern, checked=True),
    _term("isin", allowed, words=_values_told, checked=True),
    _term("unique", when_set, checked=True),
    _term("on_fail", severity(_ORDER)),
    _term("partition", always(BOTH)),
    _term("optional", when_eased),
    _term("default", moved("rows without it get another value")),
    _term("unit", _UNIT),
    _term("description", always(TOLD), words=_text_told),
    _term("role", always(TOLD)),
    _term("pii", always(TOLD)),
)
TABLE_TERMS = (
    _term("key", keys),
    _term("unknown_columns", unknown),
    _term("compatibility", always(TOLD)),
    _term("description", always(TOLD), words=_text_told),
)
_ROWS_TERMS = (
    _term("min", least, checked=True),
    _term("max", greatest, checked=True),
    _term("vs_last", pattern, checked=True),
    _term("within", greatest, checked=True),
    _term("on_fail", severity(_ORDER)),
)
# What is compared by functions of its own, and what only says who is speaking.
OTHERS = frozenset({"name", "version", "place", "columns", "rules", "rows", "budget"})


def diff(old: type[Contract] | ContractSpec, new: type[Contract] | ContractSpec) -> Diff:
    """What changes for producers and consumers from the contract `old` to `new`; print it to read it."""
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
            yield _gone(column, new)
    for column in new.columns:
        if column.name in old.names:
            yield from _column(old.column(column.name), column)
        else:
            yield _came(column)
    yield from _moved(old, new)
    yield from _judged(_TABLE, TABLE_TERMS, old, new)
    yield from _rules(old, new)
    yield from _rows(old.rows, new.rows)
    yield from _budget(old.budget, new.budget)


def _change(about: str, words: str, verdict: Verdict, column: str = "") -> Change:
    return Change(
        about=about,
        words=words,
        direction=verdict.direction,
        column=column,
        survived=verdict.survived,
        told=verdict.told,
        felt=verdict.felt,
        note=verdict.note,
    )


def _gone(column: Column, new: ContractSpec) -> Change:
    note = "who still sends it is refused" if new.unknown_columns == "fail" else ""
    # Who reads an optional column has to do without it already.
    verdict = replace(SURVIVED if column.optional else LOOSENS, note=note)
    return replace(_change(column.name, "column removed", verdict, column.name), gone=True)


def _came(column: Column) -> Change:
    more = f"{', nullable' * column.nullable}{', optional' * column.optional}"
    # Data that is without an optional column passes as before.
    verdict = NEUTRAL if column.optional else TIGHTENS
    return _change(column.name, f"column added: {column.dtype}{more}", verdict, column.name)


def _column(old: Column, new: Column) -> Iterator[Change]:
    warns = old.on_fail == new.on_fail == "warn"
    return _judged(new.name, COLUMN_TERMS, old, new, column=new.name, warns=warns)


def _judged(
    about: str,
    terms: tuple[Term, ...],
    old: object,
    new: object,
    *,
    column: str = "",
    warns: bool = False,
) -> Iterator[Change]:
    for term in terms:
        before, after = term.value(old), term.value(new)
        if before != after:
            verdict = WATCHED if warns and term.checked else term.judge(before, after)
            yield _change(about, term.told(old, new), verdict, column)


def _moved(old: ContractSpec, new: ContractSpec) -> Iterator[Change]:
    both = [name for name in old.names if name in new.names]
    if both != [name for name in new.names if name in old.names]:
        note = "for who reads by position"
        verdict = Verdict(direction=Direction.NEUTRAL, note=note)
        yield _change(_TABLE, "columns in another order", verdict)


def _rules(old: ContractSpec, new: ContractSpec) -> Iterator[Change]:
    before = {rule.name: rule for rule in old.rules}
    after = {rule.name: rule for rule in new.rules}
    renamed = _renamed(before, after)
    for name, rule in before.items():
        if name not in after and name not in renamed:
            yield _change(name, "rule removed", WATCHED if rule.on_fail == "warn" else LOOSENS)
    earlier = {new_name: name for name, new_name in renamed.items()}
    for name, rule in after.items():
        if name in earlier:
            yield _change(name, f"rule renamed from {earlier[name]}", TOLD)
        if name in before or name in earlier:
            yield from _rule(before[earlier.get(name, name)], rule)
        else:
            verdict = WATCHED if rule.on_fail == "warn" else TIGHTENS
            yield _change(name, f"rule added: {rule.expr}", verdict)


def _renamed(before: Mapping[str, Rule], after: Mapping[str, Rule]) -> dict[str, str]:
    """New names of rules that ask the same as one that is gone."""
    came = {rule.digest: name for name, rule in after.items() if name not in before}
    gone = {rule.digest: name for name, rule in before.items() if name not in after}
    return {name: came[digest] for digest, name in gone.items() if digest in came}


def _rule(old: Rule, new: Rule) -> Iterator[Change]:
    if old.digest != new.digest:
        warns = old.on_fail == new.on_fail == "warn"
        yield _change(new.name, _expressions(old, new), WATCHED if warns else BOTH)
    terms = (
        _term("on_fail", severity(_ORDER)),
        _term("description", always(TOLD), words=_text_told),
    )
    yield from _judged(new.name, terms, old, new)


def _expressions(old: Rule, new: Rule) -> str:
    before, after = str(old.expr), str(new.expr)
    if before == after:
        return f"rule changed, in a part that its text leaves out: {after}"
    return f"rule {before} -> {after}"


def _rows(old: Rows | None, new: Rows | None) -> Iterator[Change]:
    # None says nothing, which is what a record without any bound says.
    before = old or Rows(on_fail=new.on_fail if new else "warn")
    after = new or Rows(on_fail=before.on_fail)
    warns = before.on_fail == after.on_fail == "warn"
    return _judged("rows", _ROWS_TERMS, before, after, warns=warns)


def _budget(old: Budget | None, new: Budget | None) -> Iterator[Change]:
    # A larger share lets more rows be missing.
    before, after = (budget and budget.max_bad for budget in (old, new))
    if before != after:
        yield _change("budget", f"max_bad {said(before)} -> {said(after)}", greatest(before, after))
