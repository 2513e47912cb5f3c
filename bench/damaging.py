"""Load damaged files of each model format, as the first load of a model does: `python damaging.py COUNT`.

Reports for each format how many files were refused, and how many ended the process that loaded them. That
this process reports at all shows that none ended it.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tidemill.models.golden_rows import with_predictions
from tidemill.project.model_formats import open_formats
from tidemill.project.model_probe import ProbedFile, SubprocessProbe
from tidemill.project.model_probe_server import FormatOptions
from tidemill.store.frames import encode
from tidemill.testing.damage import damaged
from tidemill.testing.records import model_artifact

ROWS = np.random.default_rng(1).normal(size=(300, 3))
LABEL = ROWS @ np.array([1.0, -2.0, 0.5])


def main(count: int) -> None:
    """Damage `count` files of each format whose library is installed."""
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as home:
        Path(home, "damaged_models.py").write_text(OWN)
        sys.path.insert(0, home)
        options = FormatOptions(
            home=home, root=home, model_formats=("damaged_models:SlopesFormat",)
        )
        forms = {form.name: form for form in open_formats(options)}
        for name, train in MODELS.items():
            try:
                form, model = forms[name], train()
            except ImportError:
                continue
            payload = bytes(form.dump(model))
            predicted = np.asarray(form.function(model)(ROWS), dtype=float).reshape(len(ROWS))
            golden = encode(with_predictions(pl.DataFrame(ROWS, schema=["a", "b", "c"]), predicted))
            known = replace(model_artifact(), inputs=("a", "b", "c"))
            files = [
                ProbedFile(artifact=known, payload=one, golden=golden)
                for one in [payload, *damaged(payload, count)]
            ]
            with closing(SubprocessProbe(options)) as probe:
                begun, [first] = time.monotonic(), probe.check(form, files[:1])
                started = time.monotonic() - begun
                assert not first.fault, first
                begun, used = time.monotonic(), _cpu_of_children()
                faults = [one.fault for one in probe.check(form, files[1:])]
                took = time.monotonic() - begun
            used = _cpu_of_children() - used
            found[name] = {
                "files": count,
                "refused": sum(map(bool, faults)),
                "lost": sum(fault.startswith("the process that loads it") for fault in faults),
                "deaths": sum(fault.startswith("its process") for fault in faults),
                "hangs": sum(fault.startswith("it wasn't") for fault in faults),
                "first_s": started,
                "ms": 1000 * took / count,
                "cpu_s": used,
            }
    print(json.dumps(found))


# A module of PyTorch, and a model with a format of its own.
OWN = """
import json

try:
    import torch
except ImportError:
    torch = None
else:

    class Net(torch.nn.Module):
        def __init__(self, inputs):
            super().__init__()
            self.inputs = inputs
            self.layer = torch.nn.Linear(inputs, 8)
            self.last = torch.nn.Linear(8, 1)

        def forward(self, rows):
            return self.last(self.layer(rows))


class Slopes:
    def __init__(self, values):
        self.values = values

    def predict(self, rows):
        return rows @ self.values


class SlopesFormat:
    name = "slopes"

    def accepts(self, model):
        return isinstance(model, Slopes)

    def dump(self, model):
        return json.dumps(model.values).encode()

    def load(self, payload):
        return Slopes(json.loads(payload)).predict
"""


def _lightgbm() -> Any:
    import lightgbm

    options = {"verbosity": -1, "num_threads": 1}
    return lightgbm.train(options, lightgbm.Dataset(ROWS, LABEL), 10)


def _xgboost() -> Any:
    import xgboost

    return xgboost.train({"nthread": 1}, xgboost.DMatrix(ROWS, LABEL), 10)


def _sklearn() -> Any:
    import skops.io  # noqa: F401 - without it nothing is stored
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(max_iter=10).fit(ROWS, LABEL)


def _onnx() -> Any:
    from skl2onnx import to_onnx
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(10, random_state=1).fit(ROWS, LABEL)
    return to_onnx(forest, ROWS[:1].astype(np.float32))


def _torch() -> Any:
    import_module("torch")
    return import_module("damaged_models").Net(3)


def _own() -> Any:
    return import_module("damaged_models").Slopes([1.0, -2.0, 0.5])


def _cpu_of_children() -> float:
    """CPU seconds of the processes that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


MODELS: Mapping[str, Callable[[], Any]] = {
    "lightgbm": _lightgbm,
    "xgboost": _xgboost,
    "sklearn": _sklearn,
    "onnx": _onnx,
    "torch": _torch,
    "slopes": _own,
}


if __name__ == "__main__":
    main(int(sys.argv[1]))
