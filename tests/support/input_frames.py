"""Frames as a stage is handed them: sources that note, frames in memory, files, parts of both.

kinds: "memory" and "files" are what a run hands; "parts" cuts each input in two, one of each;
"source" is an IO source that serves rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

from tests.support.query.drawn import RAISED
from tidemill.analysis.query.scan_leaves import recording_frame, tag_frame

Tables = Mapping[str, pl.DataFrame]
Frames = Mapping[str, pl.LazyFrame]
Query = Callable[[Frames], pl.LazyFrame]
Schemas = Mapping[str, Mapping[str, pl.DataType]]

RUN = ("memory", "files", "parts")


def probing(schemas: Schemas) -> dict[str, pl.LazyFrame]:
    """Sources that raise when rows are asked for."""
    return {name: recording_frame(name, schema, []) for name, schema in schemas.items()}


def handed(tables: Tables, kind: str, folder: Path) -> dict[str, pl.LazyFrame]:
    return {name: _HANDS[kind](name, table, folder) for name, table in tables.items()}


def _memory(name: str, table: pl.DataFrame, _: Path) -> pl.LazyFrame:
    return tag_frame(name, table)


def _files(name: str, table: pl.DataFrame, folder: Path) -> pl.LazyFrame:
    # One column more than the contract has, and the columns in another order: both are selected away.
    path = folder / f"{name}.parquet"
    table.select(pl.lit(0).alias("more"), *reversed(table.columns)).write_parquet(path)
    return pl.scan_parquet([path]).select(table.columns)


def _parts(name: str, table: pl.DataFrame, folder: Path) -> pl.LazyFrame:
    half = table.height // 2
    first = _memory(f"first of {name}", table.head(half), folder)
    return pl.concat([first, _files(name, table.slice(half), folder)])


def _source(_name: str, table: pl.DataFrame, _folder: Path) -> pl.LazyFrame:
    def source(
        columns: list[str] | None, where: pl.Expr | None, rows: int | None, _: Any
    ) -> Iterator[pl.DataFrame]:
        frame = table if where is None else table.filter(where)
        frame = frame if rows is None else frame.head(rows)
        if columns is not None:
            frame = frame.select(columns) if columns else pl.DataFrame(height=frame.height)
        yield frame

    return register_io_source(source, schema=table.schema)


_HANDS: dict[str, Callable[[str, pl.DataFrame, Path], pl.LazyFrame]] = {
    "memory": _memory,
    "files": _files,
    "parts": _parts,
    "source": _source,
}


def values(query: Query, frames: Frames, **options: Any) -> list[str] | str:
    """The rows that a query gives, as text (so that NaN is NaN and -0.0 isn't 0.0); or what it raised."""
    try:
        result = query(frames).collect(**options)
    except RAISED as error:
        return type(error).__name__
    return [repr((result.columns, result.dtypes)), *map(repr, result.rows())]


def agree(left: Callable[[], object], right: Callable[[], object], *, tries: int) -> bool:
    """Whether two computations give equal values: at once, or among the values of many `tries`.

    Rows that have no order of their own come in another one each time: what can be equal then is equal.
    """
    if left() == right():
        return True
    ones = {repr(left()) for _ in range(tries)}
    return any(repr(right()) in ones for _ in range(tries))


def settled(compute: Callable[[], object], times: int = 3) -> bool:
    """Whether a computation gives the same values each of a few times."""
    first = compute()
    return all(compute() == first for _ in range(times - 1))


def poisoned(table: pl.DataFrame, keep: tuple[str, ...], other: pl.DataFrame) -> pl.DataFrame:
    """`table` with the columns of `other` in place of those that aren't in `keep`."""
    return table.with_columns(other[name] for name in table.columns if name not in keep)
