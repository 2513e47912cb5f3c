"""Compare the table rules of two versions of a contract."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from tidemill.contracts.compatibility.changes import Change
from tidemill.contracts.compatibility.directions import (
    BOTH,
    DOCUMENTATION,
    LOOSENS,
    TIGHTENS,
    WARNS_ONLY,
    ChangeEffect,
    constant_judge,
    judge_allowed_values,
    judge_key,
    judge_maximum,
    severity_judge,
)
from tidemill.contracts.compatibility.terms import Term, make_change, term, term_changes
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.table_rules import (
    DriftAlarmRule,
    DriftRule,
    FreshnessRule,
    ReferenceRule,
    TableRule,
    UniqueRule,
)
from tidemill.core.partition import Span, parse_span

# Compare durations at a fixed date, because months differ in length.
_MOMENT = datetime(2000, 1, 1)


def _judge_age(old: str, new: str) -> ChangeEffect:
    """Judge a maximal age: a shorter one is tighter."""
    return judge_maximum(_length(parse_span(old)), _length(parse_span(new)))


def _length(span: Span) -> timedelta:
    return _MOMENT - span.before(_MOMENT)


def _judge_added_columns(old: Any, new: Any) -> ChangeEffect:
    """Judge columns that are checked one by one: adding one is tighter."""
    return judge_allowed_values(new, old)


_TERMS: Mapping[type[object], tuple[Term, ...]] = {
    FreshnessRule: (
        term("column", constant_judge(BOTH), checked=True),
        term("within", _judge_age, checked=True),
    ),
    UniqueRule: (term("columns", judge_key, checked=True),),
    ReferenceRule: tuple(
        term(name, constant_judge(BOTH), checked=True)
        for name in ("columns", "contract", "to", "stage")
    ),
    DriftRule: (
        term("columns", _judge_added_columns, checked=True),
        term("by", constant_judge(BOTH), checked=True),
        term("limit", judge_maximum, checked=True),
        term("vs_last", constant_judge(BOTH), checked=True),
    ),
    DriftAlarmRule: (
        term("columns", constant_judge(BOTH), checked=True),
        term("reference", constant_judge(BOTH), checked=True),
        term("tolerance", judge_maximum, checked=True),
    ),
}
_COMMON = (
    term("on_fail", severity_judge(("warn", "fail"))),
    term("description", constant_judge(DOCUMENTATION)),
)


def table_rule_changes(old: ContractSpec, new: ContractSpec) -> Iterator[Change]:
    """Yield every change of a table rule."""
    before = {rule.name: rule for rule in old.table_rules}
    after = {rule.name: rule for rule in new.table_rules}
    for name, rule in before.items():
        if type(after.get(name)) is not type(rule):
            yield make_change(name, f"rule removed: {rule}", _unless_it_warns(rule, LOOSENS))
    for name, rule in after.items():
        earlier = before.get(name)
        if earlier is None or type(earlier) is not type(rule):
            yield make_change(name, f"rule added: {rule}", _unless_it_warns(rule, TIGHTENS))
            continue
        warns = earlier.on_fail == rule.on_fail == "warn"
        terms = (*_TERMS[type(rule)], *_COMMON)
        yield from term_changes(name, terms, earlier, rule, warns=warns)


def _unless_it_warns(rule: TableRule, verdict: ChangeEffect) -> ChangeEffect:
    return WARNS_ONLY if rule.on_fail == "warn" else verdict
