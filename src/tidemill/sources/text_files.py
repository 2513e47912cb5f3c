"""Decide how the text files of an ingest are read: by the types and the formats of their contract."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from posixpath import splitext
from typing import Any

from tidemill.contracts.column import Column
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.text_format import Cells, TextFormat, format_problems
from tidemill.core.identity import ByIdentity
from tidemill.workflow.source import SUFFIXES, Files, Format, Source

# Changes whenever the same text would be read as other values.
READING = "text-2"
_CELLS: Mapping[str, Cells] = {"csv": "csv", "ndjson": "json"}
# The types whose text a CSV parser reads as the same numbers as a cast.
_PARSED = (
    *("Int8", "Int16", "Int32", "Int64", "Int128", "Float32", "Float64"),
    *("UInt8", "UInt16", "UInt32", "UInt64", "UInt128"),
)


def may_read_text(source: Files[Any]) -> bool:
    """Whether files of a source can be text; only a suffix or `format=` rules it out."""
    form = source.format or SUFFIXES.get(splitext(source.pattern)[1].lower())
    return form is None or form in _CELLS


def cells_of(form: Format) -> Cells:
    """Return the kind of cells that files of a format have; "" if they have types."""
    return _CELLS.get(form, "")


def text_contract(contract: ContractSpec, source: Files[Any], cells: Cells) -> ContractSpec:
    """Return the contract with the formats that cells of text files have, which casts need."""
    return _cached(ByIdentity(contract, source), cells) if cells else contract


@lru_cache(maxsize=256)
def _cached(key: ByIdentity[ContractSpec, Files[Any]], cells: Cells) -> ContractSpec:
    contract, source = key.values
    columns = tuple(
        replace(column, text=column_format(column, source, cells)) for column in contract.columns
    )
    return replace(contract, columns=columns)


def column_format(column: Column, source: Files[Any], cells: Cells) -> TextFormat:
    """Return the format of a column's text: what the column declares, then what the source does."""
    of_files = replace(
        source.text,
        formats=source.formats.get(column.dtype.name, ()),
        null_values=source.null_words.get(column.source_name, source.text.null_values),
        cells=cells,
    )
    if not column.dtype.is_number:
        of_files = replace(of_files, decimal_comma=None, thousands=None)
    if column.dtype.name != "Boolean":
        of_files = replace(of_files, true_values=None, false_values=None)
    return column.text.over(of_files)


def reading_problems(contract: ContractSpec, source: Source[Any]) -> Iterator[str]:
    """Yield the contradictions between a source and how the columns of its contract are read."""
    for column in contract.columns:
        if isinstance(source, Files):
            form = column_format(column, source, "csv")
            problems = [*format_problems(form, column.dtype)]
            if column.text.formats == () and form.formats:
                problems = [
                    text.replace("format=", f"{column.dtype.name.lower()}_format=")
                    for text in problems
                ]
            yield from (f"{column.name}: {problem}" for problem in problems)
        elif column.source:
            yield (
                f"{column.name}: source={column.source!r} names a column of files; name it in the query "
                "or in the table instead"
            )


def parsed_columns(contract: ContractSpec) -> list[Column]:
    """Return the columns whose numbers a parser may read directly, with the same result as from text."""
    return [
        column
        for column in contract.columns
        if column.dtype.name in _PARSED
        and not (column.text.decimal_comma or column.text.thousands or column.text.null_values)
    ]
