"""What identifies a value: its type and its contents, never its text, address or memory layout.

What has no handler here is refused, not guessed.
"""

from __future__ import annotations

import dataclasses
import enum
import sys
import types
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

from tidemill.decide.code_frames import frame_part
from tidemill.decide.code_origin import importable, origin_of_class
from tidemill.domain.fingerprint import Part, fingerprint

_EXACT = (type(None), bool, int, float, str, bytes)


class Following(Protocol):
    """Whoever follows code: takes what leads further, and what can't be followed."""

    def follow(self, value: Any) -> Part:
        """A function, class or sentinel of the project, which may lead back to where it is used."""

    def function(self, function: types.FunctionType) -> Part:
        """A function of anybody."""

    def named(self, name: str) -> Part:
        """Something of the standard library, a package or Tidemill, by its full name."""

    def refuse(self, reason: str) -> Part:
        """What can't be fingerprinted."""

    def inside(self, value: Any) -> int | None:
        """How many containers up `value` is, if it contains itself; else it is open from now on."""

    def outside(self, value: Any) -> None:
        """The container is done."""


def value_part(value: Any, walk: Following) -> Part:
    """What identifies a value."""
    kind = type(value)
    if kind in _EXACT:
        return [kind.__name__, value]
    hook = _hook(value)
    if hook is not None:
        return ["digest", hook]
    if isinstance(value, type):
        return class_part(value, walk)
    handler = _HANDLERS.get(f"{kind.__module__}.{kind.__qualname__}")
    if handler is None:
        return _other(value, walk)
    depth = walk.inside(value)
    if depth is not None:
        return ["again", depth]
    try:
        return [kind.__qualname__, handler(value, walk)]
    finally:
        walk.outside(value)
