"""Run Python functions in queries, and open files, with and without a watch; print CPU seconds as JSON."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl

from tidemill.steps.io.audit_watch import AuditWatch

TURNS, QUERIES, OPENED = 7, 100, 2_000


def seconds(act: Callable[[], None], *, watched: bool) -> float:
    started = time.process_time()
    with AuditWatch("here.py:1", active=watched):
        act()
    return time.process_time() - started


def compared(act: Callable[[], None]) -> dict[str, float]:
    """Median CPU seconds without and with a watch, in turns."""
    act()
    turns = [(seconds(act, watched=False), seconds(act, watched=True)) for _ in range(TURNS)]
    plain, watched = map(statistics.median, zip(*turns, strict=True))
    return {"plain": plain, "watched": watched}


def query() -> None:
    """Collect small queries with a Python function, as the steps of an opaque stage do."""
    frame = pl.LazyFrame({"x": range(10_000)})
    for _ in range(QUERIES):
        frame.select(pl.col("x").map_batches(lambda values: values * 2)).collect()


def opened(path: Path) -> Callable[[], None]:
    def act() -> None:
        for _ in range(OPENED):
            path.open("rb").close()

    return act


def main() -> None:
    own = Path("rates.csv")
    own.touch()
    print(
        json.dumps(
            {
                "query": compared(query),
                "own": compared(opened(own)),
                "installed": compared(opened(Path(pl.__file__))),
                "opened": OPENED,
                "queries": QUERIES,
            }
        )
    )


if __name__ == "__main__":
    main()
