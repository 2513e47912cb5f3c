"""How much less does a served model cost than its library's usual call, and what do batches save?

A LightGBM model of 100 trees with 31 leaves and 20 features, and the same size in XGBoost, ONNX and
scikit-learn. Figures are CPU microseconds; each group is measured in one process, and judged by ratios in it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from bench.common import BENCH, PYTHON, Row, drive, measure

# A server sets these, so that libraries use no threads of their own.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
PATH = {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
START = """
import json, time
begun = time.perf_counter()
{load}
took = time.perf_counter() - begun
pss = next(int(line.split()[1]) for line in open("/proc/self/smaps_rollup") if line.startswith("Pss:"))
print(json.dumps([took, pss / 1000]))
"""
RUNNER = "from tidemill.serving.io.lightgbm_library import open_library; open_library()"


def report(work: Path, part: str) -> dict[str, float]:
    """What a part of `inside_runners.py` measured."""
    script = BENCH / "inside_runners.py"
    used = measure([PYTHON, script, part], work, variables={**ONE_THREAD, **PATH})
    found: dict[str, float] = json.loads(used.out.splitlines()[-1])
    return found


def calls(work: Path) -> list[Row]:
    """The CPU time of each way to predict, and of the runners as a share of the usual call."""
    found = report(work, "calls")
    rows = [Row(name=name, value=value, unit="us") for name, value in found.items()]
    for name, other, one, many in (
        ("lightgbm", "Booster.predict", 0.35, 1.05),
        ("lightgbm", "LGBMRegressor.predict", 0.05, 0.8),
        ("xgboost", "xgboost DMatrix", 1.0, 1.05),
        ("sklearn", "HGB.predict", 1.1, 1.1),
    ):
        for size, goal in (("1 row", one), ("100 rows", many)):
            share = found[f"runner {name}, {size}"] / found[f"{other}, {size}"]
            rows.append(
                Row(name=f"runner {name}, {size}", value=share, unit="x", goal=goal, baseline=other)
            )
    return rows


def batches(work: Path) -> list[Row]:
    """The CPU time of a request with 1, 16 and 64 tasks, and what batches save of it."""
    found = report(work, "batches")
    rows = [Row(name=name, value=value, unit="us") for name, value in found.items()]
    for name, goal in (("sklearn HGB", 0.2), ("Booster.predict", 0.6)):
        share = found[f"{name}, LoopBatches, c=16"] / found[f"{name}, InlineCalls, c=16"]
        against = "a call per request"
        rows.append(
            Row(name=f"{name} in batches, c=16", value=share, unit="x", goal=goal, baseline=against)
        )
    return rows


def interpreter_lock(work: Path) -> list[Row]:
    """How long a row takes beside a thread that computes."""
    found = report(work, "convoy")
    kept, released = found["keeps the GIL"], found["releases the GIL"]
    return [
        *(
            Row(name=f"a row beside a busy thread, {n}", value=v, unit="us")
            for n, v in found.items()
        ),
        Row(
            name="a row beside a busy thread",
            value=kept / released,
            unit="x",
            goal=0.5,
            baseline="a call that releases the GIL",
        ),
    ]


def memory(work: Path) -> list[Row]:
    """What swapping models leaves behind, and what LightGBM takes without its package."""
    found = report(work, "swaps")
    grown = found["after"] - found["before"]
    rows = [Row(name="memory after 200 more swaps", value=grown, unit="MB", goal=5.0)]
    starts = {}
    for name, load in (("library", RUNNER), ("package", "import lightgbm")):
        used = measure([PYTHON, "-c", START.format(load=load)], work, variables=PATH)
        starts[name] = json.loads(used.out)
        rows.append(Row(name=f"LightGBM's {name}, start", value=starts[name][0], unit="s"))
        rows.append(Row(name=f"LightGBM's {name}, memory", value=starts[name][1], unit="MB"))
    for at, what in enumerate(("start", "memory")):
        share = starts["library"][at] / starts["package"][at]
        rows.append(
            Row(name=f"LightGBM, {what}", value=share, unit="x", goal=0.6, baseline="its package")
        )
    return rows


def parts_of(work: Path) -> Mapping[str, Callable[[], list[Row]]]:
    """The parts by name."""
    parts = {"calls": calls, "batches": batches, "lock": interpreter_lock, "memory": memory}
    return {name: partial(part, work) for name, part in parts.items()}


if __name__ == "__main__":
    drive("serving_runners", sys.argv[1:], parts_of)
