"""Records of a state that are decoded when they are looked at: most commands look at few of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

from tidemill.adapters.sqlite.connections import damaged_ledger
from tidemill.adapters.sqlite.stamps import DamagedTextError

Stored = TypeVar("Stored")
Record = TypeVar("Record")


class StoredRecords(Mapping[str, Record], Generic[Stored, Record]):
    """Decodes what was read from the ledger `path`, by name, each once; StorageError for a damaged text."""

    def __init__(
        self, path: str, stored: Mapping[str, Stored], decode: Callable[[Stored], Record]
    ) -> None:
        self._path = path
        self._stored = stored
        self._decode = decode
        self._decoded: dict[str, Record] = {}

    def __getitem__(self, name: str) -> Record:
        if name not in self._decoded:
            stored = self._stored[name]
            try:
                self._decoded[name] = self._decode(stored)
            except (DamagedTextError, TypeError, ValueError) as error:
                raise damaged_ledger(self._path, error) from error
        return self._decoded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored)

    def __len__(self) -> int:
        return len(self._stored)

    def __repr__(self) -> str:
        return repr(dict(self))
