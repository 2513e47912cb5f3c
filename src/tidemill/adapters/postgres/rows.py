"""Rows as a server has them, and as a SQLite file has them.

PostgreSQL has no texts with NUL characters, which names of partitions and people may have: they are escaped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tidemill.adapters.postgres.server import Row
from tidemill.adapters.sqlite.packed_text import is_packed

# Stands before what was escaped: 1 is the mark itself, 2 is NUL.
_MARK, _NUL = "\x01", "\x00"
_ESCAPED = re.compile(f"{_MARK}([12])")


def sent_text(text: str | None) -> str | None:
    """A text as the server has it."""
    if text is None or (_NUL not in text and _MARK not in text):
        return text
    return text.replace(_MARK, f"{_MARK}1").replace(_NUL, f"{_MARK}2")


def stored_text(text: str | None) -> str | None:
    """A text that the server has as it was."""
    if text is None or _MARK not in text:
        return text
    return _ESCAPED.sub(lambda found: _MARK if found[1] == "1" else _NUL, text)


def sent_body(stored: str | bytes) -> bytes:
    """The body of an event as the server has it."""
    return stored if isinstance(stored, bytes) else stored.encode()


def stored_body(body: bytes) -> str | bytes:
    """A body as a SQLite file stores it: packed, or as text."""
    return body if is_packed(body) else body.decode()


def sent_event(row: Row) -> Row:
    """An event with its link, of a SQLite file, as the server has it."""
    seq, batch, at, *texts, body, link = row
    return (seq, batch, at, *map(sent_text, texts), sent_body(body), link)


def sent_texts(row: Row) -> Row:
    """A row of leases or people as the server has it."""
    return tuple(sent_text(value) if isinstance(value, str) else value for value in row)


def stored_texts(row: Row) -> Row:
    """The same as a SQLite file has it."""
    return tuple(stored_text(value) if isinstance(value, str) else value for value in row)


def sent_columns(rows: Sequence[Row]) -> list[list[object]]:
    """The columns of one or more rows, as arrays of a statement."""
    return [list(column) for column in zip(*rows, strict=True)]
