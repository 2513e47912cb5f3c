"""Libraries with OpenMP runtimes of their own train, are evaluated and predict in one process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.support.tides import FIRST, Tides, day
from tests.support.trained import diabetes

NUMBERS = ("age", "bp", "s1", "s2", "s3", "s4", "s5", "s6")

# What each library trains, with two threads, and how its model predicts.
TRAININGS = """
import numpy as np


def train(library, rows, labels):
    return globals()[f"train_{library}"](rows, labels)


def train_sklearn(rows, labels):
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(max_iter=8, random_state=1).fit(rows, labels)


def train_lightgbm(rows, labels):
    import lightgbm as lgb

    options = {"num_threads": 2, "deterministic": True, "force_row_wise": True, "verbosity": -1}
    return lgb.train(options, lgb.Dataset(rows, labels), 8)


def train_xgboost(rows, labels):
    import xgboost as xgb

    return xgb.train({"nthread": 2}, xgb.DMatrix(rows, labels), 8)


def train_torch(rows, labels):
    import torch
    from openmp_net import Linear

    torch.set_num_threads(2)
    model = Linear(rows.shape[1])
    weights = torch.linalg.lstsq(torch.tensor(rows), torch.tensor(labels)[:, None]).solution
    with torch.no_grad():
        model.layer.weight.copy_(weights.T)
    return model


def predict(library, model, rows):
    if library == "xgboost":
        import xgboost as xgb

        rows = xgb.DMatrix(rows)
    if library == "torch":
        import torch

        with torch.no_grad():
            return model(torch.tensor(rows, dtype=torch.float32)).numpy()[:, 0]
    return model.predict(rows)
"""
NET = """
import torch


class Linear(torch.nn.Module):
    def __init__(self, inputs):
        super().__init__()
        self.inputs = inputs
        self.layer = torch.nn.Linear(inputs, 1, bias=False)

    def forward(self, rows):
        return self.layer(rows)
"""
HEAD = f"""
import polars as pl
import tidemill as tm
from openmp_trainings import train

NUMBERS = {NUMBERS!r}


class Rows(tm.Contract, key=("day", "id")):
    day = tm.Date(partition="1d")
    id = tm.Int64()
    {", ".join(NUMBERS)} = {", ".join("tm.Float64()" for _ in NUMBERS)}
    y = tm.Float64()


flow = tm.Workflow("tides")


@flow.ingest
def rows() -> tm.Source[Rows]:
    return tm.files("data/*.parquet")
"""
MODEL = """

@flow.model(window=tm.last("8d", before=tm.last("2d")))
def NAME_model(rows: tm.Frame[Rows]) -> tm.Fitted:
    table = rows.collect()
    model = train("NAME", table.select(NUMBERS).to_numpy(), table["y"].to_numpy())
    return tm.fitted(model, inputs=Rows.reads(*NUMBERS), output="y")


@flow.evaluate(window=tm.last("2d"))
def NAME_scores(NAME_model: tm.Predictor, rows: tm.Frame[Rows]) -> tm.Scores:
    return tm.scores(NAME_model.predict(rows), mae=(pl.col("prediction") - pl.col("y")).abs().mean())


NAME_live = flow.approve(NAME_model, gates=[tm.beats_live("mae")])
flow.table("NAME_table", model=NAME_live, features=rows, sink=tm.parquet("out/NAME"))
"""
# Runs the workflow; prints the OpenMP runtimes of the process, and what a spawned process predicts.
RUN = """
import json
import multiprocessing
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import tidemill as tm
from tidemill.testing.doubles import MemoryModelProbe


def main(order):
    for library in order:
        import_module({"sklearn": "sklearn.ensemble"}.get(library, library))
    with tm.open() as project:
        # Models are loaded in this process only, which has all libraries.
        project.workspace.tools = replace(project.tools, model_probe=MemoryModelProbe())
        receipt = project.run(inline=True)
    assert receipt.exit_code == 0, receipt.messages
    found = {}
    if Path("/proc/self/maps").exists():
        lines = Path("/proc/self/maps").read_text().splitlines()
        paths = {line.split()[-1] for line in lines}
        found["runtimes"] = sorted(path for path in paths if "libgomp" in path or "libomp" in path)
    # All libraries have their threads now: a process that is spawned has none of them.
    from openmp_alone import alone

    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found["spawned"] = pool.apply(alone, (order[-1],))
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
"""
ALONE = """
import json
import sys

import polars as pl
from openmp_trainings import predict, train


def alone(library):
    rows = pl.read_parquet("data/*.parquet").sort("day", "id")
    numbers = [name for name in rows.columns if name not in ("day", "id", "y")]
    seen = rows.filter(pl.col("day") < pl.col("day").unique().sort().get(8))
    model = train(library, seen.select(numbers).to_numpy(), seen["y"].to_numpy())
    return predict(library, model, rows.select(numbers).to_numpy()).tolist()


if __name__ == "__main__":
    print(json.dumps(alone(sys.argv[1])))
"""


def written(root: Path, libraries: Sequence[str]) -> None:
    """A project whose workflow trains a model of each library, in this order."""
    tides = Tides(root, HEAD + "".join(MODEL.replace("NAME", name) for name in libraries))
    rows = (
        diabetes().select(*NUMBERS, "y").with_row_index("id").with_columns(pl.col("id").cast(int))
    )
    for number in range(10):
        own = rows.filter(pl.col("id") % 10 == number)
        tides.put(
            f"{day(number)}.parquet", own.with_columns(day=pl.lit(FIRST).dt.offset_by(f"{number}d"))
        )
    for name, text in {
        "tides.py": tides.text,
        "openmp_trainings.py": TRAININGS,
        "openmp_net.py": NET,
        "openmp_alone.py": ALONE,
        "run_all.py": RUN,
        "pyproject.toml": '[tool.tidemill]\nworkflow = "tides:flow"\n',
    }.items():
        (root / name).write_text(text, encoding="utf-8")


def printed(root: Path, script: str, *arguments: str) -> Any:
    """What a script of a project prints; a deadlock would end here."""
    command = [sys.executable, script, *arguments]
    # With threads, also where the tests have one.
    threads = {**os.environ, "OMP_NUM_THREADS": "2"}
    ran = subprocess.run(
        command, cwd=root, env=threads, capture_output=True, text=True, timeout=600
    )
    assert ran.returncode == 0, f"{arguments}: {ran.returncode} {ran.stdout} {ran.stderr[-2000:]}"
    return json.loads(ran.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize(
    "order",
    [("sklearn", "lightgbm", "xgboost"), ("torch", "xgboost", "lightgbm", "sklearn")],
    ids=["boosters", "PyTorch first"],
)
def test_each_library_predicts_what_it_predicts_alone(tmp_path: Path, order: Sequence[str]) -> None:
    for name in order:
        pytest.importorskip(name, reason=f"{name} isn't installed")
    written(tmp_path, order)
    found = printed(tmp_path, "run_all.py", *order)
    if sys.platform == "linux":
        assert len(found["runtimes"]) > 1, found
    for name in order:
        scored = pl.read_parquet(tmp_path / "out" / name / "*.parquet").sort("day", "id")
        # The process of the last one was spawned by the one with all libraries.
        alone = (
            found["spawned"] if name == order[-1] else printed(tmp_path, "openmp_alone.py", name)
        )
        assert np.allclose(scored["prediction"], alone, rtol=1e-5), name
