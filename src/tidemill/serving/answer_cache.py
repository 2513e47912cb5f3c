"""Keep the newest answers: a model version that is deterministic answers the same row the same."""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Sequence
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

    Versions are added when they go live, unless they aren't deterministic. What a version was asked before it
    was removed, or before a table that it looks up was published anew, is never kept: `keep` needs the
    generation that `generation` returned before the answer was computed.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._answers: OrderedDict[tuple[str, Hashable], A] = OrderedDict()
        self._generations: dict[str, int] = {}
        self._last = 0

    def __len__(self) -> int:
        return len(self._answers)

    def add(self, version: str) -> None:
        """Keep answers of a version from now on."""
        if self._size and version not in self._generations:
            self._begin(version)

    def remove(self, version: str) -> None:
        """Keep no answers of a version any more."""
        self._generations.pop(version, None)
        self._forget(version)

    def refresh(self, versions: Iterable[str]) -> None:
        """Forget the answers of versions, because what they look up has changed."""
        for version in versions:
            if version in self._generations:
                self._begin(version)
                self._forget(version)

    def generation(self, version: str) -> int:
        """A number that changes when answers of the version become outdated; 0 if none are kept."""
        return self._generations.get(version, 0)

    def find(self, version: str, row: Hashable) -> A | None:
        """The answer of a version to a row, if it is known."""
        place = version, row
        found = self._answers.get(place)
        if found is not None:
            self._answers.move_to_end(place)
        return found

    def keep(self, version: str, row: Hashable, answer: A, generation: int) -> None:
        """Keep an answer that was computed in a generation, unless that has passed."""
        if not generation or self._generations.get(version) != generation:
            return
        place = version, row
        self._answers[place] = answer
        self._answers.move_to_end(place)
        if len(self._answers) > self._size:
            self._answers.popitem(last=False)

    def _begin(self, version: str) -> None:
        self._last += 1
        self._generations[version] = self._last

    def _forget(self, version: str) -> None:
        for place in [place for place in self._answers if place[0] == version]:
            del self._answers[place]


@cache
def _floats(count: int) -> Any:
    return struct.Struct(f"={count}d").pack


def _plain(value: Any) -> Any:
    """A value that keeps apart in MessagePack what differs; containers are judged by their text."""
    if isinstance(value, bool | int | float | str | bytes) or value is None:
        return value if not isinstance(value, int) or -(1 << 63) <= value < 1 << 63 else str(value)
    return repr(value)
