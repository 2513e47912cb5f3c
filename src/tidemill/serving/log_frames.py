"""The rows of logged requests as a Polars frame, without personal data that may not be kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import chain, groupby
from typing import Any

import polars as pl

from tidemill.contracts.checks.schema import polars_type
from tidemill.contracts.column import Column
from tidemill.core.partition import Grain
from tidemill.serving.answers import as_list
from tidemill.serving.logged_requests import LoggedRequest, LoggedVersion
from tidemill.serving.predictions import OUTPUT_TYPES
from tidemill.serving.rows import RequestRows
from tidemill.workflow import prediction_log as names
from tidemill.workflow.prediction_log import RequestLog, is_logged

# Types whose values differ between versions of a contract are kept as text.
_AS_TEXT = ("Enum", "Categorical")
_FORMATS = {Grain.HOUR: "%Y-%m-%dT%H", Grain.DAY: "%Y-%m-%d"}


class LogFrames:
    """Turns logged requests into frames; `prefix` makes their ids unique, `key` hashes personal data."""

    def __init__(self, setting: RequestLog, prefix: str, key: bytes = b"") -> None:
        self._setting = setting
        self._prefix = prefix
        self._key = key
        self._number = 0

    def frames(self, requests: Sequence[LoggedRequest]) -> list[pl.DataFrame]:
        """Return the rows of requests, a frame for each version."""
        by_version: dict[LoggedVersion, list[LoggedRequest]] = {}
        for item in requests:
            by_version.setdefault(item.version, []).append(item)
        return [self._frame(version, found) for version, found in by_version.items()]

    def partitions(self, frame: pl.DataFrame) -> Iterable[tuple[str, pl.DataFrame]]:
        """Return the rows of each hour or day, with its key."""
        time = pl.col(names.TIME)
        if self._setting.grain is Grain.HOUR:
            # As the hours of a column with a time zone.
            time = time.dt.convert_time_zone("UTC")
        keys = frame.select(time.dt.strftime(_FORMATS[self._setting.grain]).alias("key"))["key"]
        for key in keys.unique().sort():
            yield key, frame.filter(keys == key)

    def _frame(self, version: LoggedVersion, requests: list[LoggedRequest]) -> pl.DataFrame:
        inputs = self._inputs(version, requests)
        return pl.DataFrame(
            [*self._facts(version, requests), *inputs, *_outputs(version, requests)]
        )

    def _facts(self, version: LoggedVersion, requests: Sequence[LoggedRequest]) -> list[pl.Series]:
        first, self._number = self._number, self._number + len(requests)
        counts = [item.answer.count for item in requests]
        ids = [f"{self._prefix}-{first + at:08}" for at in range(len(requests))]
        times = [round(item.at * 1e6) for item in requests]
        served = version.served
        repeated: dict[str, Iterable[Any]] = {
            names.ID: _each(ids, counts),
            names.ROW: chain.from_iterable(map(_row_numbers, requests)),
            names.TIME: _each(times, counts),
            names.REQUEST: _each([item.id.decode("latin-1") for item in requests], counts),
        }
        height = sum(counts)
        found = [pl.Series(name, list(values)) for name, values in repeated.items()]
        found[2] = found[2].cast(pl.Datetime("us", "UTC")).dt.convert_time_zone(self._setting.zone)
        for name, value in (
            (names.ENDPOINT, served.model),
            (names.VERSION, served.version),
            (names.CONTRACT, served.contract),
        ):
            found.append(pl.Series(name, [value]).new_from_index(0, height))
        return [*found, pl.Series(names.ARM, list(_each([r.arm for r in requests], counts)))]

    def _inputs(self, version: LoggedVersion, requests: Iterable[LoggedRequest]) -> list[pl.Series]:
        widest = version.carrying or version.schema
        columns = [column for column in widest.columns if is_logged(column, self._setting)]
        frame = pl.concat(
            [_typed(version, rows) for rows in _joined(item.request.rows for item in requests)],
            how="diagonal",
        )
        return [self._kept(column, frame) for column in columns]

    def _kept(self, column: Column, frame: pl.DataFrame) -> pl.Series:
        if column.name not in frame.columns:
            # No request carries it.
            missing = pl.Series(column.name, [None], dtype=polars_type(column.dtype))
            values = missing.new_from_index(0, frame.height)
        else:
            values = frame[column.name]
        if column.pii:
            return pl.Series(column.name, self._hashed(values.to_list()), dtype=pl.String)
        return values.cast(pl.String) if column.dtype.name in _AS_TEXT else values

    def _hashed(self, values: Iterable[Any]) -> list[str | None]:
        known: dict[str, str] = {}
        found: list[str | None] = []
        for value in values:
            if value is None:
                found.append(None)
                continue
            text = str(value)
            if text not in known:
                known[text] = personal_hash(text, self._key)
            found.append(known[text])
        return found


def personal_hash(text: str, key: bytes) -> str:
    """Return the keyed hash (BLAKE2b, 128 bits) that stands for personal data in a log."""
    return blake2b(text.encode(), key=key, digest_size=16).hexdigest()


def _each(values: Sequence[Any], counts: Sequence[int]) -> Iterable[Any]:
    return chain.from_iterable([value] * count for value, count in zip(values, counts, strict=True))


def _row_numbers(item: LoggedRequest) -> Iterable[int]:
    rejected = item.request.rejected
    return range(item.answer.count) if rejected is None else rejected.kept


def _joined(all_rows: Iterable[RequestRows]) -> Iterable[RequestRows]:
    """Join requests of one row, which would each cost a frame."""
    for width, found in groupby(all_rows, key=_joined_width):
        if not width:
            yield from found
            continue
        columns = zip(*([column[0] for column in rows.columns] for rows in found), strict=True)
        joined = tuple(map(list, columns))
        yield RequestRows(len(joined[0]), joined)


def _joined_width(rows: RequestRows) -> int:
    """The number of columns of a single row of Python values; 0 for other requests."""
    if rows.count != 1 or any(hasattr(column, "dtype") for column in rows.columns):
        return 0
    return len(rows.columns)


def _typed(version: LoggedVersion, rows: RequestRows) -> pl.DataFrame:
    schema = version.schema
    if version.carrying is not None and len(rows.columns) > len(schema.columns):
        schema = version.carrying
    return schema.frame(rows)


def _outputs(version: LoggedVersion, requests: Sequence[LoggedRequest]) -> Iterable[pl.Series]:
    for at, output in enumerate(version.outputs):
        values = chain.from_iterable(as_list(item.answer.columns[at]) for item in requests)
        found = pl.Series(output.name, list(values), dtype=OUTPUT_TYPES[output.datatype])
        yield found.fill_nan(None) if output.datatype == "FP64" else found
