"""One job on one file in a process of its own; prints what it took as JSON. See `contracts`.

The floor reads every column and takes its greatest value (of the key as text, its length); all others
are told beside it, in the same process.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path

import polars as pl

import tidemill as tm
from tidemill.project.checks import faults_in

TIMES = 5


def cpu() -> float:
    """CPU seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def least(work: Callable[[], object]) -> float:
    """The least CPU seconds of some turns: what others do on the machine only ever adds."""
    took = []
    for _ in range(TIMES):
        before = cpu()
        work()
        took.append(cpu() - before)
    return min(took)


def orders(key: str, text: bool) -> type[tm.Contract]:
    """Nine rules about rows, nullability aside, and a key if it is named."""
    body = {
        "id": tm.String(min_length=1) if text else tm.Int64(min=0),
        "customer": tm.Int64(min=0),
        "amount": tm.Float64(min=0),
        "quantity": tm.Int32(min=1, max=99),
        "status": tm.String(isin=["open", "paid", "sent", "done"]),
        "country": tm.String(regex="^[A-Z]{2}$"),
        "day": tm.Date(min=date(2020, 1, 1)),
        "shipped": tm.Date(nullable=True),
        "later": tm.rule(pl.col("shipped") >= pl.col("day")),
    }
    return type("Orders", (tm.Contract,), body, key=(key,) if key else ())


def floor(paths: list[Path]) -> None:
    """Read every column."""
    frame = pl.scan_parquet(paths, glob=False)
    text = frame.collect_schema()["id"] == pl.String
    key = pl.col("id").str.len_bytes() if text else pl.col("id")
    frame.select(key.max(), pl.exclude("id").max()).collect(engine="streaming")


def check(contract: type[tm.Contract], paths: list[Path]) -> None:
    """Count what breaks each rule."""
    tm.validate(contract, paths)


def quarantine(contract: type[tm.Contract], paths: list[Path]) -> None:
    """Check, and write the bad rows with their reasons."""
    with tempfile.TemporaryDirectory(dir=paths[0].parent) as folder:
        tm.validate(contract, paths).write(folder)


def by_hand(paths: list[Path]) -> None:
    """The nine rules as one query that counts, as one would write it without a contract."""
    rules = [
        pl.col("customer") >= 0,
        pl.col("amount") >= 0,
        pl.col("quantity").is_between(1, 99),
        pl.col("status").is_in(["open", "paid", "sent", "done"]),
        pl.col("country").str.contains("^[A-Z]{2}$"),
        pl.col("day") >= date(2020, 1, 1),
        pl.col("shipped") >= pl.col("day"),
        pl.col("id") >= 0,
    ]
    counts = [rule.not_().sum().alias(str(index)) for index, rule in enumerate(rules)]
    nulls = [pl.col(name).null_count() for name in ("id", "amount", "quantity", "status", "day")]
    query = pl.scan_parquet(paths, glob=False).select(*counts, *nulls)
    query.collect(engine="streaming")


def on_file(job: str, key: str, paths: list[Path]) -> dict[str, float]:
    """CPU seconds of a job and of the floor beside it, and the peak memory of both."""
    text = pl.scan_parquet(paths[0], glob=False).collect_schema()["id"] == pl.String
    contract = orders(key, text)
    jobs: dict[str, Callable[[], None]] = {
        "check": partial(check, contract, paths),
        "quarantine": partial(quarantine, contract, paths),
        "by hand": partial(by_hand, paths),
    }
    return {"floor": least(partial(floor, paths)), "job": least(jobs[job])}


def at_plan_time() -> dict[str, float]:
    """Wall milliseconds to find every fault of two stages whose contract has 100 columns."""
    columns = {
        f"c{i}": tm.Float64(min=0, max=1) if i % 2 else tm.String(nullable=True) for i in range(100)
    }
    contract = type("Wide", (tm.Contract,), columns)
    flow = tm.Workflow("wide")

    def source():  # type: ignore[no-untyped-def]
        return tm.files("*.csv")

    def stage(source):  # type: ignore[no-untyped-def]
        return source.with_columns(c1=pl.col("c3") + 1)

    source.__annotations__ = {"return": tm.Source[contract]}  # type: ignore[valid-type]
    stage.__annotations__ = {k: tm.Frame[contract] for k in ("source", "return")}  # type: ignore[valid-type]
    flow.ingest(source)
    flow.transform(stage)
    took = []
    for _ in range(20):
        begun = time.perf_counter()
        assert not faults_in(flow)
        took.append((time.perf_counter() - begun) * 1000)
    return {"ms": min(took)}


def main() -> None:
    """`JOB KEY PATH...`, or `plan`."""
    job, *more = sys.argv[1:]
    found = at_plan_time() if job == "plan" else on_file(job, more[0], [*map(Path, more[1:])])
    found["rss"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(found))


if __name__ == "__main__":
    main()
