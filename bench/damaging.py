"""Load damaged files of each model format, as the first load of a model does: `python damaging.py COUNT`.

Reports for each format how many files were refused, and how many ended the process that loaded them. That
this process reports at all shows that none ended it.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from tidemill.models.golden_rows import with_predictions
from tidemill.project.model_formats import open_formats
from tidemill.project.model_probe import FormatOptions, ProbedFile, SubprocessProbe
from tidemill.store.frames import encode
from tidemill.testing.records import model_artifact

ROWS = np.random.default_rng(1).normal(size=(300, 3))
LABEL = ROWS @ np.array([1.0, -2.0, 0.5])


def main(count: int) -> None:
    """Damage `count` files of each format whose library is installed."""
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as home:
        options = FormatOptions(home=home, root=home)
        forms = {form.name: form for form in open_formats(options)}
        for name, train in MODELS.items():
            try:
                form, model = forms[name], train()
            except ImportError:
                continue
            payload = form.dump(model)
            predicted = np.asarray(form.function(model)(ROWS), dtype=float).reshape(len(ROWS))
            golden = encode(with_predictions(pl.DataFrame(ROWS, schema=["a", "b", "c"]), predicted))
            known = replace(model_artifact(), inputs=("a", "b", "c"))
            files = [
                ProbedFile(artifact=known, payload=one, golden=golden)
                for one in [payload, *damaged(payload, count)]
            ]
            begun = time.monotonic()
            good, *faults = SubprocessProbe(options).find_faults(form, files)
            assert not good, good
            found[name] = {
                "files": count,
                "refused": sum(map(bool, faults)),
                "lost": sum(fault.startswith("the process that loads it") for fault in faults),
                "deaths": sum(fault.startswith("its process") for fault in faults),
                "hangs": sum(fault.startswith("it wasn't") for fault in faults),
                "ms": 1000 * (time.monotonic() - begun) / (count + 1),
            }
    print(json.dumps(found))


def damaged(payload: bytes, count: int) -> Iterator[bytes]:
    """Bytes that differ from a file: bits flipped, a part cut out, overwritten, or the end missing."""
    chance = random.Random(1)
    for number in range(count):
        found = bytearray(payload)
        at = chance.randrange(len(found))
        match number % 4:
            case 0:
                for _ in range(1 + number % 5):
                    found[chance.randrange(len(found))] ^= 1 << chance.randrange(8)
            case 1:
                del found[at : at + chance.randrange(1, 200)]
            case 2:
                found[at : at + 40] = chance.randbytes(40)
            case _:
                del found[at:]
        yield bytes(found)


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


MODELS: Mapping[str, Callable[[], Any]] = {
    "lightgbm": _lightgbm,
    "xgboost": _xgboost,
    "sklearn": _sklearn,
    "onnx": _onnx,
}


if __name__ == "__main__":
    main(int(sys.argv[1]))
