"""A large model is trained, stored, loaded elsewhere and loaded here, and is in memory once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.tides import Tides, rows_of

MB = 1_000_000
FORMAT = """
import numpy as np


class Big:
    def __init__(self, weights):
        self.weights = weights

    def predict(self, rows):
        return np.asarray(rows)[:, 0] + self.weights[0]


class BigFormat:
    name = "big"

    def accepts(self, model):
        return isinstance(model, Big)

    def dump(self, model):
        return memoryview(model.weights)

    def load(self, payload):
        return Big(np.frombuffer(payload)).predict
"""
HEAD = """
import numpy as np
import polars as pl
import tidemill as tm
from big_format import Big


class Rows(tm.Contract, key=("day", "id")):
    day = tm.Date(partition="1d")
    id = tm.Int64()
    value = tm.Float64()


flow = tm.Workflow("tides")


@flow.ingest
def rows() -> tm.Source[Rows]:
    return tm.files("data/*.parquet")
"""
MODEL = """

@flow.model(window=tm.last("2d", before=tm.last("1d")))
def NAME(rows: tm.Frame[Rows]) -> tm.Fitted:
    return tm.fitted(Big(np.arange(SIZE // 8, dtype=float)), inputs=Rows.reads("id"), output="value")


@flow.evaluate(window=tm.last("1d"))
def NAME_scores(NAME: tm.Predictor, rows: tm.Frame[Rows]) -> tm.Scores:
    return tm.scores(NAME.predict(rows), mae=(pl.col("prediction") - pl.col("value")).abs().mean())


NAME_live = flow.approve(NAME, gates=[tm.beats_live("mae")])
flow.table("NAME_table", model=NAME_live, features=rows, sink=tm.parquet("out/NAME"))
"""
# Prints by how many bytes memory grew at most, after the same was done with a small model.
MEASURE = """
import gc
import json
from pathlib import Path

import tidemill as tm


def memory(name):
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if name in line]
    return int(line.split()[1]) * 1024


def growth(work):
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    before = memory("VmRSS")
    work()
    return memory("VmHWM") - before


def run(name):
    with tm.open() as project:
        receipt = project.run(f"{name}_table", inline=True)
        assert receipt.exit_code == 0, receipt.messages


def load(name):
    with tm.open() as project:
        assert project.model(name).predict(project.read("rows").collect()).height == 9


for step in (run, load):
    step("small")
print(json.dumps([growth(lambda: step("large")) for step in (run, load)]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak of a part of a run")
@pytest.mark.parametrize(
    ("size", "most"),
    # Beside a small model, what else a run allocates counts for more.
    [(64 * MB, 1.6), pytest.param(500 * MB, 1.3, marks=pytest.mark.slow)],
    ids=["64 MB", "500 MB"],
)
def test_a_run_and_a_load_hold_a_model_once(tmp_path: Path, size: int, most: float) -> None:
    text = HEAD + "".join(
        MODEL.replace("NAME", name).replace("SIZE", str(count))
        for name, count in (("small", 8_000), ("large", size))
    )
    tides = Tides(tmp_path, text)
    for number in range(3):
        tides.put(f"{number}.parquet", rows_of(number))
    for name, content in {
        "tides.py": text,
        "big_format.py": FORMAT,
        "measure.py": MEASURE,
        "pyproject.toml": '[tool.tidemill]\nworkflow = "tides:flow"\n'
        'model_formats = ["big_format:BigFormat"]\n',
    }.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "measure.py"], cwd=tmp_path, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    for grown in json.loads(ran.stdout.splitlines()[-1]):
        # Once, and not less: it was in memory.
        assert 0.9 * size < grown < most * size
    stored = (tmp_path / ".tidemill" / "objects").rglob("*.big")
    assert sorted(path.stat().st_size for path in stored) == [8_000, size]
