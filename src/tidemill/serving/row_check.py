"""Let the checker of a contract decide about the rows of a request, and report each broken rule.

This is the exact way, on a Polars frame: it reads values as an ingest reads files, and costs about a
millisecond. Requests whose rows `typed_bodies` accepts don't take it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from tidemill.contracts.checks.checker import REASONS, Checker
from tidemill.contracts.column import Column
from tidemill.contracts.finding import UNREAD_RULES
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.text_format import Cells
from tidemill.core.errors import ContractError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.serving.errors import BrokenRows
from tidemill.serving.request_contract import request_contract, written_times
from tidemill.serving.rows import Rejected, RequestRows, RowFinding

_ROW = "\0row"
# Returns the value of a row's field as the request has it, or that it has none.
ValueAt = Callable[[int, str], Any]


@dataclass(frozen=True, slots=True)
class Absent:
    """A row of a request lacks a field; `message` says what the row has in its place."""

    message: str


@dataclass(frozen=True, slots=True)
class CheckedRows:
    """The rows that the contract accepts; `rejected` is None if it accepts all."""

    rows: RequestRows
    rejected: Rejected | None = None


@dataclass(frozen=True, slots=True)
class _Meaning:
    """The meaning of a broken rule: its field, if it is about one, and the columns that it reads."""

    field: str | None
    message: str
    columns: tuple[str, ...]


class RowCheck:
    """The checker of a contract for requests whose values come as one kind of cells."""

    def __init__(self, spec: ContractSpec, names: Sequence[str], cells: Cells = "") -> None:
        self._spec = spec
        self._names = list(names)
        self._checker = Checker(request_contract(spec, names, cells))
        self._meanings = _meanings(self._checker)
        if cells == "json":
            for name in names:
                _explain_times(self._meanings, spec.column(name))

    def check(
        self,
        frame: pl.DataFrame,
        value_at: ValueAt,
        *,
        partial: bool,
        shown: int,
    ) -> CheckedRows:
        """Check the rows of a frame that has the columns, and no others.

        Raises BrokenRows unless all rows are accepted; with `partial`, only if none is.
        """
        numbered = frame.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias(_ROW))
        try:
            checked = self._checker.check(numbered)
        except (ContractError, PolarsError):
            # The message names places of source files: it isn't for callers.
            raise self._unevaluated(frame.height) from None
        good, bad = checked.good, checked.bad
        unread = self._unread(frame, good, checked.findings, value_at)
        if unread:
            good = good.filter(~pl.col(_ROW).is_in([item.row for item in unread]))
        rows = self._rows(good)
        if good.height == frame.height:
            return CheckedRows(rows)
        findings, count = self._findings(bad, value_at, shown, unread)
        if not partial or not good.height:
            raise BrokenRows(
                self._spec.title,
                rows=frame.height,
                rejected=frame.height - good.height,
                findings=findings,
                count=count,
            )
        kept = tuple(good.get_column(_ROW).to_list())
        rejected = Rejected(rows=frame.height, kept=kept, findings=tuple(findings), count=count)
        return CheckedRows(rows, rejected)

    def _rows(self, good: pl.DataFrame) -> RequestRows:
        frame = good.select(self._names)
        return RequestRows(frame.height, tuple(column.to_list() for column in frame), frame)

    def _unevaluated(self, rows: int) -> BrokenRows:
        finding = RowFinding(
            row=0,
            field=None,
            rule="rules",
            value=None,
            message="a rule can't be evaluated for these rows",
        )
        return BrokenRows(self._spec.title, rows=rows, rejected=rows, findings=[finding], count=1)

    def _findings(
        self, bad: pl.DataFrame | None, value_at: ValueAt, shown: int, unread: Sequence[RowFinding]
    ) -> tuple[list[RowFinding], int]:
        """Return the first findings in the order of rows, and the number of all."""
        findings, count = list(unread), len(unread)
        if bad is not None:
            count += int(bad.get_column(REASONS).list.len().sum())
            for row, rules in bad.select(_ROW, REASONS).head(shown).iter_rows():
                findings += [self._finding(row, rule, value_at) for rule in rules]
        findings.sort(key=lambda item: item.row)
        return findings[:shown], count

    def _finding(self, row: int, rule: str, value_at: ValueAt) -> RowFinding:
        meaning = self._meanings[rule]
        found = {name: value_at(row, name) for name in meaning.columns}
        given = {k: None if isinstance(v, Absent) else v for k, v in found.items()}
        if meaning.field is None:
            return RowFinding(row=row, field=None, rule=rule, value=given, message=meaning.message)
        cell = found[meaning.field]
        return RowFinding(
            row=row,
            field=meaning.field,
            rule=rule,
            value=given[meaning.field],
            message=cell.message if isinstance(cell, Absent) else meaning.message,
        )

    def _unread(
        self, frame: pl.DataFrame, good: pl.DataFrame, findings: Sequence[Any], value_at: ValueAt
    ) -> list[RowFinding]:
        """Return findings for values that can't be read where the contract only warns about them.

        In a partition, nothing is left of such a value; a request must not lose it silently.
        """
        found: list[RowFinding] = []
        for item in findings:
            if item.severity != "warn" or not item.rule.endswith(UNREAD_RULES):
                continue
            name = str(self._meanings[item.rule].field)
            nulls = good.filter(pl.col(name).is_null()).get_column(_ROW)
            cells = frame.get_column(name)
            words = ("", *(self._spec.column(name).text.null_values or ()))
            for row in nulls.to_list():
                cell = cells[row]
                if cell is not None and (not isinstance(cell, str) or cell.strip() not in words):
                    found.append(self._finding(row, item.rule, value_at))
        return found


def _meanings(checker: Checker) -> dict[str, _Meaning]:
    found: dict[str, _Meaning] = {}
    for column in checker.columns:
        rules = [column.type, column.fields, column.unicode, column.null, column.nan]
        rules += [bound[1].rule for bound in (column.lower, column.upper) if bound]
        rules += [query.rule for query in column.queries]
        for rule in rules:
            found[rule.id] = _Meaning(column.name, rule.violation, (column.name,))
    for declared in checker.spec.rules:
        says = declared.description or f"the row breaks the rule {declared.name}"
        roots = tuple(dict.fromkeys(declared.expr.meta.root_names()))
        found[declared.name] = _Meaning(None, says, roots or checker.spec.names)
    return found


def _explain_times(meanings: dict[str, _Meaning], column: Column) -> None:
    """Have the message about a time that can't be read say how to write it."""
    form = written_times(column)
    if form:
        rule = f"{column.name}.type"
        meaning = meanings[rule]
        meanings[rule] = replace(meaning, message=f"{meaning.message}: {form}")
