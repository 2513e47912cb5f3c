"""Build the SELECT statement that reads from a source database."""

from __future__ import annotations

from collections.abc import Sequence

from tidemill.ports.sources import ColumnRange

# Rows fetched at once.
CHUNK_ROWS = 20_000


def select_statement(
    query: str,
    columns: Sequence[str],
    within: ColumnRange | None,
    *,
    distinct: bool,
    bounds: tuple[str, str],
    text_column: str = "",
    quote: str = '"',
) -> str:
    """Select columns from a query's rows, optionally only those `within` a range.

    `bounds` are the range's ends as SQL (placeholders or literals). `text_column` is a template for the
    range's column that makes text compare by code points.
    """
    chosen = ", ".join(quote_name(column, quote) for column in columns) or "1"
    # The query stands on its own lines because it may end with a comment.
    text = f"SELECT {'DISTINCT ' if distinct else ''}{chosen} FROM (\n{query}\n) AS tidemill_source"
    if within is None:
        return text
    name = quote_name(within.column, quote)
    if isinstance(within.minimum, str):
        name = text_column.format(within.column.replace('"', '""'))
    least, most = bounds
    return f"{text} WHERE {name} >= {least} AND {name} <= {most}"


def quote_name(name: str, quote: str = '"') -> str:
    """Quote an identifier for SQL."""
    return quote + name.replace(quote, quote * 2) + quote
