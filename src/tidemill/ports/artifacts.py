"""Port: the content-addressed object store."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from tidemill.core.payload import Payload


class StoredBytes(Protocol):
    """An opened object: its size, and a `version` that changes when its bytes are written again."""

    @property
    def size(self) -> int: ...

    @property
    def version(self) -> object: ...

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes from `offset` on; fewer where the object ends."""


class Artifacts(Protocol):
    """Immutable objects named by their content: the SHA-256 in hex, and a suffix for the format.

    An object that was found to be damaged counts as missing until it is stored again.
    """

    def put_all(self, objects: Sequence[tuple[Payload, str]]) -> Sequence[str]:
        """Store several (bytes, suffix) pairs durably and return their names in the same order.

        What is stored already isn't written again, unless it is damaged: then it is replaced.
        """

    def get(self, name: str) -> bytes:
        """Return the bytes, verified against their name.

        DamagedObjectError if they don't match it, StorageError if they are missing. Both are remembered.
        """

    def open(self, name: str) -> AbstractContextManager[StoredBytes]:
        """Open an object to read parts of it, which aren't verified; StorageError if it is missing."""

    def uri(self, name: str) -> str:
        """Return a path or URI from which Polars can scan the object."""

    def fetch(self, names: Collection[str]) -> None:
        """Bring objects near that are to be read, if they are elsewhere; missing ones are ignored."""

    def find_missing(self, names: Collection[str]) -> Mapping[str, str]:
        """Map those of `names` that can't be used to the reason: "missing" or "damaged"."""

    def versions(self, names: Collection[str]) -> Mapping[str, object]:
        """Map those of `names` that are stored to the version that `open` would give."""

    def names(self, *, damaged: bool = False) -> Iterable[str]:
        """Return the names of all stored objects, or of those that are known to be damaged or missing."""

    def remove(self, names: Iterable[str]) -> int:
        """Delete objects, ignoring missing ones; return the number of bytes freed."""
