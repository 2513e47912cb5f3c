"""Recognise the type that the text of a column is written in, and the format that reads it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import polars as pl

from tidemill.contracts.checks.text_cells import read_text
from tidemill.contracts.inference.infer import quote
from tidemill.contracts.text_format import AS_STORED, Cells, TextFormat
from tidemill.core.lazy_dataclass import dataclass

_CODE = r"^\s*[+-]?0[0-9]|^\s*\+"
# A double doesn't hold more digits.
_LONG = r"^\s*-?[0-9]{16,}"
_MISSING = ("NA", "N/A", "n/a", "#N/A", "na", "NULL", "null", "None", "nil", "-", "--", "?", ".")
_DAYS = (
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%Y/%m/%d",
    "%d-%m-%Y",
    "%d %b %Y",
    "%d.%m.%y",
    "%d/%m/%y",
    "%m/%d/%y",
)
_CLOCKS = ("%H:%M", "%H:%M:%S", "%H:%M:%S%.f", "%I:%M %p", "%I:%M:%S %p")
_WORDS = (
    (("yes", "y"), ("no", "n")),
    (("t",), ("f",)),
    (("ja", "j"), ("nein", "n")),
    (("oui",), ("non",)),
    (("on",), ("off",)),
)
_PROBE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenType:
    """The type of a column of text, how it is read, and what else it could be."""

    dtype: pl.DataType
    text: TextFormat
    doubt: str = ""


def written_type(text: pl.Series, cells: Cells, *, numbers: bool = True) -> WrittenType:
    """Return the first type and format that read every cell; without `numbers` only text and times."""
    values = text.drop_nulls().unique(maintain_order=True)
    candidates = list(_candidates(values, numbers=numbers))
    for at, (dtype, form) in enumerate(candidates):
        found = _fitting(values, dtype, replace(form, cells=cells))
        if found is not None:
            others = (other for kind, other in candidates[at + 1 :] if kind == dtype)
            return WrittenType(dtype=dtype, text=found, doubt=_doubt(values, dtype, found, others))
    return WrittenType(dtype=pl.String(), text=TextFormat(cells=cells))


def _candidates(values: pl.Series, *, numbers: bool) -> Iterator[tuple[pl.DataType, TextFormat]]:
    plain = TextFormat()
    if numbers and not values.str.contains(_CODE).any():
        yield pl.Int64(), plain
        if not values.str.contains(_LONG).any():
            yield pl.Float64(), plain
            yield pl.Int64(), TextFormat(thousands=",")
            yield pl.Float64(), TextFormat(thousands=",")
            yield pl.Float64(), TextFormat(decimal_comma=True)
            yield pl.Float64(), TextFormat(decimal_comma=True, thousands=".")
    if numbers:
        yield pl.Boolean(), plain
        for true, false in _WORDS:
            yield pl.Boolean(), TextFormat(true_values=true, false_values=false)
    yield pl.Date(), plain
    yield from ((pl.Date(), TextFormat(formats=(day,))) for day in _DAYS)
    yield pl.Datetime("us"), plain
    yield pl.Datetime("us", "UTC"), plain
    for day in _DAYS:
        yield from ((pl.Datetime("us"), TextFormat(formats=(f"{day} {c}",))) for c in _CLOCKS)
    yield pl.Time(), plain


def _fitting(values: pl.Series, dtype: pl.DataType, form: TextFormat) -> TextFormat | None:
    """Return the format, with words for missing values if there are any; None if it doesn't fit."""
    words = tuple(word for word in _MISSING if (values == word).any())
    for null_values in dict.fromkeys((None, words or None)):
        found = replace(form, null_values=null_values)
        if all(_reads(part, dtype, found) for part in (values.head(_PROBE), values)):
            return found
    return None


def _reads(values: pl.Series, dtype: pl.DataType, form: TextFormat) -> bool:
    source, read = read_text(values, dtype, form)
    return read.null_count() == source.null_count() < values.len()


def _doubt(
    values: pl.Series, dtype: pl.DataType, form: TextFormat, others: Iterator[TextFormat]
) -> str:
    """Name another format that reads all cells, but as other values."""
    mine = read_text(values, dtype, form)[1]
    for other in others:
        more = replace(other, cells=form.cells, null_values=form.null_values)
        if _reads(values, dtype, more) and not read_text(values, dtype, more)[1].equals(mine):
            return ", ".join(text_arguments(replace(more, null_values=None)))
    return ""


def text_arguments(form: TextFormat) -> Iterator[str]:
    """Yield the arguments of a column that declare how its text is read."""
    names = {"formats": "format"}
    for name in (
        "formats",
        "decimal_comma",
        "thousands",
        "true_values",
        "false_values",
        "null_values",
    ):
        value = getattr(form, name)
        if value == getattr(AS_STORED, name):
            continue
        if isinstance(value, str):
            shown = quote(value)
        elif isinstance(value, tuple):
            shown = quote(value[0]) if len(value) == 1 else f"[{', '.join(map(quote, value))}]"
        else:
            shown = repr(value)
        yield f"{names.get(name, name)}={shown}"
