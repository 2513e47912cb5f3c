"""Port: immutable objects named by their content."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    pass


class Artifacts(Protocol):
    """Immutable bytes named by their content: `sha256` in hex, and a suffix that tells the format."""

    def put(self, payload: bytes, suffix: str) -> str:
        """Store the bytes durably and return their name; a second time is a no-op."""

    def put_all(self, objects: Sequence[tuple[bytes, str]]) -> Sequence[str]:
        """Store bytes with their suffixes, all durably once this returns; their names in this order."""

    def get(self, name: str) -> bytes:
        """The bytes, verified against their name; StorageError when missing or damaged."""

    def uri(self, name: str) -> str:
        """Where Polars can scan the object."""

    def missing(self, names: Collection[str]) -> Collection[str]:
        """Those of `names` that aren't stored."""

    def names(self) -> Iterable[str]:
        """Every stored object."""

    def remove(self, names: Iterable[str]) -> int:
        """Delete objects; the number of bytes that were freed."""
