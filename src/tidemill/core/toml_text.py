"""Parse TOML from outside: whatever is wrong with it is one error that says where."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

_LARGEST = 1 << 63
# Python converts no more digits to a number.
_TOO_MANY_DIGITS = re.compile(r"[0-9_]{4301,}")


class TomlError(ValueError):
    """A document isn't TOML; the message says where and why."""


def parse_toml(content: bytes) -> dict[str, Any]:
    """The document in a file, in UTF-8 with or without the mark that some editors put at its start.

    Raises TomlError for what isn't TOML, and for whole numbers of more than 64 bits.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise TomlError(f"line {line} is not UTF-8 (save it as UTF-8)") from error
    try:
        document = tomllib.loads(text)
        large = next(_large_numbers(document, ""), "")
    except tomllib.TOMLDecodeError as error:
        raise TomlError(f"it is not TOML: {error}") from error
    except RecursionError as error:
        raise TomlError("it is not TOML: lists or tables are nested too deeply") from error
    except ValueError as error:
        found = _TOO_MANY_DIGITS.search(text)
        line = text.count("\n", 0, found.start() if found else 0) + 1
        raise TomlError(f"line {line} has a number of more than 64 bits") from error
    if large:
        raise TomlError(f"{large} is a number of more than 64 bits")
    return document


def _large_numbers(value: object, place: str) -> Iterator[str]:
    """The places of whole numbers that TOML doesn't allow, which can't even be shown."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _large_numbers(inner, f"{place}.{key}" if place else key)
    elif isinstance(value, list):
        for number, inner in enumerate(value, 1):
            yield from _large_numbers(inner, f"{place}[{number}]")
    elif isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
        yield place
