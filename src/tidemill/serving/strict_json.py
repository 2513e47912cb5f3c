"""Parse JSON exactly: numbers as they are written, no duplicate keys, no constants that aren't JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tidemill.core.printable import shorten
from tidemill.serving.errors import BadRequest, PayloadTooLarge


class Number(str):
    """A number of JSON, as it is written."""

    __slots__ = ()


class _Counter:
    """Makes the numbers and objects of a document, up to a number of them: millions take seconds."""

    def __init__(self, most: int) -> None:
        self._left = self._most = most

    def number(self, text: str) -> Number:
        self._count()
        return Number(text)

    def object(self, pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        self._count()
        return _object(pairs)

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise PayloadTooLarge(
                f"the body has more than {self._most:,} numbers and objects: send fewer rows at once"
            )


def parse_json(body: bytes, *, depth: int, most: int = 10_000_000) -> Any:
    """Return the value of a JSON document, with numbers as `Number`.

    Raises BadRequest for anything else than JSON in UTF-8, for a duplicate key, and for more than `depth`
    levels of lists and objects; PayloadTooLarge for more than `most` numbers and objects.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise BadRequest(f"the body isn't UTF-8: byte {error.start:,} can't be read") from None
    if not text.strip():
        raise BadRequest("the body is empty")
    counter = _Counter(most)
    try:
        value = json.loads(
            text,
            parse_int=counter.number,
            parse_float=counter.number,
            parse_constant=_refuse_constant,
            object_pairs_hook=counter.object,
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise BadRequest(f"the body isn't JSON: {error.msg} ({place})") from None
    except RecursionError:
        raise _too_deep(depth) from None
    _require_depth(value, depth)
    return value


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        ((name, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise BadRequest(f"the key {name!r} appears twice in one object")
    return found


def _refuse_constant(constant: str) -> Any:
    raise BadRequest(f"{constant} isn't JSON: send null for a missing number")


def _require_depth(value: Any, depth: int) -> None:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(depth):
        if not level:
            return
        level = [
            item
            for container in level
            for item in (container.values() if isinstance(container, dict) else container)
            if isinstance(item, dict | list)
        ]
    if level:
        raise _too_deep(depth)


def _too_deep(depth: int) -> BadRequest:
    return BadRequest(f"the body has more than {depth} levels of lists and objects")


def written(value: Any) -> str:
    """Return a parsed value as JSON, with its numbers as they were written."""
    match value:
        case Number():
            return str(value)
        case dict():
            items = (f"{json.dumps(name)}:{written(item)}" for name, item in value.items())
            return "{" + ",".join(items) + "}"
        case list():
            return "[" + ",".join(map(written, value)) + "]"
    return json.dumps(value)


def plain(value: Any, *, longest: int = 200) -> Any:
    """Return a parsed value as it may be shown: numbers as numbers, long texts shortened."""
    match value:
        case Number():
            return _plain_number(value)
        case str():
            return shorten(value.encode(errors="backslashreplace").decode(), longest)
        case dict() | list():
            return plain(written(value), longest=longest)
    return value


def _plain_number(value: Number) -> int | float | str:
    if len(value) > 40:
        return shorten(value, 40)
    number = float(value)
    if number in (float("inf"), float("-inf")):
        return str(value)
    return number if any(mark in value for mark in ".eE") else int(value)


def require_object(value: Any, what: str) -> Mapping[str, Any]:
    """Return a value that must be an object; BadRequest if it isn't one."""
    if isinstance(value, dict):
        return value
    raise BadRequest(f"{what} is {kind_of(value)}, not an object")


def kind_of(value: Any) -> str:
    """Name the kind of a JSON value, for messages."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case Number():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
    return "an object"
