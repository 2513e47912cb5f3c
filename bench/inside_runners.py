"""Measure loaded models in a process of their own: `inside_runners.py PART` prints a line of JSON."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from tidemill.adapters.model_formats.lightgbm import LightGBMText
from tidemill.adapters.model_formats.onnx import OnnxModel
from tidemill.adapters.model_formats.sklearn import SklearnSkops
from tidemill.adapters.model_formats.xgboost import XGBoostUBJ
from tidemill.serving.io.dispatchers import InlineCalls, LoopBatches
from tidemill.serving.io.function_runner import FunctionRunner
from tidemill.serving.io.lightgbm_runner import LightGBMRunner
from tidemill.serving.io.model_thread import ModelThread
from tidemill.serving.io.open_runner import open_runner
from tidemill.serving.io.runner import Runner
from tidemill.serving.io.warm_up import measure_cost
from tidemill.testing.records import model_artifact

FEATURES = 20
RANDOM = np.random.default_rng(7)
TABLE = RANDOM.normal(size=(4_000, FEATURES))
LABEL = TABLE @ RANDOM.normal(size=FEATURES) + np.sin(TABLE[:, 0])
NAMES = tuple(f"x{at}" for at in range(FEATURES))
FORMS: list[Any] = [LightGBMText(), XGBoostUBJ(), OnnxModel(), SklearnSkops()]
BLOCK_S, BLOCKS = 0.02, 5


def artifact(form: str) -> Any:
    return replace(model_artifact(), format=form, inputs=NAMES)


def least_us(call: Callable[[], object]) -> float:
    """The least CPU time of a call in microseconds; blocks of calls are measured."""
    times = 1
    while _block(call, times) < BLOCK_S / 4:
        times *= 4
    return min(_block(call, times) / times for _ in range(BLOCKS)) * 1e6


def _block(call: Callable[[], object], times: int) -> float:
    started = time.thread_time()
    for _ in range(times):
        call()
    return time.thread_time() - started


def boosted() -> Any:
    import lightgbm

    params = {"objective": "l2", "num_leaves": 31, "verbosity": -1, "num_threads": 1, "seed": 1}
    return lightgbm.train(params, lightgbm.Dataset(TABLE, LABEL), 100)


def calls() -> dict[str, float]:
    """Microseconds of one row and of 100 rows, by each way to predict."""
    import lightgbm
    import skl2onnx
    import xgboost
    from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingRegressor

    many = TABLE[:100]
    # Not the same row again and again, which the processor would learn.
    arrays, lists = cycle(np.split(many, 100)), cycle(many.tolist())
    params: dict[str, Any] = {"n_estimators": 100, "num_leaves": 31, "n_jobs": 1, "verbose": -1}
    wrapper = lightgbm.LGBMRegressor(**params).fit(TABLE, LABEL)
    trees = xgboost.train(
        {"nthread": 1, "max_leaves": 31}, xgboost.DMatrix(TABLE, LABEL, nthread=1), 100
    )
    forest = HistGradientBoostingRegressor(max_iter=100, max_leaf_nodes=31).fit(TABLE, LABEL)
    stages = GradientBoostingRegressor(max_depth=None, max_leaf_nodes=31).fit(TABLE, LABEL)
    exported = skl2onnx.to_onnx(
        stages, many.astype(np.float32), target_opset={"": 15, "ai.onnx.ml": 3}
    )
    booster = boosted()
    ways: dict[str, Callable[[], object]] = {}

    def measure(name: str, row: Callable[[], object], rows: Callable[[], object]) -> None:
        ways[f"{name}, 1 row"] = row
        ways[f"{name}, 100 rows"] = rows

    for name, form, model in (
        ("lightgbm", FORMS[0], booster),
        ("xgboost", FORMS[1], trees),
        ("onnx", FORMS[2], exported),
        ("sklearn", FORMS[3], forest),
    ):
        payload = form.dump(model)
        runner = open_runner(artifact(name), payload, FORMS)
        measure(
            f"runner {name}",
            lambda runner=runner: runner.predict_row(next(lists)),  # type: ignore[misc]
            lambda runner=runner: runner.predict(many),  # type: ignore[misc]
        )
    plain = FORMS[1].load(FORMS[1].dump(trees))
    measure("xgboost DMatrix", lambda: plain(next(arrays)), lambda: plain(many))
    measure(
        "Booster.predict",
        lambda: booster.predict(next(arrays), num_threads=1),
        lambda: booster.predict(many, num_threads=1),
    )
    measure(
        "LGBMRegressor.predict",
        lambda: wrapper.predict(next(arrays)),
        lambda: wrapper.predict(many),
    )
    measure("HGB.predict", lambda: forest.predict(next(arrays)), lambda: forest.predict(many))
    # In turns, so that a slow minute hits all of them.
    rounds = [{name: least_us(call) for name, call in ways.items()} for _ in range(3)]
    return {name: min(found[name] for found in rounds) for name in ways}


def batches() -> dict[str, float]:
    """CPU microseconds of a request when 1, 16 and 64 tasks ask in turns, by model and dispatcher."""
    import lightgbm
    from sklearn.ensemble import HistGradientBoostingRegressor

    booster = boosted()
    forest = HistGradientBoostingRegressor(max_iter=100, max_leaf_nodes=31).fit(TABLE, LABEL)
    text = FORMS[0].dump(booster)
    package = lightgbm.Booster(model_str=text.decode())
    runners: dict[str, Runner] = {
        "lightgbm": LightGBMRunner(artifact("lightgbm"), text),
        "Booster.predict": FunctionRunner(
            artifact("lightgbm"), lambda rows: package.predict(rows, num_threads=1)
        ),
        "sklearn HGB": FunctionRunner(artifact("sklearn"), forest.predict),
    }
    found: dict[str, float] = {}
    for name, runner in runners.items():
        runner.cost = measure_cost(runner, TABLE[:100])
        for kind in (InlineCalls, LoopBatches, ModelThread):
            for tasks in (1, 16, 64):
                key = f"{name}, {kind.__name__}, c={tasks}"
                found[key] = min(asyncio.run(_ask(kind, runner, tasks)) for _ in range(3)) * 1e6
    return found


async def _ask(kind: Any, runner: Any, tasks: int) -> float:
    """CPU seconds of a request; the tasks give up their turn after each, as those of a server do."""

    class Kept:
        """Closes nothing."""

        def __getattr__(self, name: str) -> Any:
            return getattr(runner, name)

        def close(self) -> None:
            return

    dispatcher = kind(Kept())
    rows = cycle(TABLE[:97].tolist())
    requests = max(4, (256 if runner.cost.call_s > 1e-4 else 4_096) // tasks)

    async def ask() -> None:
        for _ in range(requests):
            await dispatcher.predict_row(next(rows))
            await asyncio.sleep(0)

    started = time.process_time()
    await asyncio.gather(*(ask() for _ in range(tasks)))
    spent = time.process_time() - started
    await dispatcher.close()
    return spent / (tasks * requests)


def convoy() -> dict[str, float]:
    """How long a row takes while another thread computes, with and without keeping the GIL."""
    runner = LightGBMRunner(artifact("lightgbm"), FORMS[0].dump(boosted()))
    values = TABLE[0].tolist()
    ended = threading.Event()

    def compute() -> None:
        while not ended.is_set():
            sum(range(100))

    runner.predict_row(values)
    call = runner._thread.call
    thread = threading.Thread(target=compute)
    thread.start()
    found = {}
    short = call.predict
    library = ctypes.CDLL(runner._library.long._name)
    released = library.LGBM_BoosterPredictForMatSingleRowFast
    for name, function in (
        ("keeps the GIL", short),
        ("releases the GIL", lambda: released(*short.args)),
    ):
        call.predict = function
        took = []
        for _ in range(400):
            time.sleep(0.001)  # the next request
            started = time.perf_counter()
            for _ in range(4):
                runner.predict_row(values)
            took.append((time.perf_counter() - started) / 4)
        found[name] = statistics.mean(took) * 1e6
    ended.set()
    thread.join()
    return found


def swaps() -> dict[str, float]:
    """Resident memory in MB after 20 and after 220 models were opened, called and closed."""
    text = FORMS[0].dump(boosted())
    values = TABLE[0].tolist()

    def swap(times: int) -> float:
        for _ in range(times):
            runner = LightGBMRunner(artifact("lightgbm"), text)
            runner.predict_row(values)
            runner.predict(TABLE[:100])
            runner.close()
        gc.collect()
        return resident_mb()

    return {"before": swap(20), "after": swap(200)}


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    parts = {"calls": calls, "batches": batches, "convoy": convoy, "swaps": swaps}
    print(json.dumps(parts[sys.argv[1]]()))
