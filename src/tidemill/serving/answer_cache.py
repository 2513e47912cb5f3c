"""Keep the newest answers: a model version that is deterministic answers the same row the same."""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from functools import cache
from typing import Any, Generic, TypeVar

import msgspec

A = TypeVar("A")

_ENCODER = msgspec.msgpack.Encoder()


def matrix_row_key(values: Sequence[float]) -> bytes:
    """The key of a row as a model's floats: equal if and only if all bits are.

    So 0.0 and -0.0 differ, and so do NaNs of different bits, which can only cost a hit. `1`, `1.0` and `True`
    are the same number for the model.
    """
    packed: bytes = _floats(len(values))(*values)
    return packed


def row_key(values: Sequence[Any]) -> bytes:
    """The key of a row as values of columns, for models that read frames.

    Values of different types differ, also where Python says that they are equal: `1`, `1.0`, `True` and "1".
    """
    typed = [(type(value).__name__, _plain(value)) for value in values]
    try:
        return _ENCODER.encode(typed)
    except UnicodeEncodeError:
        # Half of a surrogate pair, which only an escape in JSON can bring.
        return repr(typed).encode("ascii", "backslashreplace")


class AnswerCache(Generic[A]):
    """The answers that were used last, at most `size`; by model version and row. 0 keeps none.

    Versions are added when they are loaded, unless they aren't deterministic. Answers of a version that was
    removed meanwhile aren't kept.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._answers: OrderedDict[tuple[str, Hashable], A] = OrderedDict()
        self._versions: set[str] = set()

    def __len__(self) -> int:
        return len(self._answers)

    def add(self, version: str) -> None:
        """Keep answers of a version from now on."""
        if self._size:
            self._versions.add(version)

    def remove(self, version: str) -> None:
        """Keep no answers of a version any more."""
        self._versions.discard(version)
        for place in [place for place in self._answers if place[0] == version]:
            del self._answers[place]

    def find(self, version: str, row: Hashable) -> A | None:
        """The answer of a version to a row, if it is known."""
        place = version, row
        found = self._answers.get(place)
        if found is not None:
            self._answers.move_to_end(place)
        return found

    def keep(self, version: str, row: Hashable, answer: A) -> None:
        """Keep an answer of a version that was added."""
        if version not in self._versions:
            return
        place = version, row
        self._answers[place] = answer
        self._answers.move_to_end(place)
        if len(self._answers) > self._size:
            self._answers.popitem(last=False)


@cache
def _floats(count: int) -> Any:
    return struct.Struct(f"={count}d").pack


def _plain(value: Any) -> Any:
    """A value that keeps apart in MessagePack what differs; containers are judged by their text."""
    if isinstance(value, bool | int | float | str | bytes) or value is None:
        return value if not isinstance(value, int) or -(1 << 63) <= value < 1 << 63 else str(value)
    return repr(value)
