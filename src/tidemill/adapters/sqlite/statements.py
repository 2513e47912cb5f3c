"""The SQL files, as the statements that they hold."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator, Mapping
from functools import cache

_FOLDER = os.path.join(os.path.dirname(__file__), "sql")
_NAMED = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_COMMENT = re.compile(r"^\s*--.*\n?", re.MULTILINE)


@cache
def queries() -> Mapping[str, str]:
    """The statements of `queries.sql` by their names, without comments."""
    _, *parts = _NAMED.split(_read("queries.sql"))
    return {
        name: _COMMENT.sub("", text).strip().rstrip(";")
        for name, text in zip(parts[::2], parts[1::2], strict=True)
    }


def migrations(after: int) -> Iterator[tuple[int, list[str]]]:
    """The schema versions above `after` in order, with the statements that lead to each."""
    for file in sorted(name for name in os.listdir(_FOLDER) if name[:4].isdigit()):
        if int(file[:4]) > after:
            yield int(file[:4]), list(_statements(_read(file)))


def _statements(script: str) -> Iterator[str]:
    """The statements of a script; a trigger holds semicolons, so SQLite says where each ends."""
    pending = ""
    for line in _COMMENT.sub("", script).splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending.strip()
            pending = ""


def _read(name: str) -> str:
    with open(os.path.join(_FOLDER, name), encoding="utf-8") as file:
        return file.read()
