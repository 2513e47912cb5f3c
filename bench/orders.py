"""Writes a table of orders: `PATH ROWS dense|sparse|text [bad]`, always the same for the same words."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl


def write(path: Path, *, ids: str, bad: bool, rows: int) -> None:
    """A table of orders; `ids` are dense integers in any order, sparse ones, or texts."""
    chance = np.random.default_rng(7)
    numbers = chance.permutation(rows)
    day = np.datetime64("2024-01-01") + chance.integers(0, 700, rows).astype("timedelta64[D]")
    shipped = pl.Series(day + chance.integers(0, 20, rows).astype("timedelta64[D]"))
    frame = pl.DataFrame(
        {
            "id": numbers,
            "customer": chance.integers(0, 1_000_000, rows),
            "amount": chance.gamma(2.0, 30.0, rows).round(2),
            "quantity": chance.integers(1, 100, rows).astype(np.int32),
            "status": np.array(["open", "paid", "sent", "done"])[chance.integers(0, 4, rows)],
            "country": np.array(["DE", "FR", "US", "GB"])[chance.integers(0, 4, rows)],
            "day": day,
            "shipped": shipped.set(pl.Series(chance.random(rows) < 0.1), None),
        }
    )
    if ids != "dense":
        sparse = pl.col("id") * 922_337_203_613
        frame = frame.with_columns(sparse if ids == "sparse" else "order-" + sparse.cast(pl.String))
    if bad:
        frame = _spoiled(frame, chance.random(rows))
    frame.write_parquet(path, compression="zstd", row_group_size=250_000)


def _spoiled(frame: pl.DataFrame, where: np.ndarray) -> pl.DataFrame:
    """One row in a hundred breaks one of five rules."""
    wrong = [
        pl.lit(-1.0).alias("amount"),
        pl.lit(0, dtype=pl.Int32).alias("quantity"),
        pl.lit("lost").alias("status"),
        pl.lit("x1").alias("country"),
        pl.col("day").dt.offset_by("-5d").alias("shipped"),
    ]
    chance = pl.Series(where)
    return frame.with_columns(
        pl.when(chance.is_between(i * 0.002, (i + 1) * 0.002, closed="left"))
        .then(value)
        .otherwise(pl.col(value.meta.output_name()))
        .alias(value.meta.output_name())
        for i, value in enumerate(wrong)
    )


if __name__ == "__main__":
    write(Path(sys.argv[1]), rows=int(sys.argv[2]), ids=sys.argv[3], bad=sys.argv[4:] == ["bad"])
