"""Phrase the terms of a contract in English, for tables, pages and notebooks."""

from __future__ import annotations

from collections.abc import Iterator

from tidemill.contracts.column import Column
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.table_rules import Budget, Rows
from tidemill.contracts.text_format import TextFormat
from tidemill.core.lazy_dataclass import dataclass

# The consequence of a broken rule.
OUTCOMES = {
    "fail": "partition fails",
    "quarantine": "row is quarantined",
    "warn": "warns",
}
UNKNOWN = {
    "fail": "undeclared columns fail the partition",
    "drop": "undeclared columns are dropped",
    "keep": "undeclared columns are kept",
}
_LENGTHS = {"Binary": "byte", "List": "item"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A rule about rows, a partition or a table, phrased in words or as an expression."""

    name: str
    phrase: str
    on_fail: str
    description: str = ""


def conditions(column: Column) -> tuple[str, ...]:
    """Phrase what every value of a column must satisfy."""
    return tuple(filter(None, (*_bounds(column), *_values(column), _optional(column))))


def column_terms(column: Column) -> str:
    """Phrase all terms of a column except its type, in one line."""
    marks = (
        column.unit and f"in {column.unit}",
        column.role and f"role {column.role}",
        column.pii and f"personal: {column.pii}",
        "partition" if column.partition else "",
        column.source and f"from {column.source!r} in files",
        *_text_phrases(column.text),
    )
    return ", ".join(filter(None, (*conditions(column), *marks)))


def _text_phrases(text: TextFormat) -> Iterator[str]:
    """Phrase how the text of cells is read, as far as the column declares it."""
    yield f"written as {' or '.join(text.formats)}" if text.formats else ""
    yield f"in the time of {text.time_zone}" if text.time_zone else ""
    yield "with decimal commas" if text.decimal_comma else ""
    yield f"with {text.thousands!r} between thousands" if text.thousands else ""
    words = (("true", text.true_values), ("false", text.false_values), ("null", text.null_values))
    for meaning, listed in words:
        yield f"{meaning} if {' or '.join(map(repr, listed))}" if listed else ""


def _bounds(column: Column) -> Iterator[str]:
    unit = _LENGTHS.get(column.dtype.name, "character")
    yield "" if column.nullable else "never null"
    yield f">= {column.min}" if column.min is not None else ""
    yield f"<= {column.max}" if column.max is not None else ""
    yield f"> {column.min_exclusive}" if column.min_exclusive is not None else ""
    yield f"< {column.max_exclusive}" if column.max_exclusive is not None else ""
    yield f"at least {_number(column.min_length, unit)}" if column.min_length is not None else ""
    yield f"at most {_number(column.max_length, unit)}" if column.max_length is not None else ""


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _values(column: Column) -> Iterator[str]:
    allowed = column.isin or (column.dtype.args if column.dtype.name == "Enum" else ())
    yield f"matches {column.regex}" if column.regex is not None else ""
    yield f"one of {', '.join(map(str, allowed))}" if allowed else ""
    yield "unique within a partition" if column.unique else ""


def _optional(column: Column) -> str:
    if not column.optional:
        return ""
    filled = "null" if column.default is None else column.default
    return f"optional, {filled} if missing"


def type_name(column: Column) -> str:
    """Return the type, without the values of an Enum, which are among the conditions."""
    return "Enum" if column.dtype.name == "Enum" else str(column.dtype)


def row_conditions(spec: ContractSpec) -> tuple[Condition, ...]:
    """Return the rules about single rows."""
    return tuple(
        Condition(name=r.name, phrase=str(r.expr), on_fail=r.on_fail, description=r.description)
        for r in spec.rules
    )


def table_conditions(spec: ContractSpec) -> tuple[Condition, ...]:
    """Return the rules about a partition or the whole table."""
    found = []
    if spec.rows is not None:
        found.append(
            Condition(name="rows", phrase=_rows_phrase(spec.rows), on_fail=spec.rows.on_fail)
        )
    if spec.budget is not None:
        found.append(Condition(name="budget", phrase=_budget_phrase(spec.budget), on_fail="fail"))
    found += [
        Condition(name=r.name, phrase=str(r), on_fail=r.on_fail, description=r.description)
        for r in spec.table_rules
    ]
    return tuple(found)


def _rows_phrase(rows: Rows) -> str:
    words = [
        f"at least {_number(rows.min, 'row')}" if rows.min is not None else "",
        f"at most {_number(rows.max, 'row')}" if rows.max is not None else "",
    ]
    if rows.vs_last is not None and rows.within is not None:
        last = "last partition" if rows.vs_last == 1 else f"median of the last {rows.vs_last}"
        words.append(f"as many rows as the {last}, within {rows.within * 100:.6g} % of it")
    return ", ".join(filter(None, words)) or "any number of rows"


def _budget_phrase(budget: Budget) -> str:
    return f"at most {budget.max_bad * 100:.6g} % of the rows are quarantined"


def head_terms(spec: ContractSpec) -> tuple[tuple[str, str], ...]:
    """Return the terms of the whole table as pairs of a name and a phrase."""
    default = () if spec.budget else (("bad rows", _budget_phrase(Budget(max_bad=spec.max_bad))),)
    return (
        ("key", ", ".join(spec.key) or "none"),
        ("partition", str(spec.partitioning)),
        *default,
        ("unknown columns", UNKNOWN[spec.unknown_columns]),
        ("compatibility", spec.compatibility.replace("_", " ")),
    )
