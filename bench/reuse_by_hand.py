"""The workflow `delays` by hand, each time all of it: `reuse_by_hand.py DATA OUT [--at-once] [--no-fit]`.

The baseline of `bench.reuse`: the same columns read from the same files, the same tables written as
daily files with the same compression, the same model fitted to the same rows, and nothing else: no
contract is checked, nothing is sorted, hashed, recorded or forced to the disk. A day is one step, as
in the workflow; `--at-once` holds the whole year in memory instead.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import polars as pl

HERE = ["date", "origin", "hour"]
FLIGHT = ["date", "carrier", "flight", "origin", "hour"]
FLIGHTS = [*FLIGHT, "distance", "dep_delay", "arr_delay", "tailnum"]
WEATHER = [*HERE, "temp", "wind_speed", "precip", "visib"]
INPUTS = [
    "hour", "distance", "dep_delay", "rush", "night", "weekday", "far", "busy", "wind", "gale",
    "wet", "frost", "murk", "drag",
]  # fmt: skip
TABLES = ("flights", "weather", "joined", "features", "daily")


def unique(weather: pl.DataFrame) -> pl.DataFrame:
    """The clock change gives one hour twice."""
    return weather.unique(HERE, keep="first", maintain_order=True)


def joined(flights: pl.DataFrame, weather: pl.DataFrame) -> pl.DataFrame:
    return (
        flights.drop("tailnum")
        .join(weather, on=HERE, how="left", maintain_order="left")
        .select(*FLIGHT, *FLIGHTS[5:8], *WEATHER[3:])
    )


def features(rows: pl.DataFrame) -> pl.DataFrame:
    hour = pl.col("hour")
    return (
        rows.lazy()
        .filter(pl.col("dep_delay").is_not_null() & pl.col("arr_delay").is_not_null())
        .select(
            *FLIGHT,
            "distance",
            "dep_delay",
            delay=pl.col("arr_delay"),
            rush=hour.is_between(16, 20),
            night=(hour < 6) | (hour >= 22),
            weekday=pl.col("date").dt.weekday(),
            month=pl.col("date").dt.month(),
            far=pl.col("distance") > 1000,
            busy=pl.len().over("date", "origin", "hour"),
            wind=pl.col("wind_speed"),
            gale=pl.col("wind_speed") > 25,
            wet=pl.col("precip") > 0,
            frost=pl.col("temp") < 32,
            murk=10 - pl.col("visib"),
            drag=pl.col("wind_speed") * pl.col("distance"),
        )
        .collect()
    )


def daily(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.group_by("date", "origin").agg(
        flights=pl.len(),
        late=(pl.col("delay") > 15).sum(),
        dep_delay=pl.col("dep_delay").sum(),
        delay=pl.col("delay").sum(),
        gales=pl.col("gale").sum(),
    )


def total(days: pl.DataFrame) -> pl.DataFrame:
    count = pl.col("flights").sum()
    return days.group_by("origin").agg(
        days=pl.len(),
        flights=count,
        gales=pl.col("gales").sum(),
        dep_delay=pl.col("dep_delay").sum() / count,
        delay=pl.col("delay").sum() / count,
        late=pl.col("late").sum() / count,
    )


def fit(rows: pl.DataFrame) -> str:
    import lightgbm as lgb

    data = lgb.Dataset(rows.select(INPUTS).to_numpy(), rows["delay"].to_numpy())
    options = {
        "objective": "l1",
        "seed": 7,
        "learning_rate": 0.1,
        "deterministic": True,
        "num_threads": 1,
        "verbosity": -1,
    }
    return str(lgb.train(options, data, 50).model_to_string())


def day_by_day(data: Path, out: Path) -> None:
    for path in sorted((data / "flights").iterdir()):
        flights = pl.read_parquet(path, columns=FLIGHTS)
        weather = unique(pl.read_parquet(data / "weather" / path.name, columns=WEATHER))
        beside = joined(flights, weather)
        made = features(beside)
        for name, table in zip(TABLES, (flights, weather, beside, made, daily(made)), strict=True):
            table.write_parquet(out / name / path.name)


def at_once(data: Path, out: Path) -> None:
    flights = pl.scan_parquet(data / "flights" / "*.parquet").select(FLIGHTS).collect()
    weather = unique(pl.scan_parquet(data / "weather" / "*.parquet").select(WEATHER).collect())
    beside = joined(flights, weather)
    made = features(beside)
    for name, table in zip(TABLES, (flights, weather, beside, made, daily(made)), strict=True):
        for (day,), rows in table.partition_by("date", as_dict=True).items():
            rows.write_parquet(out / name / f"{day}.parquet")


def finish(out: Path, options: Sequence[str]) -> None:
    """What reads more than a day: the total, and the model of the last 60 days."""
    total(pl.read_parquet(out / "daily" / "*.parquet")).write_parquet(out / "total.parquet")
    if "--no-fit" not in options:
        newest = sorted((out / "features").iterdir())[-60:]
        (out / "model.txt").write_text(fit(pl.read_parquet(newest)), encoding="utf-8")


def main(data: Path, out: Path, *options: str) -> None:
    for name in TABLES:
        (out / name).mkdir(parents=True)
    (at_once if "--at-once" in options else day_by_day)(data, out)
    finish(out, options)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
