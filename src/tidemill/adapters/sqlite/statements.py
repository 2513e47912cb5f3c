"""The named SQL statements of a ledger, read from a file `queries.sql`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cache

FOLDER = os.path.join(os.path.dirname(__file__), "sql")
_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_COMMENT = re.compile(r"^\s*--.*\n?", re.MULTILINE)


@cache
def queries(folder: str = FOLDER) -> Mapping[str, str]:
    """The statements of `queries.sql` by name, without comments."""
    _, *parts = _NAME.split(read_script("queries.sql", folder))
    return {
        name: without_comments(text).strip().rstrip(";")
        for name, text in zip(parts[::2], parts[1::2], strict=True)
    }


def read_script(name: str, folder: str = FOLDER) -> str:
    """Read one file of a folder with SQL."""
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        return file.read()


def without_comments(script: str) -> str:
    """Remove the comment lines of a script."""
    return _COMMENT.sub("", script)
