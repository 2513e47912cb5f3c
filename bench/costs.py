"""Costs: what is allocated against what was metered, and how far estimates are off: `python -m bench.costs`.

A workflow of four stages gets a day of orders before each of 30 runs; days grow, and their sizes vary by a
fifth. After 20 runs the estimates that plans made are held against what the runs cost. Then all that was
metered, which receipts tell, is held against what `tidemill costs` divides.

Prints a table and writes it to `results/costs.json`. Nothing fails when a goal is missed.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.common import TIDEMILL, Row, drive, measure

RUNS, LEARNT = 30, 20
ROWS = 100_000
_SETTINGS = """
[tool.tidemill]
workflow = "orders:flow"
workers = 2
[[tool.tidemill.prices]]
cpu_hour = 0.04
memory_gb_hour = 0.005
"""
_WORKFLOW = """
import polars as pl

import tidemill as tm

flow = tm.Workflow("orders", owner="ops")


class Orders(tm.Contract):
    day = tm.Date(partition="1d")
    customer = tm.Int64()
    amount = tm.Float64(min=0)


class Daily(tm.Contract, key=("day", "customer")):
    day, customer, amount = Orders.day, Orders.customer, Orders.amount
    orders = tm.Int64()


class Ranked(tm.Contract):
    day, customer = Orders.day, Orders.customer
    rank = tm.Int64()


@flow.ingest(start="2026-01-01")
def orders() -> tm.Source[Orders]:
    return tm.files("data/*.csv")


@flow.transform
def daily(orders: tm.Frame[Orders]) -> tm.Frame[Daily]:
    found = orders.group_by("day", "customer").agg(
        pl.col("amount").sum(), orders=pl.len().cast(pl.Int64)
    )
    return found.sort("customer")


@flow.transform
def ranked(orders: tm.Frame[Orders]) -> tm.Frame[Ranked]:
    whole = orders.collect().sort("amount", "customer")
    for seed in range(5):
        whole = whole.sample(fraction=1.0, shuffle=True, seed=seed).sort("amount", "customer")
    rank = pl.int_range(pl.len(), dtype=pl.Int64)
    return whole.lazy().select("day", "customer", rank=rank)


@flow.transform(window=tm.last("7d"))
def weekly(daily: tm.Frame[Daily]) -> tm.Frame[Daily]:
    found = daily.group_by("customer").agg(pl.col("day").max(), pl.col("amount", "orders").sum())
    return found.select("day", "customer", "amount", "orders").sort("customer")
"""


def parts_of(work: Path) -> Mapping[str, Callable[[], list[Row]]]:
    """The parts by name, in the order in which they are measured."""
    return {"runs": lambda: _runs(work)}


def _runs(work: Path) -> list[Row]:
    (work / "data").mkdir()
    (work / "pyproject.toml").write_text(_SETTINGS)
    (work / "orders.py").write_text(_WORKFLOW)
    draw, errors = random.Random(7), []
    for number in range(RUNS):
        _write_day(work, number, draw)
        receipt = json.loads(measure([TIDEMILL, "run", "--json"], work).out)["receipt"]
        if receipt["estimated_cost"] is not None:
            errors.append(abs(receipt["estimated_cost"] / receipt["cost"] - 1))
    return [*_estimates(errors), *_conservation(work)]


def _write_day(work: Path, number: int, draw: random.Random) -> None:
    rows = int(ROWS * (1 + number / RUNS) * draw.uniform(0.8, 1.2))
    day = f"2026-01-{number + 1:02}"
    lines = (f"{day},{draw.randrange(5_000)},{draw.random() * 100:.2f}\n" for _ in range(rows))
    with (work / "data" / f"{day}.csv").open("w") as file:
        file.write("day,customer,amount\n")
        file.writelines(lines)


def _estimates(errors: list[float]) -> list[Row]:
    last = errors[LEARNT - RUNS :]
    return [
        Row(
            name=f"median error of the estimated cost after {LEARNT} runs, {len(last)} runs",
            value=100 * statistics.median(last),
            unit="%",
            goal=15.0,
            runs=tuple(100 * error for error in last),
        )
    ]


def _conservation(work: Path) -> list[Row]:
    """The sum of all rows, against the receipts of all runs."""
    runs = json.loads(measure([TIDEMILL, "runs", "--json", "--limit", "1000"], work).out)["runs"]
    metered = sum(run["receipt"]["cost"] for run in runs)
    found = []
    for by in ("stage", "model", "day", "environment"):
        told = json.loads(measure([TIDEMILL, "costs", "--by", by, "--json"], work).out)
        allocated = sum(row["line"]["amounts"]["USD"] for row in told["rows"])
        found.append(abs(allocated / metered - 1))
    return [
        Row(
            name=f"allocated against metered, {len(runs)} runs",
            value=100 * max(found),
            unit="%",
            goal=0.1,
            baseline="receipts of all runs",
        )
    ]


if __name__ == "__main__":
    drive("costs", sys.argv[1:], parts_of)
