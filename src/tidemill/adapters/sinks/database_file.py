"""Deliver to tables of a database in a file: what SQLite and DuckDB have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from tidemill.adapters.sinks.table_transaction import (
    TableDatabase,
    TablePlace,
    deliver_to_table,
    quoted,
    table_fault,
)
from tidemill.ledger.delivery import Effect
from tidemill.ports.artifacts import Artifacts
from tidemill.ports.formats import EffectResult
from tidemill.workflow.sink import DELIVERIES


class DatabaseFileTables(ABC):
    """Delivers to tables of files of one kind of database."""

    batch = 0

    @abstractmethod
    def open_file(self, path: Path, *, write: bool) -> AbstractContextManager[TableDatabase]:
        """Open a file in a transaction, which is committed at the end; StorageError if it can't be."""

    def deliver_all(
        self, effects: Sequence[Effect], root: Path, artifacts: Artifacts, /
    ) -> Iterator[tuple[Effect, EffectResult]]:
        path = root / effects[0].target
        opened = self.open_file(path, write=True)
        yield from deliver_to_table(opened, _place(effects[0], path), effects, artifacts)

    def find_obstacle(self, effect: Effect, root: Path, /) -> str:
        return _obstacle(root / effect.target)

    def find_fault(
        self, effect: Effect, detail: Mapping[str, str], root: Path, artifacts: Artifacts, /
    ) -> str | None:
        path = root / effect.target
        if not path.is_file():
            return "" if effect.action == "remove" else f"the file {path} is gone"
        opened = self.open_file(path, write=False)
        return table_fault(opened, _place(effect, path), effect, artifacts)


def _place(effect: Effect, path: Path) -> TablePlace:
    """Where an effect puts rows in a database file."""
    return TablePlace(
        label=str(path), table=quoted(effect.table), deliveries=DELIVERIES, name=effect.table
    )


def _obstacle(path: Path) -> str:
    """Why no database file can be at a path; empty if one can."""
    if "\0" in str(path):
        return "its name has a NUL character; choose another name"
    there = next(each for each in (path, *path.parents) if each.exists())
    if there == path:
        return "it is a folder; name a file in it" if path.is_dir() else ""
    return "" if there.is_dir() else f"{there} is not a folder; choose another path"
