"""A quarantined row whose cells a person corrects: as texts, and from texts back to a row."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import polars as pl

from tidemill.console.table_window import column_texts
from tidemill.core.errors import UsageError, did_you_mean
from tidemill.quarantine.io.corrections import DIGEST, with_digests

ROW, REASONS = "_row", "_reasons"
# Longer texts are corrected in a file.
LONGEST = 2_000


def find_row(rows: pl.DataFrame, row: int) -> pl.DataFrame:
    """The row with a number, as a frame with its digest; UsageError if there is none."""
    if not 0 <= row < rows.height:
        raise UsageError(
            f"there is no quarantined row {row}: there are {rows.height}, numbered from 0"
        )
    return with_digests(rows[[row]])


def row_texts(found: pl.DataFrame, names: Sequence[str]) -> dict[str, str | None]:
    """The cells of a row as texts from which they can be read again; None for null."""
    return {name: column_texts(found.get_column(name))[0] for name in names}


def is_editable(found: pl.DataFrame, name: str) -> bool:
    """Whether a cell can be corrected as a text of one line."""
    dtype = found.schema[name]
    if dtype.is_nested() or isinstance(dtype, pl.Binary | pl.Object | pl.Duration):
        return False
    # Forms send other line ends than they got.
    if not name.isprintable():
        return False
    value = found.get_column(name)[0]
    return not isinstance(value, str) or (len(value) <= LONGEST and value.isprintable())


def corrected_row(
    found: pl.DataFrame,
    cells: str,
    nulls: str,
    mask: Callable[[str], str] = str,
    hidden: Collection[str] = (),
) -> pl.DataFrame:
    """The row with the cells that differ from what they were; UsageError if none does, or for `hidden` ones.

    `cells` is a JSON object with texts by column, `nulls` one whose members are the columns that have no
    value. What isn't named stays as it is, and what reads like the cell after `mask` removed secrets.
    """
    texts, empty = _members(cells, "cells"), {*_members(nulls, "nulls")}
    own = [name for name in found.columns if name not in (ROW, REASONS, DIGEST)]
    _refuse_unknown((*texts, *empty), own, hidden)
    named = found.select(name for name in own if name in texts or name in empty)
    before = row_texts(named, named.columns)
    changed = {}
    for name, dtype in named.schema.items():
        came = before[name]
        now = _text(texts.get(name), dtype)
        if name in empty:
            # Who writes into a cell that had no value doesn't have to say that it has one now.
            if now not in (None, "", came) and came is not None:
                raise UsageError(f"{name} can't have the value {now!r} and no value: decide on one")
            now = None if now in ("", came) else now
        if now not in (came, None if came is None else mask(came)):
            changed[name] = pl.Series(name, [now], dtype=pl.String)
    if not changed:
        raise UsageError("no cell differs from what came: correct one, or release the row as it is")
    if refused := [name for name in changed if not is_editable(named, name)]:
        raise UsageError(f"{', '.join(refused)}: such values can only be corrected in a file")
    return found.with_columns(changed.values())


def _refuse_unknown(names: Iterable[str], own: Sequence[str], hidden: Collection[str]) -> None:
    for name in names:
        if name not in own:
            raise UsageError(f"the row has no column {name!r} ({did_you_mean(name, own)})")
        if name in hidden:
            raise UsageError(
                f"{name} holds personal data, which you may not see: you can't correct it"
            )


def _text(given: str | None, dtype: pl.DataType) -> str | None:
    """A text as it is meant: only a text can be empty, everything else is null then."""
    is_text = isinstance(dtype, pl.String | pl.Categorical | pl.Enum)
    return given if is_text or given is None else given.strip() or None


def _members(text: str, name: str) -> Mapping[str, str]:
    try:
        found = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(each, str) for each in found.values()):
        raise UsageError(f"{name} is not a JSON object with a text for each column")
    return found
