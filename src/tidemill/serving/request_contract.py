"""The part of a contract that decides about the rows of a request."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from tidemill.contracts.column import Column, OnFail
from tidemill.contracts.spec import ContractSpec, RecordedExpression, Rule
from tidemill.contracts.text_format import Cells

_DAY_FIRST = re.compile("%Y-%[-_0]?[de]")
_ISO_EXAMPLES = {
    "Date": "2026-01-31",
    "Datetime": "2026-01-31T15:30:00",
    "Time": "15:30:00",
}


def request_contract(spec: ContractSpec, names: Sequence[str], cells: Cells = "") -> ContractSpec:
    """Return the contract of rows that have only some columns of `spec`, in the order of `names`.

    Rules about many rows (the key, unique values, the number of rows, the budget) don't apply to a request,
    nor do rules that read other columns. A rule that fails a partition rejects the row. `cells` is the kind
    of text that the values come as.
    """
    columns = tuple(_request_column(spec.column(name), cells) for name in names)
    return ContractSpec(
        name=spec.name,
        version=spec.version,
        columns=columns,
        rules=tuple(
            replace(rule, on_fail=_on_fail(rule.on_fail))
            for rule in spec.rules
            if applies(rule, names)
        ),
        unknown_columns="keep",
        description=spec.description,
        place=spec.place,
    )


def carrying_contract(spec: ContractSpec, names: Sequence[str]) -> ContractSpec:
    """Return a contract whose columns `names` requests may leave out."""
    columns = tuple(
        replace(column, nullable=True, optional=True, default=None)
        if column.name in names
        else column
        for column in spec.columns
    )
    return replace(spec, columns=columns)


def applies(rule: Rule, names: Sequence[str]) -> bool:
    """Whether a rule can be evaluated on rows with these columns."""
    if isinstance(rule.expr, RecordedExpression):
        return False
    return set(rule.expr.meta.root_names()) <= set(names)


def _request_column(column: Column, cells: Cells) -> Column:
    formats = column.text.formats
    if cells == "json" and accepts_iso(column):
        formats += (_iso_format(column),)
    return replace(
        column,
        unique=False,
        partition=None,
        on_fail=_on_fail(column.on_fail),
        text=replace(column.text, cells=cells, formats=formats) if cells else column.text,
    )


def accepts_iso(column: Column) -> bool:
    """Whether JSON may write a time of a column with formats of its own in ISO 8601, too.

    Clients write times so, whatever the files of an ingest have. A format that has the day before the month
    would read some of these dates, but as others.
    """
    formats = column.text.formats
    return bool(formats) and not any(map(_DAY_FIRST.match, formats))


def _iso_format(column: Column) -> str:
    match column.dtype.name:
        case "Date":
            return "%Y-%m-%d"
        case "Time":
            return "%H:%M:%S%.f"
    return "%Y-%m-%dT%H:%M:%S%.f" + ("%#z" if column.dtype.args[1] else "")


def written_times(column: Column) -> str:
    """Say how JSON writes the times of a column; "" for other columns."""
    name = column.dtype.name
    if name not in ("Date", "Datetime", "Time"):
        return ""
    forms = " or ".join(column.text.formats)
    if forms and not accepts_iso(column):
        return f"write {forms}"
    zone = column.dtype.args[1] if name == "Datetime" else None
    offset = f" {'with' if zone else 'without'} an offset" if name == "Datetime" else ""
    iso = f"ISO 8601{offset}, such as {_ISO_EXAMPLES[name]}{'+01:00' if zone else ''}"
    return f"write {forms}, or {iso}" if forms else f"write {iso}"


def _on_fail(given: OnFail) -> OnFail:
    return "warn" if given == "warn" else "quarantine"
