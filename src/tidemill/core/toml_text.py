"""Parse TOML from outside; what is wrong with it is an error that says where."""

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

    Raises TomlError for what isn't TOML.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise TomlError(f"line {line} is not UTF-8 (save it as UTF-8)") from error
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TomlError(f"it is not TOML: {error}") from error
    except RecursionError as error:
        raise TomlError("it is not TOML: lists or tables are nested too deeply") from error
    except ValueError as error:
        found = _TOO_MANY_DIGITS.search(text)
        line = text.count("\n", 0, found.start() if found else 0) + 1
        raise TomlError(f"line {line} has a number of more than 64 bits") from error


def check_values(value: object, place: str = "") -> None:
    """Raise TomlError for values that nothing can use, which some can't even be shown.

    These are whole numbers of more than 64 bits, NUL characters, and what is nested too deeply.
    """
    try:
        fault = next(_faults(value, place), "")
    except RecursionError as error:
        raise TomlError("lists or tables are nested too deeply") from error
    if fault:
        raise TomlError(fault)


def _faults(value: object, place: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _faults(key, f"a key of {place}" if place else "a key")
            yield from _faults(inner, f"{place}.{key}" if place else key)
    elif isinstance(value, list):
        for number, inner in enumerate(value, 1):
            yield from _faults(inner, f"{place}[{number}]")
    elif isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
        yield f"{place} is a number of more than 64 bits"
    elif isinstance(value, str) and "\0" in value:
        yield f"{place} = {value!r:.60} has a NUL character"
