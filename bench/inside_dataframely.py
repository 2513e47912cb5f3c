"""The rules of `inside_contracts` in dataframely; prints CPU seconds, the floor's, and peak memory."""

from __future__ import annotations

import resource
import sys
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import dataframely as dy  # type: ignore[import-not-found]
import polars as pl

TIMES = 5


def schema(key: bool) -> Any:
    """The nine rules, and a primary key if it is wanted."""

    class Orders(dy.Schema):
        id = dy.Int64(min=0, primary_key=key)
        customer = dy.Int64(min=0, nullable=False)
        amount = dy.Float64(min=0, nullable=False)
        quantity = dy.Int32(min=1, max=99, nullable=False)
        status = dy.Enum(["open", "paid", "sent", "done"], nullable=False)
        country = dy.String(regex="^[A-Z]{2}$", nullable=False)
        day = dy.Date(min=date(2020, 1, 1), nullable=False)
        shipped = dy.Date(nullable=True)

        @dy.rule()
        def later(cls) -> pl.Expr:
            return pl.col("shipped") >= pl.col("day")

    return Orders


def least(work: Callable[[], object]) -> float:
    """The least CPU seconds of some turns."""
    took = []
    for _ in range(TIMES):
        used = resource.getrusage(resource.RUSAGE_SELF)
        before = used.ru_utime + used.ru_stime
        work()
        used = resource.getrusage(resource.RUSAGE_SELF)
        took.append(used.ru_utime + used.ru_stime - before)
    return min(took)


def main() -> None:
    """`JOB PATH`."""
    job, path = sys.argv[1], Path(sys.argv[2])
    pl.Config.set_engine_affinity("streaming")
    orders = schema("key" in job)

    def frame() -> pl.LazyFrame:
        return pl.scan_parquet(path, glob=False)

    def check() -> None:
        orders.is_valid(frame(), cast=True)

    def quarantine() -> None:
        good, bad = orders.filter(frame().collect(), cast=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            good.write_parquet(Path(folder) / "good.parquet")
            bad.write_parquet(Path(folder) / "bad.parquet")

    floor = least(lambda: frame().select(pl.all().max()).collect())
    took = least(quarantine if "quarantine" in job else check)
    print(took, floor, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


if __name__ == "__main__":
    main()
