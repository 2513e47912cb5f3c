"""Compare the table rules of two versions of a contract."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from tidemill.contracts.compatibility.changes import Change
from tidemill.contracts.compatibility.directions import (
    BOTH,
    LOOSENS,
    TIGHTENS,
    TOLD,
    WATCHED,
    Verdict,
    allowed,
    always,
    greatest,
    keys,
    severity,
)
from tidemill.contracts.compatibility.terms import Term, change, judged, term
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.table_rules import (
    DriftRule,
    FreshnessRule,
    ReferenceRule,
    UniqueRule,
    WideRule,
)
from tidemill.core.partition import Span, parse_span

# Compare durations at a fixed date, because months differ in length.
_MOMENT = datetime(2000, 1, 1)


def _judge_age(old: str, new: str) -> Verdict:
    """Judge a maximal age: a shorter one is tighter."""
    return greatest(_length(parse_span(old)), _length(parse_span(new)))


def _length(span: Span) -> timedelta:
    return _MOMENT - span.before(_MOMENT)


def _judge_added_columns(old: Any, new: Any) -> Verdict:
    """Judge columns that are checked one by one: adding one is tighter."""
    return allowed(new, old)


_TERMS: Mapping[type[object], tuple[Term, ...]] = {
    FreshnessRule: (
        term("column", always(BOTH), checked=True),
        term("within", _judge_age, checked=True),
    ),
    UniqueRule: (term("columns", keys, checked=True),),
    ReferenceRule: tuple(
        term(name, always(BOTH), checked=True) for name in ("columns", "contract", "to", "stage")
    ),
    DriftRule: (
        term("columns", _judge_added_columns, checked=True),
        term("by", always(BOTH), checked=True),
        term("limit", greatest, checked=True),
        term("vs_last", always(BOTH), checked=True),
    ),
}
_COMMON = (term("on_fail", severity(("warn", "fail"))), term("description", always(TOLD)))


def wider(old: ContractSpec, new: ContractSpec) -> Iterator[Change]:
    """Yield every change of a table rule."""
    before = {rule.name: rule for rule in old.wider}
    after = {rule.name: rule for rule in new.wider}
    for name, rule in before.items():
        if type(after.get(name)) is not type(rule):
            yield change(name, f"rule removed: {rule}", _unless_it_warns(rule, LOOSENS))
    for name, rule in after.items():
        earlier = before.get(name)
        if earlier is None or type(earlier) is not type(rule):
            yield change(name, f"rule added: {rule}", _unless_it_warns(rule, TIGHTENS))
            continue
        warns = earlier.on_fail == rule.on_fail == "warn"
        terms = (*_TERMS[type(rule)], *_COMMON)
        yield from judged(name, terms, earlier, rule, warns=warns)


def _unless_it_warns(rule: WideRule, verdict: Verdict) -> Verdict:
    return WATCHED if rule.on_fail == "warn" else verdict
