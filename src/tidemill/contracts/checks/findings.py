"""Describe the violations of a contract in a partition."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

from tidemill.contracts.checks.row_rules import RowRule
from tidemill.contracts.checks.text_cells import without_marks
from tidemill.contracts.finding import Finding
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.table_rules import Rows
from tidemill.core.counts import are
from tidemill.core.printable import shorten

_SHOWN = 3
_LONGEST = 60


# The most rows of a broken rule that are searched for distinct sample values.
MAX_SAMPLED_ROWS = 100


def evaluated_finding(rule: RowRule, frame: pl.DataFrame, rows: pl.Series) -> Finding:
    """Count the rows of `frame` (unconverted) that break `rule`, with the first distinct values."""
    # A frame without columns has no rows either.
    shown = (
        without_marks(frame.select(rule.sample_columns).filter(rows).head(MAX_SAMPLED_ROWS))
        if rule.sample_columns
        else pl.DataFrame()
    )
    return rule_finding(rule, int(rows.sum()), frame.height, shown)


def rule_finding(rule: RowRule, count: int, height: int, shown: pl.DataFrame) -> Finding:
    """Report that `count` of `height` rows break `rule`; `shown` has its columns in the first of them."""
    sample = sample_text(shown) if shown.width else ""
    example = f", such as {sample}" if sample else ""
    return Finding(
        rule=rule.id,
        severity=rule.on_fail,
        rows=count,
        sample=sample,
        message=f"{rule.id}: {count} of {height} {rule.violation}{example}; {rule.advice}",
    )


def undeclared_column_findings(
    spec: ContractSpec, unknown: Sequence[str], rows: int
) -> list[Finding]:
    """Report columns that the contract doesn't declare."""
    if not unknown or spec.unknown_columns == "keep":
        return []
    names = ", ".join(map(repr, unknown[:12])) + (", ..." if len(unknown) > 12 else "")
    fails = spec.unknown_columns == "fail"
    advice = (
        'declare them, or set unknown_columns="drop" or "keep"' if fails else "they were dropped"
    )
    return [
        Finding(
            rule="unknown_columns",
            severity="fail" if fails else "info",
            rows=rows,
            message=f"unknown_columns: {spec.name} doesn't declare {names}; {advice}",
        )
    ]


def budget_findings(spec: ContractSpec, rows: int, bad: int) -> list[Finding]:
    """Report more quarantined rows than the budget of the contract allows."""
    if bad <= spec.max_bad * rows:
        return []
    return [_budget_finding(spec, rows, bad, "are bad")]


def unplaced_findings(spec: ContractSpec, path: str, unplaced: int, rows: int) -> list[Finding]:
    """Report that more of a source's rows have no partition than the budget of the contract allows."""
    if unplaced <= spec.max_bad * rows:
        return []
    place = f"of {path} " if path else ""
    return [_budget_finding(spec, rows, unplaced, f"{place}have no partition")]


def _budget_finding(spec: ContractSpec, rows: int, bad: int, problem: str) -> Finding:
    if spec.budget is None:
        limit, advice = "half", "or allow more with tm.Budget(max_bad=...) in the contract"
    else:
        limit = f"the {spec.budget.max_bad:.1%} that its budget allows"
        advice = "or raise max_bad of the budget"
    message = (
        f"bad rows: {bad} of {rows} rows {problem} ({bad / rows:.1%}), more than {limit}; "
        f"fix the source, {advice}"
    )
    return Finding(rule="budget", severity="fail", rows=bad, message=message)


def rows_findings(spec: ContractSpec, rows: int) -> list[Finding]:
    """Report a partition with too few or too many rows."""
    if spec.rows is None:
        return []
    return [
        Finding(
            rule="rows",
            severity=spec.rows.on_fail,
            rows=rows,
            message=f"rows: {are(rows, 'row')} {problem}; check the source",
        )
        for problem in _size_problems(spec.rows, rows)
    ]


def _size_problems(rule: Rows, rows: int) -> Iterable[str]:
    if rule.min is not None and rows < rule.min:
        yield f"fewer than min={rule.min}"
    if rule.max is not None and rows > rule.max:
        yield f"more than max={rule.max}"


def sample_text(rows: pl.DataFrame) -> str:
    """Format the first distinct rows as text."""
    single = rows.width == 1
    texts = (
        _text(row[0])
        if single
        else " ".join(
            f"{name}={_text(value)}" for name, value in zip(rows.columns, row, strict=True)
        )
        for row in rows.iter_rows()
    )
    return (", " if single else "; ").join([*dict.fromkeys(texts)][:_SHOWN])


def _text(value: object) -> str:
    return shorten(repr(value) if isinstance(value, str | bytes) else str(value), _LONGEST)
