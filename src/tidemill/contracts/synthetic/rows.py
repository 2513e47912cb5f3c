"""Generate rows that a contract allows, and a share of rows that break it, for tests.

Columns are drawn one by one; then the contract itself checks all rows, and rejected rows are redrawn. So
every returned row passes, whatever the rules are. An error names a rule that hardly any or no row passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import polars as pl

from tidemill.contracts.checks.checker import REASONS, CheckedPartition, checker_of
from tidemill.contracts.checks.schema import polars_type
from tidemill.contracts.column import Column
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.synthetic.random_source import RandomSource
from tidemill.contracts.synthetic.values import draw_values
from tidemill.contracts.table_rules import ReferenceRule, UniqueRule
from tidemill.core.counts import plural
from tidemill.core.errors import ContractError, UsageError
from tidemill.core.identity import ByIdentity
from tidemill.core.partition import Grain, partition_end, partition_start

# The number of partitions to spread rows over by default.
_PARTITIONS = 3
# The most rounds of redrawing, and the most rows that a round draws per wanted row.
_ROUNDS = 40
_TIMES = 20
_LEAST = 50
_POOL = 500
_NUMBER = "\0number"

# Turns a good row into one that breaks a rule; None if it can't.
_Spoiler: TypeAlias = "Callable[[pl.DataFrame], pl.DataFrame | None]"


def strict_contract(spec: ContractSpec) -> ContractSpec:
    """Return the contract with every rule set to quarantine, and without rules about a partition."""
    # The same object each time, for which a checker is compiled once.
    return _cached_strict(ByIdentity(spec))


@lru_cache(maxsize=256)
def _cached_strict(key: ByIdentity[ContractSpec]) -> ContractSpec:
    (spec,) = key.values
    return replace(
        spec,
        columns=tuple(replace(column, on_fail="quarantine") for column in spec.columns),
        rules=tuple(replace(rule, on_fail="quarantine") for rule in spec.rules),
        rows=None,
        budget=None,
        unknown_columns="fail",
    )


def sample_rows(
    spec: ContractSpec,
    rows: int,
    chance: RandomSource,
    *,
    bad: float = 0.0,
    partition: str | None = None,
    given: Mapping[str, pl.DataFrame] | None = None,
) -> pl.DataFrame:
    """Generate `rows` rows in the contract's types and order, of which the share `bad` breaks a rule each.

    All rows belong to `partition` if given. `given` has the tables that references refer to, by the names
    of their contracts. UsageError for an invalid number, ContractError if too few rows pass a rule.
    """
    if rows < 0 or not 0 <= bad <= 1:
        raise UsageError(f"sample(rows={rows}, bad={bad}): rows must be >= 0, bad between 0 and 1")
    maker = _RowGenerator(spec, chance, partition, dict(given or {}))
    wrong = round(rows * bad)
    # Bad rows are made from good ones.
    good = maker.draw_good(rows)
    if not wrong:
        return good
    spoiled = maker.spoil(good.tail(wrong), good.head(rows - wrong))
    return pl.concat([good.head(rows - wrong), spoiled])


def numbering_contract(spec: ContractSpec) -> ContractSpec:
    """Return the strict contract that keeps unknown columns, such as the numbers of rows."""
    return _cached_numbering(ByIdentity(spec))


@lru_cache(maxsize=256)
def _cached_numbering(key: ByIdentity[ContractSpec]) -> ContractSpec:
    (spec,) = key.values
    return replace(strict_contract(spec), unknown_columns="keep")


class _RowGenerator:
    """Generates rows for one contract."""

    def __init__(
        self,
        spec: ContractSpec,
        chance: RandomSource,
        partition: str | None,
        given: dict[str, pl.DataFrame],
    ) -> None:
        self._spec = spec
        self._chance = chance
        self._partition = partition
        self._given = given
        self._strict = strict_contract(spec)
        self._checker = checker_of(self._strict)
        self._places = self._draw_places()

    def draw_good(self, rows: int) -> pl.DataFrame:
        """Generate rows that pass every rule, in the order of the key."""
        found = self._judged(self._draw(rows, rows))
        for _ in range(_ROUNDS):
            lacking = rows - found.good.height
            if lacking <= 0:
                break
            share = found.good.height / max(1, found.good.height + self._lost(found))
            wanted = min(int(lacking / max(share, 1 / _TIMES) * 1.2) + _LEAST, rows * _TIMES)
            more = self._draw(wanted, rows)
            found = self._judged(pl.concat([found.good, more]))
        if found.good.height < rows:
            raise self._too_few(found, rows)
        return found.good.head(rows)

    def _lost(self, found: CheckedPartition) -> int:
        return 0 if found.bad is None else found.bad.height

    def _too_few(self, found: CheckedPartition, rows: int) -> ContractError:
        worst = max(found.findings, key=lambda item: item.rows, default=None)
        rule = worst.rule if worst else "unique"
        return ContractError(
            f"{self._spec.place}: only {found.good.height} of {plural(rows, 'row')} of {self._spec.name} "
            f"could be generated: hardly any random row passes rule {rule}; ask for fewer rows, relax the "
            "rule's columns, or write the rows yourself"
        )

    def _judged(self, frame: pl.DataFrame) -> CheckedPartition:
        judged = self._checker.check(frame, partition=self._partition)
        good = judged.good
        for rule in self._spec.table_rules:
            if isinstance(rule, UniqueRule):
                nulls = pl.any_horizontal(pl.col(rule.columns).is_null())
                first = pl.struct(rule.columns).is_first_distinct()
                good = good.filter(nulls | first)
        return replace(judged, good=good)

    def _draw(self, rows: int, wanted: int) -> pl.DataFrame:
        once = {*self._spec.key} if len(self._spec.key) == 1 else set()
        for rule in self._spec.table_rules:
            if isinstance(rule, UniqueRule) and len(rule.columns) == 1:
                once.update(rule.columns)
        columns = []
        for column in self._spec.columns:
            spread = 4 * wanted if column.unique or column.name in once else 0
            if column.name in self._places:
                places = self._places[column.name]
                columns.append(places[self._chance.integers(len(places), size=rows)])
            else:
                columns.append(draw_values(column, rows, self._chance, spread=spread))
        return self._draw_references(pl.DataFrame(columns))

    def _draw_places(self) -> dict[str, pl.Series]:
        """Draw values for the partition column: of one partition, or of a few."""
        partitioning = self._spec.partitioning
        if partitioning.is_whole:
            if self._partition is not None:
                raise UsageError(f"{self._spec.name} has no partitions, so none can be sampled")
            return {}
        column = self._spec.column(partitioning.column)
        if self._partition is None:
            return {partitioning.column: draw_values(column, _PARTITIONS, self._chance)}
        if partitioning.grain is None:
            value = pl.Series(column.name, [self._partition])
            return {partitioning.column: value.cast(polars_type(column.dtype))}
        return {partitioning.column: self._within(column, self._partition, partitioning.grain)}

    def _within(self, column: Column, partition: str, grain: Grain) -> pl.Series:
        start, end = partition_start(partition, grain), partition_end(partition, grain)
        dtype = polars_type(column.dtype)
        if isinstance(dtype, pl.Date):
            days = pl.date_range(start.date(), end.date(), closed="left", eager=True)
            return days.alias(column.name)
        zone = dtype.time_zone if isinstance(dtype, pl.Datetime) else None
        moments = pl.datetime_range(start, end, "15m", closed="left", eager=True)
        if zone:
            # Hours are in UTC, longer partitions follow the zone's wall clock.
            at = "UTC" if grain is Grain.HOUR else zone
            moments = moments.dt.replace_time_zone(at, ambiguous="earliest", non_existent="null")
            moments = moments.drop_nulls().dt.convert_time_zone(zone)
        return moments.cast(dtype).alias(column.name)

    def _draw_references(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Fill the columns of references with values from random rows of the referenced tables."""
        for rule in self._spec.table_rules:
            if not isinstance(rule, ReferenceRule):
                continue
            table = self._given.get(rule.contract)
            if table is None or not table.height:
                raise UsageError(
                    f"{self._spec.name}.{rule.name} refers to {rule.contract}: pass rows of it, "
                    f"such as sample(..., given={{{rule.contract}: {rule.contract}.sample(100)}})"
                )
            rows = self._chance.integers(table.height, size=frame.height)
            for name, to in zip(rule.columns, rule.to, strict=True):
                dtype = polars_type(self._spec.column(name).dtype)
                frame = frame.with_columns(table[to][rows].cast(dtype).alias(name))
        return frame

    def spoil(self, frame: pl.DataFrame, good: pl.DataFrame) -> pl.DataFrame:
        """Change each row of `frame` so that it breaks a rule when it follows the rows of `good`."""
        ways = [*self._ways(good)]
        turns, found = dict.fromkeys(range(frame.height), 0), dict[int, pl.DataFrame]()
        while len(found) < frame.height:
            lacking = [n for n in turns if n not in found]
            if not ways or max(turns[n] for n in lacking) == len(ways):
                raise ContractError(
                    f"{self._spec.place}: no value of the declared types breaks a rule of "
                    f"{self._spec.name}, so no row can be bad: sample with bad=0"
                )
            changed = {n: ways[(n + turns[n]) % len(ways)](frame[n]) for n in lacking}
            rows = found | {n: row for n, row in changed.items() if row is not None}
            # Check all at once: one by one takes a thousand times as long. A row that was bad only next
            # to a row that isn't kept is checked again.
            bad = self._bad([good, *rows.values()])
            found = {n: row for i, (n, row) in enumerate(rows.items()) if good.height + i in bad}
            turns.update({n: turns[n] + 1 for n in lacking})
        return pl.concat(found.values())

    def _bad(self, parts: list[pl.DataFrame]) -> set[int]:
        """Return the numbers of the rows that break a rule."""
        numbered = pl.concat(parts).with_row_index(_NUMBER)
        keeping = checker_of(numbering_contract(self._spec))
        judged = keeping.check(numbered, partition=self._partition)
        return set() if judged.bad is None else set(judged.bad[_NUMBER])

    def _ways(self, good: pl.DataFrame) -> Iterator[_Spoiler]:
        """Yield the ways to spoil a row: a wrong value, a repeated key, each rule over columns."""
        for column in self._spec.columns:
            for value in _wrong_values(column):
                yield _set_column(column.name, value, polars_type(column.dtype))
        if self._spec.key and good.height:
            key = good.tail(1).select(self._spec.key)
            yield lambda row: row.with_columns(key)
        for rule in self._spec.rules:
            yield self._break_rule(rule.name)

    def _break_rule(self, rule: str) -> _Spoiler:
        """Return a way that replaces a row by a random one that breaks only this rule, if one is found."""
        pool: list[pl.DataFrame] = []

        def way(row: pl.DataFrame) -> pl.DataFrame | None:
            if not pool:
                judged = self._checker.check(self._draw(_POOL, _POOL), partition=self._partition)
                broken = judged.bad
                if broken is not None:
                    alone = pl.col(REASONS).list.len().eq(1) & (
                        pl.col(REASONS).list.first() == rule
                    )
                    pool.extend(broken.filter(alone).drop(REASONS).iter_slices(1))
            return pool.pop() if pool else None

        return way


def _set_column(name: str, value: object, dtype: pl.DataType) -> _Spoiler:
    """Return a way that sets a column to a value, if its type can hold it."""
    series = pl.Series(name, [value], dtype=dtype, strict=False)
    fits = value is None or series.null_count() == 0
    return lambda row: row.with_columns(series) if fits else None


def _wrong_values(column: Column) -> Iterator[object]:
    """Yield values of the column's type that may break one of its rules."""
    if not column.nullable:
        yield None
        if column.dtype.name.startswith("Float"):
            yield float("nan")
    step: Any = 1 if column.dtype.is_number else np.timedelta64(1, "D").item()
    for name, sign in (("min", -1), ("max", 1), ("min_exclusive", 0), ("max_exclusive", 0)):
        bound: Any = getattr(column, name)
        if bound is not None:
            yield bound + sign * step
    if column.dtype.name in _OF_TYPES:
        yield from _OF_TYPES[column.dtype.name](column)


_OF_TYPES: Mapping[str, Callable[[Column], Sequence[object]]] = {
    "String": lambda column: ("", "?", "\0" * ((column.max_length or 0) + 1)),
    "Binary": lambda column: (b"", b"\0" * ((column.max_length or 0) + 1)),
    "List": lambda column: ([], [None] * ((column.max_length or 0) + 1)),
    "Enum": lambda column: column.dtype.args,
    "Date": lambda _: (date(1900, 1, 1),),
    "Datetime": lambda column: (
        datetime(1900, 1, 1, tzinfo=UTC if column.dtype.args[1] else None),
    ),
    **dict.fromkeys(("Int8", "Int16", "Int32", "Int64", "Decimal"), lambda _: (-1, 0, 1)),
}
