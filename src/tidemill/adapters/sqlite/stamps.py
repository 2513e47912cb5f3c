"""Checksums of the texts in the ledger: SQLite has none, so a damaged page may read as other text.

A text is stored with its CRC-32 in a line of its own, which JSON never has, or packed with one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from zlib import crc32

from tidemill.adapters.sqlite.packed_text import is_packed, unpack
from tidemill.core.errors import StorageError

_LENGTH = 9


class DamagedTextError(StorageError):
    """A text in the ledger isn't what was stored; what opens the file adds its path and what to do."""


def stamp(text: str) -> str:
    """Add its checksum to a text."""
    return f"{text}\n{crc32(text.encode()):08x}"


def unstamp(stored: object) -> str:
    """Return a stored text without its checksum; DamagedTextError if they don't match.

    A packed text is unpacked.
    """
    if isinstance(stored, bytes) and is_packed(stored):
        try:
            return unpack(stored)
        except ValueError as error:
            raise DamagedTextError(f"a record isn't what was stored: {error}") from error
    if isinstance(stored, str):
        text, mark = stored[:-_LENGTH], stored[-_LENGTH:]
        if mark == f"\n{crc32(text.encode(errors='surrogatepass')):08x}":
            return text
    raise DamagedTextError("a record doesn't match its checksum")


def read_text(value: bytes | str | None, errors: str = "strict") -> Any:
    """What is stored of a text, as `text_factory = bytes` reads it or as it is; a packed one stays packed."""
    if isinstance(value, bytes) and not is_packed(value):
        return value.decode(errors=errors)
    return value


@contextmanager
def reading_values() -> Iterator[None]:
    """Raise DamagedTextError where a stored value has another type, or is out of range."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise DamagedTextError(str(error)) from error


def can_be_stored(name: str) -> bool:
    """Whether a name is valid Unicode; one that isn't is nowhere in the ledger, and SQLite refuses it."""
    return name.isascii() or not any("\ud800" <= c <= "\udfff" for c in name)
