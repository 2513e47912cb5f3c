"""Read a database query: find out which partitions changed, and read only these.

A query result has no stable order or files to hash, so a partition is identified by the multiset of its
rows: of all their columns, or of key and cursor if there is a cursor. This also detects rows that arrive
late, move to another partition, or are deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl
import xxhash

from tidemill.contracts.checks.partition_column import raw_partition_keys
from tidemill.contracts.checks.schema import polars_type
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import SourceError, did_you_mean
from tidemill.core.fingerprint import fingerprint
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import UNPLACED, WHOLE
from tidemill.ports.sources import ColumnRange, Database
from tidemill.workflow.source import Query, SourceFile

Row = tuple[Any, ...]

# Partitions with up to this many rows in total are read by one query.
_TOGETHER_ROWS = 200_000
_HASHES = 1 << 128


@dataclass(slots=True)
class _RowsDigest:
    """A digest of a multiset of rows: their number, and the sum of their hashes."""

    rows: int = 0
    total: int = 0

    def add(self, row: Row) -> None:
        # The repr of a value is the same everywhere, and distinguishes 1 from 1.0 and 0.0 from -0.0.
        self.rows += 1
        self.total += xxhash.xxh3_128_intdigest(repr(row).encode("utf-8", "surrogatepass"))

    def digest(self, place: str) -> str:
        return fingerprint("rows", place, self.rows, f"{self.total % _HASHES:x}")


class QueryTable:
    """The result of a query in one run; partitions in `coming` are read ahead, several at a time.

    `name` says what is read, beside the place of the database.
    """

    def __init__(
        self,
        source: Query[Any],
        contract: ContractSpec,
        database: Database,
        upcoming: Sequence[SourceFile] = (),
        reading: str = "",
        name: str = "",
    ) -> None:
        self._source = source
        self._name = name
        self._contract = contract
        self._database = database
        self._reading = reading
        self._keys = _PartitionLookup(contract)
        self._coming = {key: file for file in upcoming for key in file.rows}
        self._columns: list[str] = []
        self._bounds: dict[str, list[Any]] = {}
        # The rows of partitions that were read together with another one.
        self._ahead: dict[str, pl.DataFrame | SourceError] = {}
        self._last: tuple[str, pl.DataFrame] | None = None

    def list_files(self) -> dict[str, SourceFile]:
        """Take a snapshot of the database, and list all partitions with a digest of their rows."""
        self._database.begin()
        columns, cut = self._check_columns(), self._contract.partitioning
        watched = self._version_columns(columns)
        asked = [*([] if cut.is_whole else [cut.column]), *watched]
        tallies: dict[str, _RowsDigest] = {}
        for chunk in self._database.rows(self._source.query, asked):
            if cut.is_whole:
                rows: Iterable[Row] = chunk
            else:
                rows = (row[1:] for row in chunk)
            keys = self._keys.of(chunk, 0)
            for key, row in zip(keys, rows, strict=True):
                self._refuse_null(row)
                tallies.setdefault(key, _RowsDigest()).add(row)
        if not tallies:
            raise SourceError(f"the query returns no rows in {self._place}; nothing was removed")
        return {self._path(key): self._file(key, tallies[key]) for key in sorted(tallies)}

    def read(self, partition: str, files: Mapping[str, SourceFile]) -> pl.DataFrame:
        if self._last and self._last[0] == partition:
            return self._last[1]
        if partition not in self._ahead:
            (planned,) = files.values()
            self._fetch({partition: planned, **self._read_ahead(partition)})
        found = self._ahead.pop(partition)
        if isinstance(found, SourceError):
            raise found
        self._last = partition, found
        return found

    def _check_columns(self) -> list[str]:
        """Return the query's columns; SourceError if the contract can't be met by them."""
        if self._columns:
            return self._columns
        columns, name = [*self._database.columns(self._source.query)], self._contract.name
        for column in self._contract.required_columns:
            if column not in columns:
                raise SourceError(
                    f"the query has no column {column!r} of contract {name} "
                    f"({did_you_mean(column, columns)})"
                )
        if twice := [column for column in columns if columns.count(column) > 1]:
            raise SourceError(f"the query has more than one column {twice[0]!r}; make names unique")
        cursor = self._source.cursor
        if cursor and cursor not in columns:
            raise SourceError(
                f"the query has no column {cursor!r}, its cursor ({did_you_mean(cursor, columns)})"
            )
        self._columns = columns
        return columns

    def _version_columns(self, columns: Sequence[str]) -> list[str]:
        """Return the columns that identify the version of a row; the cursor comes last."""
        cursor = self._source.cursor
        if not cursor:
            return sorted(columns)
        key = [column for column in self._contract.key if column in columns and column != cursor]
        return [*key, cursor]

    def _refuse_null(self, row: Row) -> None:
        if self._source.cursor and row[-1] is None:
            raise SourceError(
                f"the cursor {self._source.cursor} is null in a row, so its changes can't be detected; "
                "filter such rows out, or remove cursor="
            )

    @property
    def _place(self) -> str:
        place = self._database.place
        return f"{self._name} in {place}" if self._name else place

    def _path(self, key: str) -> str:
        return self._place if key == WHOLE else f"{self._place} {key}"

    def _file(self, key: str, tally: _RowsDigest) -> SourceFile:
        # Rows with the same keys and cursors may differ in another database.
        digest = tally.digest(self._place if self._source.cursor else "")
        return SourceFile(
            path=self._path(key),
            size=0,
            mtime_ns=0,
            digest=digest,
            rows={key: tally.rows},
            reading=self._reading,
        )

    def _read_ahead(self, partition: str) -> dict[str, SourceFile]:
        """Return the partitions to read together with this one, up to a total number of rows."""
        found: dict[str, SourceFile] = {}
        if partition not in self._coming or self._column_range([partition]) is None:
            return found
        rows = sum(self._coming[partition].rows.values())
        later = [key for key in sorted(self._bounds) if key > partition]
        for key in later:
            rows += sum(self._coming[key].rows.values()) if key in self._coming else _TOGETHER_ROWS
            if rows > _TOGETHER_ROWS or self._column_range([partition, key]) is None:
                break
            found[key] = self._coming[key]
        return found

    def _column_range(self, keys: Sequence[str]) -> ColumnRange | None:
        """Return bounds of the partition column that cover these partitions; None to read all rows."""
        cut = self._contract.partitioning
        if cut.is_whole:
            return None
        if not self._bounds:
            asked = [cut.column]
            for chunk in self._database.rows(self._source.query, asked, distinct=True):
                for key, (value,) in zip(self._keys.of(chunk, 0), chunk, strict=True):
                    self._bounds.setdefault(key, []).append(value)
            for key, values in self._bounds.items():
                self._bounds[key] = _min_max(values)
        ends = [end for key in keys for end in self._bounds.get(key, [None])]
        if len({type(end) for end in ends}) != 1 or ends[0] is None:
            return None
        return ColumnRange(column=cut.column, minimum=min(ends), maximum=max(ends))

    def _fetch(self, planned: Mapping[str, SourceFile]) -> None:
        columns, cut = self._check_columns(), self._contract.partitioning
        watched = [columns.index(name) for name in self._version_columns(columns)]
        place = columns.index(cut.column) if cut.column else 0
        parts: dict[str, tuple[list[Row], _RowsDigest]] = {
            key: ([], _RowsDigest()) for key in planned
        }
        within = self._column_range([*planned])
        for chunk in self._database.rows(self._source.query, columns, within=within):
            for key, row in zip(self._keys.of(chunk, place), chunk, strict=True):
                if key in parts:
                    rows, tally = parts[key]
                    rows.append(row)
                    tally.add(tuple([row[index] for index in watched]))
        for key, (rows, tally) in parts.items():
            same = self._file(key, tally).digest == planned[key].digest
            self._ahead[key] = self._frame(columns, rows) if same else self._changed_error(key)

    def _changed_error(self, key: str) -> SourceError:
        return SourceError(f"{self._path(key)} changed during this run; run again")

    def _frame(self, columns: Sequence[str], rows: Sequence[Row]) -> pl.DataFrame:
        given = zip(*rows, strict=True) if rows else ((),) * len(columns)
        # A cursor column that isn't in the contract is left out.
        own = self._contract.names
        return pl.DataFrame(
            [
                _series(name, values)
                for name, values in zip(columns, given, strict=True)
                if name in own or name != self._source.cursor
            ]
        )


class _PartitionLookup:
    """Assigns rows to partitions by their partition column, with a cache per value and type."""

    def __init__(self, contract: ContractSpec) -> None:
        self._cut = contract.partitioning
        self._known: dict[type, dict[Any, str]] = {}
        if self._cut.column:
            self._dtype = polars_type(contract.column(self._cut.column).dtype)

    def of(self, rows: Sequence[Row], place: int) -> Iterator[str]:
        """Return the partition of each row; its partition column is at index `place`."""
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
                f"{self._cut.column} has lists or documents, which can't be partitions; cast it in the query"
            ) from None
        for kind, some in fresh.items():
            # One type at a time, so that the meaning of a value doesn't depend on other values.
            series = _series(self._cut.column, [*some])
            keys = raw_partition_keys(series, self._dtype, self._cut)
            self._known[kind].update(
                zip(some, (UNPLACED if key is None else str(key) for key in keys), strict=True)
            )
        return (self._known[type(value)][value] for value in values)


def _min_max(values: Sequence[Any]) -> list[Any]:
    """Return the minimum and maximum of values of one type; `[None]` if they can't be ordered."""
    if len({type(value) for value in values}) > 1 or values[0] is None:
        return [None]
    return [min(values), max(values)]


def _series(name: str, values: Sequence[Any]) -> pl.Series:
    """Return a column of values that a database driver returned."""
    series = pl.Series(name, values, strict=False)
    if series.dtype == pl.Object:
        # Values such as UUIDs become text.
        return pl.Series(name, [None if value is None else str(value) for value in values])
    return series
