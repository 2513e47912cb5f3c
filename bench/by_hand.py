"""The flights workflow's reads, joins and writes for ingest and features, by hand: `by_hand.py DATA OUT`.

The baseline of the full build: the same columns read from the same files, the same joins, the same
three tables written as daily files with the same compression, and nothing else: no contract is
checked, nothing is hashed, recorded or forced to the disk. A day is one step, as in the workflow;
`--at-once` holds the whole year in memory instead, which fewer and larger reads and joins make
cheaper, and which no longer works when the history outgrows the memory.
"""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl

FLIGHT = ["date", "carrier", "flight", "origin", "hour"]
FLIGHTS = [*FLIGHT, "distance", "dep_delay", "arr_delay"]
WEATHER = ["date", "origin", "hour", "wind_speed"]


def features(flights: pl.DataFrame, weather: pl.DataFrame) -> pl.DataFrame:
    joined = flights.join(weather, on=["date", "origin", "hour"], how="left", maintain_order="left")
    return joined.select(
        *FLIGHT,
        "distance",
        "dep_delay",
        wind=pl.col("wind_speed"),
        rush=pl.col("hour").is_between(16, 20),
    )


def day_by_day(data: Path, out: Path) -> None:
    # A day whose weather isn't there yet is joined with none.
    none = pl.read_parquet(next((data / "weather").iterdir()), columns=WEATHER).clear()
    for path in sorted((data / "flights").iterdir()):
        flights = pl.read_parquet(path, columns=FLIGHTS)
        flights.write_parquet(out / "flights" / path.name)
        weather, beside = none, data / "weather" / path.name
        if beside.exists():
            weather = pl.read_parquet(beside, columns=WEATHER)
            weather.write_parquet(out / "weather" / path.name)
        features(flights, weather).write_parquet(out / "features" / path.name)


def at_once(data: Path, out: Path) -> None:
    flights = pl.scan_parquet(data / "flights" / "*.parquet").select(FLIGHTS).collect()
    weather = pl.scan_parquet(data / "weather" / "*.parquet").select(WEATHER).collect()
    tables = {"flights": flights, "weather": weather, "features": features(flights, weather)}
    for name, table in tables.items():
        for (day,), rows in table.partition_by("date", as_dict=True, maintain_order=True).items():
            rows.write_parquet(out / name / f"{day}.parquet")


def main(data: Path, out: Path, *options: str) -> None:
    for name in ("flights", "weather", "features"):
        (out / name).mkdir(parents=True)
    (at_once if "--at-once" in options else day_by_day)(data, out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
