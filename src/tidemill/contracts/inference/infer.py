"""Scaffold a contract from data, for a person to review and tighten.

The contract only states what holds for the data, so that the same data passes. Likely terms that are a
decision (the partitioning, whether a range is a rule) become comments.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from keyword import iskeyword
from math import isfinite, prod
from types import MappingProxyType
from typing import Any
from unicodedata import normalize

import polars as pl

from tidemill.contracts.checks.schema import dtype_of
from tidemill.contracts.column import Column
from tidemill.contracts.declaration import RESERVED
from tidemill.contracts.dtype import DType
from tidemill.contracts.inference.text_shape import pattern_of
from tidemill.core.errors import ContractError, UsageError
from tidemill.core.lazy_dataclass import dataclass

_WIDTH = 100
_GRAINS = {"hour": "1h", "day": "1d", "week": "1w", "month": "1mo"}
# An integer column with at most this many distinct values, sparse and this frequent, holds codes.
_CODES, _OFTEN = 8, 20
_CATEGORIES = 20
_KEY_COLUMNS = 4
# The most candidate columns in the search for a key; the ones with the most distinct values are kept.
_CANDIDATES = 12
# The most candidate keys that are checked against all rows, after the first rows didn't rule them out.
_TRIES = 20
_PROBE_ROWS = 2_000
# Names that the class body uses, or that quarantined rows have.
_RESERVED = frozenset({"tm", "_reasons"}) | RESERVED
_SIMPLE = frozenset(
    {
        *("Int8", "Int16", "Int32", "Int64", "Int128"),
        *("UInt8", "UInt16", "UInt32", "UInt64", "UInt128", "Float16"),
        *("Float32", "Float64", "String", "Binary", "Categorical", "Date", "Time"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclarationLine:
    """A line of source that declares a column, with a remark on its values.

    An argument that is a tuple is written as a list of its items.
    """

    name: str
    type: str
    arguments: tuple[str | tuple[str, ...], ...]
    remark: str = ""

    def text(self) -> str:
        call = f"    {self.name} = {self.type}({', '.join(map(_flat, self.arguments))})"
        note = f"  # {self.remark}" if self.remark else ""
        if len(call) + len(note) <= _WIDTH:
            return call + note
        above = f"    # {self.remark}\n" if self.remark else ""
        if len(call) <= _WIDTH:
            return above + call
        inside = "".join(f"        {_wrapped(argument)},\n" for argument in self.arguments)
        return f"{above}    {self.name} = {self.type}(\n{inside}    )"


def _flat(argument: str | tuple[str, ...]) -> str:
    return argument if isinstance(argument, str) else f"[{', '.join(argument)}]"


def _wrapped(argument: str | tuple[str, ...]) -> str:
    flat = _flat(argument)
    if isinstance(argument, str) or len(flat) + 9 <= _WIDTH:
        return flat
    items = "".join(f"            {item},\n" for item in argument)
    return f"[\n{items}        ]"


def infer(
    frame: pl.DataFrame,
    name: str,
    *,
    about: str = "",
    known: Mapping[str, Column] = MappingProxyType({}),
    reading: Mapping[str, Sequence[str]] = MappingProxyType({}),
    remarks: Sequence[str] = (),
) -> str:
    """Return the source of a contract class `name` that the rows of `frame` pass.

    `about` is its docstring (default: the number of rows). `known` are declared columns, whose terms that
    data can't show are kept (unit, description, role, pii, partition). `reading` are arguments by column that
    say how it is read from files. `remarks` are comments at the end.
    UsageError if `name` isn't a valid class name, ContractError if no column can be declared.
    """
    if not is_declarable(name):
        raise UsageError(f"{name!r} isn't a valid class name; use letters, such as Flights")
    lines = {
        series.name: line
        for series in frame
        if is_declarable(series.name) and (line := _line(series, known, reading)) is not None
    }
    if not lines:
        raise ContractError(f"none of the {frame.width} columns can be declared in a contract")
    left_out = [column for column in frame.columns if column not in lines]
    key = _key(frame.select(list(lines)))
    arguments = ['version="0.1.0"']
    if key:
        arguments.append(f"key=({', '.join(map(quote, key))}{',' if len(key) == 1 else ''})")
    if left_out:
        arguments.append('unknown_columns="drop"')
    body = "\n".join(
        [
            f'    """{about or _default_docstring(frame)}"""',
            "",
            *(line.text() for line in lines.values()),
            *_left_out_remark(left_out),
            *(line for remark in remarks for line in ("", *_comment_lines(remark))),
        ]
    )
    return f"import tidemill as tm\n\n\n{class_head(name, arguments)}\n{body}\n"


def class_head(name: str, arguments: list[str]) -> str:
    head = f"class {name}(tm.Contract, {', '.join(arguments)}):"
    if len(head) <= _WIDTH:
        return head
    return "\n".join([f"class {name}(", *(f"    {a}," for a in ["tm.Contract", *arguments]), "):"])


def is_declarable(name: str) -> bool:
    # Python mangles names with two leading underscores in a class body, and normalises others (NFKC).
    plain = name.isidentifier() and not iskeyword(name) and normalize("NFKC", name) == name
    return plain and not name.startswith("__") and name not in _RESERVED


def _left_out_remark(left_out: list[str]) -> Iterable[str]:
    if not left_out:
        return
    count = f"{len(left_out)} column{'s' if len(left_out) > 1 else ''}"
    names = ", ".join(map(quote, left_out[:20])) + (", ..." if len(left_out) > 20 else "")
    yield ""
    yield from _comment_lines(
        f"{count} can't be declared and {'are' if len(left_out) > 1 else 'is'} dropped: {names}. "
        "A column needs a valid Python name and a type that contracts support: rename or "
        "convert it at the source, or by options of the reader."
    )


def _default_docstring(frame: pl.DataFrame) -> str:
    count = f"{frame.height} row{'' if frame.height == 1 else 's'}"
    return f"Inferred from {count}: describe here what one row is."


def _comment_lines(text: str) -> list[str]:
    return textwrap.wrap(
        text,
        width=_WIDTH,
        initial_indent="    # ",
        subsequent_indent="    # ",
        break_long_words=False,
    )


def _line(
    series: pl.Series, known: Mapping[str, Column], reading: Mapping[str, Sequence[str]]
) -> DeclarationLine | None:
    """Return the declaration of a column; None if contracts don't support its type."""
    categories = _categories(series)
    dtype = DType("Enum", categories) if categories else dtype_of(series.dtype)
    made = type_call(dtype)
    if made is None:
        return None
    limits, seen = _limits(series)
    arguments = [*made[1], *(f"{kind}={value!r}" for kind, value in limits.items())]
    if series.null_count() or (series.dtype.is_float() and series.is_nan().any()):
        arguments.append("nullable=True")
    if not categories and series.dtype == pl.String and (pattern := pattern_of(series)):
        arguments.append(f'regex=r"{pattern}"')
    arguments += reading.get(series.name, ())
    if series.name in known:
        arguments += _known_arguments(known[series.name], dtype)
        seen = seen.partition(";")[0] if known[series.name].partition else seen
    return DeclarationLine(name=series.name, type=made[0], arguments=tuple(arguments), remark=seen)


def _known_arguments(column: Column, dtype: DType) -> Iterator[str]:
    """Yield declared terms that data can't show; the partitioning only if the type is the same."""
    if column.partition and column.dtype == dtype:
        yield f"partition={quote(_GRAINS.get(str(column.partition), str(column.partition)))}"
    for name in ("unit", "description", "role", "pii"):
        if getattr(column, name):
            yield f"{name}={quote(getattr(column, name))}"


def type_call(dtype: DType) -> tuple[str, list[str | tuple[str, ...]]] | None:
    """Return the function and the arguments that declare a type; None for an unsupported one."""
    match dtype.name:
        case "Boolean":
            return "tm.Bool", []
        case "Null":
            return "tm.String", []
        case "Enum":
            return "tm.Enum", [tuple(quote(str(item)) for item in dtype.args)]
        case "Decimal":
            return "tm.Decimal", [str(arg) for arg in dtype.args]
        case "Datetime" | "Duration":
            given = [arg for arg in dtype.args if arg is not None]
            return f"tm.{dtype.name}", [quote(str(arg)) for arg in given if given != ["us"]]
        case "List":
            item = _part(dtype.args[0])
            return ("tm.List", [item]) if item else None
        case "Array":
            item = _part(dtype.args[0])
            return ("tm.Array", [item, str(dtype.args[1])]) if item else None
        case "Struct":
            parts = [*map(_part, dtype.args[1::2])]
            names = [quote(str(name)) for name in dtype.args[::2]]
            fields = [f"{name}: {part}" for name, part in zip(names, parts, strict=True)]
            declared = bool(parts) and all(parts)
            return ("tm.Struct", [f"{{{', '.join(fields)}}}"]) if declared else None
    return (f"tm.{dtype.name}", []) if dtype.name in _SIMPLE else None


def _part(dtype: object) -> str:
    """Return the call that declares the type of items or of a field; empty for an unsupported type."""
    made = type_call(dtype) if isinstance(dtype, DType) and dtype.name != "Null" else None
    return f"{made[0]}({', '.join(map(_flat, made[1]))})" if made else ""


def _categories(series: pl.Series) -> tuple[str, ...]:
    """Return the distinct values of a text column that has few, each frequent; else nothing."""
    if series.dtype != pl.String:
        return ()
    values = series.drop_nulls()
    count = values.n_unique() if values.len() else 0
    if not 0 < count <= _CATEGORIES or values.len() < 10 * count:
        return ()
    return tuple(values.unique().sort())


def _limits(series: pl.Series) -> tuple[Mapping[str, object], str]:
    """Return bounds that look like rules, and a remark on the values."""
    dtype = series.dtype
    if series.null_count() == series.len():
        return {}, "no values" if series.len() else ""
    if not (dtype.is_numeric() or isinstance(dtype, (pl.Date, pl.Datetime))):
        return {}, ""
    least: Any = series.min()
    most: Any = series.max()
    # The minimum is NaN if all values are.
    seen = f"{least} to {most}" if least == least else "no values"
    if isinstance(dtype, (pl.Date, pl.Datetime)):
        return {}, seen + _partition_remark(series)
    if isinstance(dtype, pl.Decimal) or not (isfinite(least) and isfinite(most)):
        return {}, seen
    return (_integer_limits if dtype.is_integer() else _float_limits)(series, least, most), seen


def _partition_remark(series: pl.Series) -> str:
    days = series if series.dtype == pl.Date else series.dt.date()
    if series.null_count() or series.len() < 2 * days.n_unique():
        return ""
    return '; could be partition="1d"'


def _integer_limits(series: pl.Series, least: int, most: int) -> dict[str, object]:
    # A short range in which every value occurs counts as a rule: hours, months, grades.
    if 2 < most - least < 100 and series.drop_nulls().n_unique() == most - least + 1:
        return {"min": least, "max": most}
    values = series.drop_nulls().unique().sort()
    count = values.len()
    sparse = most - least >= 10 * count
    if sparse and 1 < count <= _CODES and series.len() >= _OFTEN * count:
        return {"isin": values.to_list()}
    return {"min": min(least, 1)} if least >= 0 else {}


def _float_limits(series: pl.Series, least: float, most: float) -> dict[str, object]:
    if least < 0:
        return {}
    return {"min": 0, "max": 1} if most <= 1 else {"min": 0}


def _key(frame: pl.DataFrame) -> tuple[str, ...]:
    """Return the smallest set of at most 4 columns that is unique in all rows; the first such set."""
    if frame.height < 2:
        return ()
    counts = {
        series.name: series.n_unique()
        for series in frame
        if not (series.null_count() or series.dtype.is_float() or series.dtype.is_nested())
    }
    varying = sorted((name for name in counts if counts[name] > 1), key=lambda name: -counts[name])
    candidates = [name for name in frame.columns if name in varying[:_CANDIDATES]]
    probe, tries = frame.head(_PROBE_ROWS), 0
    for size in range(1, _KEY_COLUMNS + 1):
        for names in combinations(candidates, size):
            enough = prod(counts[name] for name in names) >= frame.height
            if not (enough and _unique(probe, names)):
                continue
            tries += 1
            if _unique(frame, names):
                return names
            if tries == _TRIES:
                return ()
    return ()


def _unique(frame: pl.DataFrame, names: tuple[str, ...]) -> bool:
    return bool(frame.select(pl.struct(names).n_unique()).item() == frame.height)


def quote(text: str) -> str:
    """Return a Python string literal, with double quotes if possible."""
    literal = repr(text)
    return literal if '"' in text or literal[0] == '"' else f'"{literal[1:-1]}"'
