"""Match paths with a glob of absolute paths, and say which folders could have files that match."""

from __future__ import annotations

import re
from fnmatch import translate
from functools import cached_property, lru_cache

from tidemill.core.lazy_dataclass import dataclass

_MAGIC = re.compile(r"[*?[]")
_ANY_DEPTH = "**"


@dataclass(frozen=True)
class FilePattern:
    """An absolute, normalized glob, as `glob.glob(..., recursive=True)` reads it."""

    text: str

    @cached_property
    def segments(self) -> tuple[str, ...]:
        """The names and globs between the slashes."""
        return tuple(self.text.strip("/").split("/"))

    @cached_property
    def base(self) -> str:
        """The folder below which everything that matches lies."""
        plain = []
        for segment in self.segments[:-1]:
            if _MAGIC.search(segment):
                break
            plain.append(segment)
        return "/" + "/".join(plain)

    def matches(self, path: str) -> bool:
        """Whether a file at `path` matches."""
        return _matches(self.segments, tuple(path.strip("/").split("/")))

    def may_hold(self, folder: str) -> bool:
        """Whether a file that matches may lie in `folder`, at any depth."""
        names = tuple(name for name in folder.strip("/").split("/") if name)
        for index, name in enumerate(names):
            if index >= len(self.segments) - 1:
                return False
            if self.segments[index] == _ANY_DEPTH:
                return not any(hidden.startswith(".") for hidden in names[index:])
            if not _is_like(self.segments[index], name):
                return False
        return True


def _matches(segments: tuple[str, ...], names: tuple[str, ...]) -> bool:
    if not segments:
        return not names
    if segments[0] == _ANY_DEPTH:
        if _matches(segments[1:], names):
            return True
        return bool(names) and not names[0].startswith(".") and _matches(segments, names[1:])
    return bool(names) and _is_like(segments[0], names[0]) and _matches(segments[1:], names[1:])


def _is_like(segment: str, name: str) -> bool:
    """Whether a name matches one segment; a glob matches a hidden file only if it begins with a dot."""
    if not _MAGIC.search(segment):
        return segment == name
    if name.startswith(".") and not segment.startswith("."):
        return False
    return _expression(segment).match(name) is not None


@lru_cache
def _expression(segment: str) -> re.Pattern[str]:
    return re.compile(translate(segment))
