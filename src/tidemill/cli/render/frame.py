"""Render frames as text, without importing Polars: a run with nothing to do doesn't need it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidemill.core.printable import printable
from tidemill.core.text_table import text_table

if TYPE_CHECKING:
    import polars as pl

_WIDEST = 32


def frame_table(frame: pl.DataFrame) -> str:
    """Render the rows of a small frame as a table; numbers are aligned to the right."""
    headers = [f">{name}" if dtype.is_numeric() else name for name, dtype in frame.schema.items()]
    if not headers:
        return "(no columns)"
    return text_table(headers, ([cell_text(value) for value in row] for row in frame.iter_rows()))


def cell_text(value: Any) -> str:
    """Render one value; long text is cut."""
    if value is None:
        return "null"
    if isinstance(value, float):
        text = f"{value:.6g}"
    elif isinstance(value, list):
        text = ", ".join(map(str, value))
    else:
        text = str(value)
    text = printable(text)
    return text if len(text) <= _WIDEST else text[: _WIDEST - 3] + "..."
