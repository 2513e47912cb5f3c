"""Guard text of CSV files against spreadsheets, which execute cells that look like formulas."""

from __future__ import annotations

import polars as pl
from polars import selectors

# The column that marks a guarded file, so that it can be read back.
GUARDED = "_guarded"
_MARK = "'"
# Spreadsheets execute a cell that begins with one of these, also in full width or after white space and
# characters without a width, such as a byte order mark.
_FORMULA = r"^['\s\p{Cc}\p{Cf}]*[=+\-@\t\r|%\u{FF1D}\u{FF0B}\u{FF0D}\u{FF20}\u{FF5C}\u{FF05}]"


def guard_formulas(rows: pl.DataFrame) -> pl.DataFrame:
    """Put an apostrophe before each text and each column name that a spreadsheet could execute.

    Texts that begin with an apostrophe get another one, so that `unguard_formulas` restores all of them.
    """
    text = selectors.string() | selectors.categorical() | selectors.enum()
    names = rows.select(text).columns
    guarded = rows.with_columns(_guarded(selectors.by_name(name).cast(pl.String)) for name in names)
    headers = pl.DataFrame({"name": rows.columns}, schema={"name": pl.String})
    risky = headers.filter(_is_risky(pl.col("name"))).to_series()
    named = guarded.rename({name: _MARK + name for name in risky})
    return named.with_columns(pl.lit(True).alias(GUARDED))


def unguard_formulas(rows: pl.DataFrame) -> pl.DataFrame:
    """Undo `guard_formulas`; rows that aren't marked as guarded stay as they are."""
    if GUARDED not in rows.columns:
        return rows
    plain = rows.drop(GUARDED).with_columns(selectors.string().str.strip_prefix(_MARK))
    return plain.rename({name: name[1:] for name in plain.columns if name.startswith(_MARK)})


def _guarded(cells: pl.Expr) -> pl.Expr:
    return pl.when(_is_risky(cells)).then(cells.str.replace("^", _MARK)).otherwise(cells)


def _is_risky(cells: pl.Expr) -> pl.Expr:
    return cells.str.contains(_FORMULA) | cells.str.starts_with(_MARK)
