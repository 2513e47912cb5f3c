"""The one statement that is sent to databases of others."""

from __future__ import annotations

from collections.abc import Sequence

from tidemill.ports.sources import Within

# So many rows are fetched at once.
CHUNK = 20_000


def select(
    query: str,
    columns: Sequence[str],
    within: Within | None,
    *,
    distinct: bool,
    bounds: tuple[str, str],
    compared: str = "",
    quote: str = '"',
) -> str:
    """Some columns of what a query gives, of rows `within` bounds, which stand in it as `bounds`.

    Text is `compared` by code points.
    """
    chosen = ", ".join(quoted(column, quote) for column in columns) or "1"
    # On lines of its own: the query may end with a comment.
    text = f"SELECT {'DISTINCT ' if distinct else ''}{chosen} FROM (\n{query}\n) AS tidemill_source"
    if within is None:
        return text
    name = quoted(within.column, quote)
    if isinstance(within.least, str):
        name = compared.format(within.column.replace('"', '""'))
    least, most = bounds
    return f"{text} WHERE {name} >= {least} AND {name} <= {most}"


def quoted(name: str, quote: str = '"') -> str:
    """A name as SQL writes it."""
    return quote + name.replace(quote, quote * 2) + quote
