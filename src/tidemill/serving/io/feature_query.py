"""Compute the features of request rows by the query of their stage, on published lookups in memory."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any

import polars as pl

from tidemill.contracts.checks.partition_column import partition_keys
from tidemill.contracts.checks.schema import schema_of
from tidemill.core.errors import StorageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import WHOLE, readable_keys
from tidemill.ledger.binding import Binding
from tidemill.ports.ledger import State
from tidemill.serving.io.feature_plan import frame_schema
from tidemill.serving.served_features import ServedFeatures
from tidemill.steps.io.invocation import call_stage, collect_query
from tidemill.store.frames import FrameStore
from tidemill.workflow.partition_mapping import Partitionings, visible_partitions
from tidemill.workflow.stage import Input, Stage

# Partitions of lookups that are kept in memory for each endpoint.
_KEPT_PARTITIONS = 64
_KEPT_KEYS = 1024
# Seconds until lookups that can't be read are tried again.
_RETRY_S = 5.0
# Up to so many rows, Python finds keys and partitions sooner than Polars.
_FEW_ROWS = 256
# Python compares their values as Polars does.
_PLAIN_KEYS = (pl.String, pl.Date, pl.Boolean, pl.Enum, pl.Categorical)
# Columns beside those of the stage: the number of a row, and how many rows the query has for it.
_AT = "\0at"
_ROWS = "\0rows"

_log = logging.getLogger("tidemill.serving")


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """The features of request rows: `rows` has as many, in their order, with null for those that `missing`.

    `missing` maps the number of a row to the reason why it has no features. `lookups` maps each lookup that
    was used to when it was published, in Unix seconds; the oldest counts.
    """

    rows: pl.DataFrame
    missing: Mapping[int, str] = field(default_factory=dict)
    lookups: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Lookups:
    """The lookup frames of one partition of the features, and when each was published."""

    frames: Mapping[str, pl.LazyFrame]
    published: Mapping[str, float]


class LookupsUnreadable(StorageError):
    """What the features of a row look up can't be read, and nobody looked it up before."""


class LookupsNotLoaded(Exception):
    """The lookups of a partition aren't in memory, and may not be loaded now."""


class FeatureQuery:
    """The query of a features stage, with its published lookups; may be used by one thread at a time.

    Lookups that can't be read are those of before. `fault` says why they can't; "" if all can.
    """

    def __init__(
        self, stage: Stage, served: ServedFeatures, partitionings: Partitionings, frames: FrameStore
    ) -> None:
        assert stage.output is not None
        self._stage, self._served, self._output = stage, served, stage.output
        self._partitionings = partitionings
        self._frames = frames
        self._own = partitionings[stage.name]
        self._input = next(item for item in stage.frames if item.name == served.rows)
        self._schema = frame_schema(self._input)
        self._nulls = {name: pl.Series(name, [None], dtype) for name, dtype in self._schema.items()}
        # Polars divides rows among its threads, and has other kernels for a part of one row.
        self._repeats = 2 * pl.thread_pool_size() if served.repeat else 1
        self._lookups = [item for item in stage.frames if item.name in served.lookups]
        self._bound: Mapping[str, Mapping[str, Binding]] = {}
        self._keys: Mapping[str, Sequence[str]] = {}
        self._cache: OrderedDict[str, _Lookups] = OrderedDict()
        # What was looked up before the last publication, and when it is to be replaced after a failure.
        self._before: dict[str, _Lookups] = {}
        self._outdated: dict[str, float] = {}
        self.fault = ""
        self._known_keys: dict[Any, str] = {}
        self._lock = threading.Lock()

    def refresh(self, state: State) -> None:
        """Use what is published now; lookups that changed are read again when they are needed."""
        bound = {
            item.name: state.heads[item.name].partitions if item.name in state.heads else {}
            for item in self._lookups
        }
        with self._lock:
            self._bound = bound
            self._keys = {name: readable_keys(found) for name, found in bound.items()}
            self._before = {**self._before, **self._cache}
            self._cache.clear()
            self._outdated.clear()
            self.fault = ""

    def compute(
        self, rows: pl.DataFrame, columns: Sequence[str], *, may_load: bool = True
    ) -> Features:
        """Compute feature `columns` for rows that have the columns of the input that the query reads.

        Unless it `may_load` lookups, LookupsNotLoaded if some of them aren't in memory.
        """
        missing: dict[int, str] = {}
        published: dict[str, float] = {}
        found: list[pl.DataFrame] = []
        for partition, numbers, part in self._parts(rows):
            lookups = self._lookups_of(partition, may_load)
            if isinstance(lookups, str):
                missing |= dict.fromkeys(numbers, lookups)
                continue
            for name, at in lookups.published.items():
                published[name] = min(at, published.get(name, at))
            for wave_numbers, wave in _waves(part, numbers, self._served.key):
                features, counts = self._run(partition, wave, lookups, columns)
                if counts is None and wave.height == rows.height:
                    # All rows at once, with one row of features for each: as nearly always.
                    return Features(rows=features, lookups=published)
                if counts is None:
                    counts = pl.Series(_ROWS, [1] * wave.height, pl.UInt32)
                found.append(features.hstack([pl.Series(_AT, wave_numbers, pl.Int64), counts]))
        return Features(
            rows=self._in_order(found, rows.height, columns, missing),
            missing=missing,
            lookups=published,
        )

    def _in_order(
        self,
        found: Sequence[pl.DataFrame],
        height: int,
        columns: Sequence[str],
        missing: dict[int, str],
    ) -> pl.DataFrame:
        """The features in the order of the request, and the reasons for rows without."""
        if not found:
            known = schema_of(self._output)
            empty = pl.DataFrame(schema={name: known[name] for name in columns})
            return empty.clear(height)
        together = found[0] if len(found) == 1 else pl.concat(found)
        if together.height != height or len(found) > 1:
            order = pl.DataFrame({_AT: range(height)}, schema={_AT: pl.Int64})
            together = order.join(together, on=_AT, how="left", maintain_order="left")
        for number in (together.get_column(_ROWS).fill_null(0) != 1).arg_true():
            several = together.item(number, _ROWS)
            what = f"computes {several} rows for this row" if several else "leaves this row out"
            missing.setdefault(number, f"{self._stage.name} {what}")
        return together.select(columns)

    def _parts(self, rows: pl.DataFrame) -> Iterator[tuple[str, list[int], pl.DataFrame]]:
        """The rows of each partition of the features, with their numbers."""
        everything = list(range(rows.height))
        if self._own.is_whole:
            yield WHOLE, everything, rows
            return
        keys = self._keys_of(rows.get_column(self._own.column))
        distinct = dict.fromkeys(keys)
        if len(distinct) == 1:
            yield keys[0], everything, rows
            return
        for key in distinct:
            numbers = [at for at in everything if keys[at] == key]
            yield key, numbers, rows[numbers]

    def _keys_of(self, values: pl.Series) -> list[str]:
        """The partition of each value. Those of dates and texts are remembered, as they repeat."""
        if values.len() > _FEW_ROWS or not isinstance(values.dtype, _PLAIN_KEYS):
            return list(map(str, partition_keys(values, self._own)))
        known, plain = self._known_keys, values.to_list()
        if any(value not in known for value in plain):
            if len(known) >= _KEPT_KEYS:
                known.clear()
            known.update(zip(plain, map(str, partition_keys(values, self._own)), strict=True))
        return [known[value] for value in plain]

    def _lookups_of(self, partition: str, may_load: bool) -> _Lookups | str:
        """The lookups of a partition; a text that says which one isn't published."""
        with self._lock:
            known = self._cache.get(partition)
            if known is not None and not self._is_outdated(partition):
                self._cache.move_to_end(partition)
                return known
            if known is None and time.monotonic() < self._outdated.get(partition, 0.0):
                raise LookupsUnreadable(self.fault)
            bound: list[tuple[Input, list[Binding]]] = []
            for item in self._lookups:
                bindings = self._visible(item, partition)
                if bindings is None:
                    return f"{item.name} has no published rows for {partition or 'it'} yet"
                bound.append((item, bindings))
            if bound and not may_load:
                raise LookupsNotLoaded
            lookups = self._cache[partition] = self._loaded(partition, bound)
            while len(self._cache) > _KEPT_PARTITIONS:
                self._cache.popitem(last=False)
            while len(self._before) > _KEPT_PARTITIONS:
                del self._before[next(iter(self._before))]
            return lookups

    def _is_outdated(self, partition: str) -> bool:
        """Whether lookups of before are used, and the newest ones are to be tried again."""
        return bool(self._outdated) and self._outdated.get(partition, math.inf) < time.monotonic()

    def _loaded(self, partition: str, bound: Sequence[tuple[Input, list[Binding]]]) -> _Lookups:
        """Read what a partition looks up, or use what it looked up before if that can't be read."""
        frames: dict[str, pl.LazyFrame] = {}
        published: dict[str, float] = {}
        for item, bindings in bound:
            assert item.contract is not None
            try:
                loaded = self._frames.load(bindings, item.contract, item.columns).collect()
            except StorageError as error:
                return self._looked_up_before(partition, f"{item.name} can't be looked up: {error}")
            frames[item.name] = loaded.lazy()
            if bindings:
                published[item.name] = min(binding.at for binding in bindings)
        self._before.pop(partition, None)
        if self._outdated.pop(partition, None) is not None and not self._outdated:
            self.fault = ""
        return _Lookups(frames, published)

    def _looked_up_before(self, partition: str, fault: str) -> _Lookups:
        if fault != self.fault:
            _log.error("%s", fault)
        self.fault = fault
        self._outdated[partition] = time.monotonic() + _RETRY_S
        known = self._before.get(partition)
        if known is None:
            raise LookupsUnreadable(fault)
        return known

    def _visible(self, item: Input, partition: str) -> list[Binding] | None:
        """The bindings of a lookup that a partition of the features reads; None if it must wait."""
        keys = visible_partitions(
            item, partition, self._own, self._partitionings[item.name], self._keys[item.name]
        )
        if keys is None:
            return [] if item.optional else None
        return [self._bound[item.name][key] for key in keys]

    def _with_schema(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows with all columns of the input, in its order; null in those that they don't have."""
        missing = self._nulls.keys() - rows.columns
        nulls = [self._nulls[name].new_from_index(0, rows.height) for name in missing]
        return (rows.hstack(nulls) if nulls else rows)[list(self._nulls)]

    def _run(
        self, partition: str, rows: pl.DataFrame, lookups: _Lookups, columns: Sequence[str]
    ) -> tuple[pl.DataFrame, pl.Series | None]:
        """The features of rows with different keys, and how many rows the query has for each.

        None if it has one for each, in their order. Columns are taken by `frame[names]`, because a query that
        only selects costs a tenth of a millisecond.
        """
        key = list(self._served.key)
        given = self._with_schema(rows)
        if self._repeats > 1:
            given = _repeated(given, self._repeats)
        frames = {**lookups.frames, self._served.rows: given.lazy()}
        query = call_stage(self._stage, partition, frames)
        names = list(dict.fromkeys((*key, *columns)))
        result = collect_query(self._stage, partition, query.lazy().select(names), rows.height)
        if result.height == given.height and result[key].equals(given[key]):
            return result.head(rows.height)[list(columns)], None
        counted = result.group_by(key, maintain_order=True).agg(
            pl.col([name for name in columns if name not in key]).first(),
            (pl.len() // self._repeats).alias(_ROWS),
        )
        joined = rows[key].join(
            counted, on=key, how="left", nulls_equal=True, maintain_order="left"
        )
        return joined[list(columns)], joined.get_column(_ROWS)


def _waves(
    rows: pl.DataFrame, numbers: Sequence[int], key: Sequence[str]
) -> Iterator[tuple[Sequence[int], pl.DataFrame]]:
    """Split rows so that each part has different keys, with the numbers of its rows."""
    if rows.height == 1 or _are_distinct(rows[list(key)]):
        yield numbers, rows
        return
    turns = rows.select(pl.int_range(pl.len()).over(key)).to_series()
    for turn in turns.unique().sort():
        chosen = (turns == turn).arg_true()
        yield [numbers[at] for at in chosen], rows[chosen]


def _repeated(rows: pl.DataFrame, times: int) -> pl.DataFrame:
    """Repeat rows column by column: a frame of one row that is repeated keeps one value per column."""
    return pl.DataFrame([pl.concat([column] * times, rechunk=True) for column in rows])


def _are_distinct(keys: pl.DataFrame) -> bool:
    """Whether no two rows are equal."""
    is_plain = all(dtype.is_integer() or isinstance(dtype, _PLAIN_KEYS) for dtype in keys.dtypes)
    if is_plain and keys.height <= _FEW_ROWS:
        return len(set(keys.rows())) == keys.height
    return not keys.is_duplicated().any()
