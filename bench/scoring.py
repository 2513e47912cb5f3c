"""The work of `bench.models` on scoring, in a process of its own; a line of JSON tells what it took.

A year of days, as many rows as the flights out of New York have, is scored by a booster: by a table that
delivers each day as a file, and by one prediction over all rows.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from datetime import date, timedelta
from importlib import import_module
from pathlib import Path

import numpy as np
import polars as pl

from tidemill.project.project import open_project

FLOW = """import lightgbm as lgb
import polars as pl

import tidemill as tm

READ = ["hour", "distance", "dep_delay", "wind", "rush"]


class Features(tm.Contract, key=("date", "carrier", "flight", "origin", "hour")):
    date = tm.Date(partition="1d")
    carrier = tm.String()
    flight = tm.Int64()
    origin = tm.Enum(["EWR", "JFK", "LGA"])
    hour = tm.Int64()
    distance = tm.Float64()
    dep_delay = tm.Float64()
    wind = tm.Float64()
    rush = tm.Bool()
    delay = tm.Float64()


flow = tm.Workflow("scoring", owner="bench")


@flow.ingest
def features() -> tm.Source[Features]:
    return tm.files("data/*.parquet")


@flow.model(window=tm.last("60d", before=tm.last("7d")), params={"rounds": ROUNDS}, seed=7)
def delay_model(features: tm.Frame[Features], params: tm.Params, seed: int) -> tm.Fitted:
    table = features.collect()
    data = lgb.Dataset(table.select(READ).to_numpy(), table["delay"].to_numpy())
    options = {"objective": "l1", "seed": seed, "num_threads": 1, "verbosity": -1}
    booster = lgb.train({**options, "deterministic": True}, data, params["rounds"])
    return tm.fitted(booster, inputs=Features.reads(*READ), output="delay")


@flow.evaluate(window=tm.last("7d"))
def scores(delay_model: tm.Predictor, features: tm.Frame[Features]) -> tm.Scores:
    error = (pl.col("prediction") - pl.col("delay")).abs().mean()
    return tm.scores(delay_model.predict(features), mae=error)


live = flow.approve(delay_model, gates=[tm.beats_baseline("mae")])
flow.table("scored", model=live, features=features, sink=tm.parquet("out/scored"))
"""
DAYS, ROWS = 365, 922


def data(rounds: int) -> dict[str, float]:
    """Write a project with a file a day."""
    Path("data").mkdir()
    Path("pyproject.toml").write_text('[tool.tidemill]\nworkflow = "scoring_flow:flow"\n')
    Path("scoring_flow.py").write_text(FLOW.replace("ROUNDS", str(rounds)))
    draw = np.random.default_rng(1)
    for number in range(DAYS):
        late = draw.exponential(20, ROWS) - 10
        held = {
            "date": [date(2013, 1, 1) + timedelta(days=number)] * ROWS,
            "carrier": draw.choice(["AA", "B6", "DL", "UA"], ROWS),
            "flight": np.arange(ROWS),
            "origin": draw.choice(["EWR", "JFK", "LGA"], ROWS),
            "hour": draw.integers(5, 23, ROWS),
            "distance": draw.uniform(100, 4_000, ROWS),
            "dep_delay": late,
            "wind": draw.uniform(0, 30, ROWS),
            "rush": draw.random(ROWS) < 0.3,
            "delay": late + draw.normal(0, 10, ROWS),
        }
        pl.DataFrame(held).write_parquet(f"data/{number:03}.parquet")
    with open_project(Path.cwd()) as project:
        project.run(limit=None)
    return {}


def table() -> dict[str, float]:
    """CPU seconds of a run that scores and delivers all days again."""
    with open_project(Path.cwd()) as project:
        project.plan()
        import_module("tidemill.runs.io.execute")
        before = _cpu()
        receipt = project.run("scored", again=True)
        took = _cpu() - before
    (stage,) = (stage for stage in receipt.stages if stage.stage == "scored")
    return {"cpu_s": took, "steps": float(stage.ran)}


def once() -> dict[str, float]:
    """CPU seconds of one prediction over all rows: alone, and with writing and reading them."""
    with open_project(Path.cwd()) as project:
        payload = project.tools.artifacts.get(project.state().live["delay_model"].artifact.object)
    import lightgbm as lgb

    booster = lgb.Booster(model_str=payload.decode())
    names = ["hour", "distance", "dep_delay", "wind", "rush"]
    before = _cpu()
    rows = pl.read_parquet("data/*.parquet")
    read = _cpu()
    matrix = rows.select(pl.col(names).cast(pl.Float64)).to_numpy()
    values = booster.predict(matrix, num_threads=1)
    predicted = _cpu()
    key = ["date", "carrier", "flight", "origin", "hour"]
    rows.select(*key, pl.Series("prediction", values)).write_parquet("all.parquet")
    written = _cpu()
    return {
        "cpu_s": predicted - read,
        "written_s": written - read,
        "with_files_s": written - before,
    }


def _cpu() -> float:
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


if __name__ == "__main__":
    action, *given = sys.argv[1:]
    actions: dict[str, Callable[..., dict[str, float]]] = {
        "data": data, "table": table, "once": once,
    }  # fmt: skip
    found = actions[action](*map(int, given))
    print(json.dumps(found))
