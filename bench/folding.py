"""The work of `bench.fold` in a process of its own; a line of JSON tells what it took."""

from __future__ import annotations

import json
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import tidemill as tm
from tidemill.ledger.run import Receipt

FIRST = date(2021, 1, 1)
# So many pairs of places, of which each has some rows on each day.
ROUTES = 200


class Flights(tm.Contract, key=("day", "flight")):
    day = tm.Date(partition="1d")
    flight = tm.Int64()
    origin = tm.Int64()
    delay = tm.Float64()


class Routes(tm.Contract, key=("origin",)):
    origin = Flights.origin
    flights = tm.UInt32()
    total, worst, mean = tm.Float64(), tm.Float64(), tm.Float64()


class Spread(tm.Contract, key=("origin",)):
    origin = Flights.origin
    flights = tm.UInt32()
    late = tm.Float64()


flow = tm.Workflow("fold")


@flow.ingest
def flights() -> tm.Source[Flights]:
    return tm.files("data/*.parquet")


@flow.transform(
    fold={
        "flights": tm.fold(
            "origin",
            flights=tm.fold.count(),
            total=tm.fold.sum("delay"),
            worst=tm.fold.max("delay"),
            mean=tm.fold.mean("delay"),
        )
    }
)
def folded(flights: tm.Frame[Flights]) -> tm.Frame[Routes]:
    return flights


@flow.transform
def grouped(flights: tm.Frame[Flights]) -> tm.Frame[Routes]:
    delay = pl.col("delay")
    made = {"total": delay.sum(), "worst": delay.max(), "mean": delay.mean()}
    return flights.group_by("origin").agg(flights=pl.len(), **made)


@flow.transform(
    fold={
        "flights": tm.fold(
            "origin",
            flights=tm.fold.approx_n_unique("flight"),
            late=tm.fold.approx_quantile("delay", 0.9),
        )
    }
)
def sketched(flights: tm.Frame[Flights]) -> tm.Frame[Spread]:
    return flights


@flow.transform
def exact(flights: tm.Frame[Flights]) -> tm.Frame[Spread]:
    late = pl.col("delay").quantile(0.9, interpolation="lower")
    return flights.group_by("origin").agg(flights=pl.col("flight").n_unique(), late=late)


def write(day: int, rows: int, seed: int) -> None:
    """One day's file."""
    chance = np.random.default_rng(seed)
    pl.DataFrame(
        {
            "day": pl.repeat(FIRST + timedelta(days=day), rows, eager=True),
            "flight": np.arange(rows),
            "origin": chance.integers(0, ROUTES, rows),
            "delay": chance.lognormal(3.0, 1.0, rows),
        }
    ).write_parquet(f"data/{day:05}.parquet")


def ran() -> Receipt:
    """One run, as the next command would do it."""
    with tm.open(".", workflow=flow) as project:
        receipt = project.run()
    assert receipt.exit_code == 0, receipt.messages
    return receipt


def told(receipt: Receipt) -> dict[str, Any]:
    """CPU seconds by stage, and of the run; the rows that folds read."""
    assert receipt.fold is not None
    stages = {tally.stage: tally.cpu_s for tally in receipt.stages}
    folds = {tally.stage: tally.fold for tally in receipt.stages}
    used = folds["folded"]
    assert used is not None
    return {"stages": stages, "run": receipt.cpu_s, "rows": used.rows, "computed": used.computed}


def main(days: int, rows: int, times: int) -> dict[str, Any]:
    """Build it, then change one day after the other."""
    Path("data").mkdir()
    for day in range(days):
        write(day, rows, day)
    first = told(ran())
    later = []
    for number in range(times):
        write(days // 2 + number, rows, days + number)
        later.append(told(ran()))
    size = sum(path.stat().st_size for path in Path(".tidemill/memo").rglob("*.parquet"))
    return {"first": first, "later": later, "bytes": size, "apart": _apart()}


def _apart() -> float:
    """The largest relative difference between a fold and all rows at once."""
    with tm.open(".", workflow=flow) as project:
        one, other = (project.read(name).sort("origin").collect() for name in ("folded", "grouped"))
    assert one.drop("total", "mean").equals(other.drop("total", "mean"))
    apart = ((one[name] - other[name]).abs() / other[name].abs() for name in ("total", "mean"))
    return max(float(part.max()) for part in apart)  # type: ignore[arg-type]


if __name__ == "__main__":
    print(json.dumps(main(*map(int, sys.argv[1:]))))
