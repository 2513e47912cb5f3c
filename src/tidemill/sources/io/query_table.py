"""Read what a query of a database gives: which partitions are others than before, and only these.

A database has no order and no parts that could be hashed, so a partition is named by the multiset of its
rows: of all their columns, or of key and cursor where the cursor tells of every change. What came late,
was moved to another partition or is gone is then seen as well as what came last.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import xxhash

from tidemill.contracts.checks.partition_column import raw_keys
from tidemill.contracts.checks.schema import polars_type
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import SourceError, did_you_mean
from tidemill.core.fingerprint import fingerprint
from tidemill.core.partition import UNPLACED, WHOLE
from tidemill.ports.sources import Database, Within
from tidemill.workflow.source import Query, SourceFile

Row = tuple[Any, ...]

# Partitions of together so many rows are read by one query.
_TOGETHER_ROWS = 200_000
_HASHES = 1 << 128


@dataclass(slots=True)
class _Tally:
    """A multiset of rows: how many there are, and the sum of their hashes."""

    rows: int = 0
    total: int = 0

    def add(self, row: Row) -> None:
        # The text of a value is the same everywhere, and tells 1 from 1.0 and 0.0 from -0.0.
        self.rows += 1
        self.total += xxhash.xxh3_128_intdigest(repr(row).encode("utf-8", "surrogatepass"))

    def digest(self, place: str) -> str:
        return fingerprint("rows", place, self.rows, f"{self.total % _HASHES:x}")


class QueryTable:
    """What a query gives in one run; those partitions that are `coming` are read together."""

    def __init__(
        self,
        source: Query[Any],
        contract: ContractSpec,
        database: Database,
        coming: Sequence[SourceFile] = (),
    ) -> None:
        self._source = source
        self._contract = contract
        self._database = database
        self._keys = _Keys(contract)
        self._coming = {key: file for file in coming for key in file.rows}
        self._columns: list[str] = []
        self._bounds: dict[str, list[Any]] = {}
        # The rows of partitions that were read with another.
        self._ahead: dict[str, pl.DataFrame | SourceError] = {}
        self._last: tuple[str, pl.DataFrame] | None = None

    def listed(self) -> dict[str, SourceFile]:
        """Every partition with a digest of its rows, as the database is at this moment."""
        self._database.begin()
        columns, cut = self._checked(), self._contract.partitioning
        watched = self._watched(columns)
        asked = [*([] if cut.is_whole else [cut.column]), *watched]
        tallies: dict[str, _Tally] = {}
        for chunk in self._database.rows(self._source.query, asked):
            if cut.is_whole:
                rows: Iterable[Row] = chunk
            else:
                rows = (row[1:] for row in chunk)
            keys = self._keys.of(chunk, 0)
            for key, row in zip(keys, rows, strict=True):
                self._refuse_null(row)
                tallies.setdefault(key, _Tally()).add(row)
        if not tallies:
            raise SourceError(f"the query gives no row in {self._place}; nothing was removed")
        return {self._path(key): self._file(key, tallies[key]) for key in sorted(tallies)}

    def read(self, partition: str, files: Mapping[str, SourceFile]) -> pl.DataFrame:
        """The rows of a partition with all columns; SourceError when they aren't the planned ones."""
        if self._last and self._last[0] == partition:
            return self._last[1]
        if partition not in self._ahead:
            (planned,) = files.values()
            self._fetch({partition: planned, **self._next(partition)})
        found = self._ahead.pop(partition)
        if isinstance(found, SourceError):
            raise found
        self._last = partition, found
        return found

    def _checked(self) -> list[str]:
        """The query's columns; SourceError when the contract can't be met by them."""
        if self._columns:
            return self._columns
        columns, name = [*self._database.columns(self._source.query)], self._contract.name
        for column in self._contract.required:
            if column not in columns:
                raise SourceError(
                    f"the query gives no column {column!r} of contract {name} "
                    f"({did_you_mean(column, columns)})"
                )
        if twice := [column for column in columns if columns.count(column) > 1]:
            raise SourceError(f"the query gives more than one column {twice[0]!r}; name each once")
        cursor = self._source.cursor
        if cursor and cursor not in columns:
            raise SourceError(
                f"the query gives no column {cursor!r}, its cursor ({did_you_mean(cursor, columns)})"
            )
        self._columns = columns
        return columns

    def _watched(self, columns: Sequence[str]) -> list[str]:
        """The columns that tell whether a row is another, the cursor last."""
        cursor = self._source.cursor
        if not cursor:
            return sorted(columns)
        key = [column for column in self._contract.key if column in columns and column != cursor]
        return [*key, cursor]

    def _refuse_null(self, row: Row) -> None:
        if self._source.cursor and row[-1] is None:
            raise SourceError(
                f"the cursor {self._source.cursor} is null in a row, whose changes couldn't be seen; "
                "leave such rows out, or leave out cursor="
            )

    @property
    def _place(self) -> str:
        return self._database.place

    def _path(self, key: str) -> str:
        return self._place if key == WHOLE else f"{self._place} {key}"

    def _file(self, key: str, tally: _Tally) -> SourceFile:
        # Rows of another database with the same keys and versions needn't be the same.
        digest = tally.digest(self._place if self._source.cursor else "")
        return SourceFile(
            path=self._path(key), size=0, mtime_ns=0, digest=digest, rows={key: tally.rows}
        )

    def _next(self, partition: str) -> dict[str, SourceFile]:
        """The partitions right after one that are coming, as long as they are small together."""
        found: dict[str, SourceFile] = {}
        if partition not in self._coming or self._within([partition]) is None:
            return found
        rows = sum(self._coming[partition].rows.values())
        later = [key for key in sorted(self._bounds) if key > partition]
        for key in later:
            rows += sum(self._coming[key].rows.values()) if key in self._coming else _TOGETHER_ROWS
            if rows > _TOGETHER_ROWS or self._within([partition, key]) is None:
                break
            found[key] = self._coming[key]
        return found

    def _within(self, keys: Sequence[str]) -> Within | None:
        """Bounds of the partition column that hold all rows of some partitions; None: look at all rows."""
        cut = self._contract.partitioning
        if cut.is_whole:
            return None
        if not self._bounds:
            asked = [cut.column]
            for chunk in self._database.rows(self._source.query, asked, distinct=True):
                for key, (value,) in zip(self._keys.of(chunk, 0), chunk, strict=True):
                    self._bounds.setdefault(key, []).append(value)
            for key, values in self._bounds.items():
                self._bounds[key] = _ends(values)
        ends = [end for key in keys for end in self._bounds.get(key, [None])]
        if len({type(end) for end in ends}) != 1 or ends[0] is None:
            return None
        return Within(column=cut.column, least=min(ends), most=max(ends))

    def _fetch(self, planned: Mapping[str, SourceFile]) -> None:
        columns, cut = self._checked(), self._contract.partitioning
        watched = [columns.index(name) for name in self._watched(columns)]
        place = columns.index(cut.column) if cut.column else 0
        parts: dict[str, tuple[list[Row], _Tally]] = {key: ([], _Tally()) for key in planned}
        within = self._within([*planned])
        for chunk in self._database.rows(self._source.query, columns, within=within):
            for key, row in zip(self._keys.of(chunk, place), chunk, strict=True):
                if key in parts:
                    rows, tally = parts[key]
                    rows.append(row)
                    tally.add(tuple([row[index] for index in watched]))
        for key, (rows, tally) in parts.items():
            same = self._file(key, tally).digest == planned[key].digest
            self._ahead[key] = self._frame(columns, rows) if same else self._moved(key)

    def _moved(self, key: str) -> SourceError:
        return SourceError(f"{self._path(key)} changed while this run was at work; run again")

    def _frame(self, columns: Sequence[str], rows: Sequence[Row]) -> pl.DataFrame:
        given = zip(*rows, strict=True) if rows else ((),) * len(columns)
        # A cursor that the contract doesn't have is no column of the rows.
        own = self._contract.names
        return pl.DataFrame(
            [
                _series(name, values)
                for name, values in zip(columns, given, strict=True)
                if name in own or name != self._source.cursor
            ]
        )


class _Keys:
    """The partitions of rows, by the value of their partition column as the database gives it."""

    def __init__(self, contract: ContractSpec) -> None:
        self._cut = contract.partitioning
        self._known: dict[type, dict[Any, str]] = {}
        if self._cut.column:
            self._dtype = polars_type(contract.column(self._cut.column).dtype)

    def of(self, rows: Sequence[Row], place: int) -> Iterator[str]:
        """The key of each row, whose value is at `place`."""
        if self._cut.is_whole:
            return (WHOLE for _ in rows)
        values = [row[place] for row in rows]
        try:
            fresh: dict[type, set[Any]] = {}
            for value in values:
                if value not in self._known.setdefault(type(value), {}):
                    fresh.setdefault(type(value), set()).add(value)
        except TypeError:
            raise SourceError(
                f"{self._cut.column} holds lists or documents, and no partitions; cast it in the query"
            ) from None
        for kind, some in fresh.items():
            # Of one type, so that what a value means doesn't depend on those beside it.
            series = _series(self._cut.column, [*some])
            keys = raw_keys(series, self._dtype, self._cut)
            self._known[kind].update(
                zip(some, (UNPLACED if key is None else str(key) for key in keys), strict=True)
            )
        return (self._known[type(value)][value] for value in values)


def _ends(values: Sequence[Any]) -> list[Any]:
    """The least and the greatest of some values of one type; None when they can't be ordered."""
    if len({type(value) for value in values}) > 1 or values[0] is None:
        return [None]
    return [min(values), max(values)]


def _series(name: str, values: Sequence[Any]) -> pl.Series:
    """A column of the values that a driver gives."""
    series = pl.Series(name, values, strict=False)
    if series.dtype == pl.Object:
        # Such as UUIDs, which have a text.
        return pl.Series(name, [None if value is None else str(value) for value in values])
    return series
