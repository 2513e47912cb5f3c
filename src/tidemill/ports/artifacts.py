"""Port: the content-addressed object store."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol


class Artifacts(Protocol):
    """Immutable objects named by their content: the SHA-256 in hex, and a suffix for the format."""

    def put(self, payload: bytes, suffix: str) -> str:
        """Store the bytes durably and return their name; storing them again does nothing."""

    def put_all(self, objects: Sequence[tuple[bytes, str]]) -> Sequence[str]:
        """Store several (bytes, suffix) pairs durably and return their names in the same order."""

    def get(self, name: str) -> bytes:
        """Return the bytes, verified against their name; StorageError if missing or damaged."""

    def uri(self, name: str) -> str:
        """Return a path or URI from which Polars can scan the object."""

    def find_missing(self, names: Collection[str]) -> Collection[str]:
        """Return those of `names` that aren't stored."""

    def names(self) -> Iterable[str]:
        """Return the names of all stored objects."""

    def remove(self, names: Iterable[str]) -> int:
        """Delete objects, ignoring missing ones; return the number of bytes freed."""
