"""Model files are loaded in a process of their own first, which may die."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from tidemill.adapters.model_formats.lightgbm import LightGBMText
from tidemill.core.errors import StorageError
from tidemill.models.golden_rows import with_predictions
from tidemill.ports.formats import ModelFormat
from tidemill.project.model_formats import open_formats
from tidemill.project.model_probe import (
    FormatOptions,
    ProbedFile,
    SubprocessProbe,
    installed_version,
)
from tidemill.store.frames import encode
from tidemill.testing.records import model_artifact

RNG = np.random.default_rng(3)
TABLE = RNG.random((60, 2))
ROWS = pl.DataFrame(TABLE, schema=["hour", "wind"])
LABEL = TABLE @ np.array([1.0, -2.0])
KNOWN = replace(model_artifact(), inputs=("hour", "wind"), golden="golden")
DAMAGED = 12


def options(root: Path, *formats: str) -> FormatOptions:
    return FormatOptions(home=str(root / "home"), root=str(root), model_formats=formats)


def lightgbm() -> tuple[ModelFormat, Any]:
    library = pytest.importorskip("lightgbm")
    params = {"objective": "l2", "verbosity": -1, "num_threads": 1}
    return LightGBMText(), library.train(params, library.Dataset(TABLE, LABEL), 5)


def golden_of(form: ModelFormat, model: Any) -> bytes:
    return encode(with_predictions(ROWS, np.asarray(form.function(model)(TABLE))))


def test_a_model_that_loads_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    form, model = lightgbm()
    probe = SubprocessProbe(options(tmp_path))
    payload, golden = form.dump(model), golden_of(form, model)
    probe.confirm(KNOWN, form, payload, golden)
    # Neither another process nor the bytes are needed again.
    monkeypatch.setattr(probe, "find_faults", lambda form, files: ["it was asked again"])
    probe.confirm(KNOWN, form, b"", b"")
    with pytest.raises(
        StorageError, match="of 0 bytes in a process of its own failed: it was asked"
    ):
        probe.confirm(replace(KNOWN, id="another"), form, b"", b"")
    # Another version of the library reads the file in another way.
    monkeypatch.setattr("tidemill.project.model_probe.installed_version", lambda module: "9.9")
    with pytest.raises(StorageError, match="asked again"):
        probe.confirm(KNOWN, form, b"", b"")


def test_a_model_that_predicts_something_else_is_refused(tmp_path: Path) -> None:
    form, model = lightgbm()
    golden = encode(with_predictions(ROWS, np.asarray(model.predict(TABLE)) + (np.arange(60) == 7)))
    probe = SubprocessProbe(options(tmp_path))
    with pytest.raises(StorageError, match=r"it predicts .* where it predicted .* for \{'hour'"):
        probe.confirm(KNOWN, form, form.dump(model), golden)


FORMATS = """
import os
import time


class Form:
    is_rowwise = True
    modules = ("json",)

    def accepts(self, model):
        return False

    def dump(self, model):
        return b""


class Odd(Form):
    name = "odd"

    def load(self, payload):
        print("noise on the standard output")
        if payload == b"dies":
            os.abort()
        if payload == b"exits":
            os._exit(3)
        if payload == b"raises":
            raise ValueError("no model " + "x" * 10_000)
        if payload == b"grows":
            held = [bytearray(os.urandom(1 << 20)) for _ in range(400)]
            time.sleep(60)
        if payload == b"hangs":
            time.sleep(60)
        while payload == b"loops":
            pass
        return lambda table: table[:, 0]
"""


def test_every_way_to_fail_is_reported_and_ends_no_other_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "odd_formats.py").write_text(FORMATS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("tidemill.project.model_probe._SECONDS", 1.0)
    monkeypatch.setattr("tidemill.project.model_probe._MEMORY", 100 << 20)
    opts = options(tmp_path, "odd_formats:Odd")
    form = open_formats(opts)[0]
    golden = encode(with_predictions(ROWS, TABLE[:, 0]))
    payloads = [b"fine", b"dies", b"exits", b"raises", b"grows", b"hangs", b"loops", b"fine"]
    files = [ProbedFile(artifact=KNOWN, payload=one, golden=golden) for one in payloads]
    faults = SubprocessProbe(opts).find_faults(form, files)
    assert (faults[0], faults[7]) == ("", "")
    assert faults[1] == "its process was ended by SIGABRT"
    assert faults[2] == "its process ended with exit code 3"
    assert faults[3].startswith("ValueError: no model xxx")
    assert len(faults[3]) < 600
    assert faults[4] == "it took more than 0.1 GB of memory"
    assert faults[6] == "it wasn't loaded after 1 s of CPU time"
    assert faults[5] == "it wasn't loaded after 20 s"


def test_a_process_that_cant_even_start_is_explained(tmp_path: Path) -> None:
    form, model = lightgbm()
    opts = options(tmp_path, "no_such_module:Form")
    [fault] = SubprocessProbe(opts).find_faults(
        form, [ProbedFile(artifact=KNOWN, payload=form.dump(model))]
    )
    assert fault.startswith("the process that loads it ended: ")
    assert "no_such_module" in fault


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


def _xgboost() -> Any:
    library = pytest.importorskip("xgboost")
    return library.train({"nthread": 1}, library.DMatrix(TABLE, LABEL), 5)


def _sklearn() -> Any:
    pytest.importorskip("skops")
    ensemble = pytest.importorskip("sklearn.ensemble")
    return ensemble.HistGradientBoostingRegressor(max_iter=5).fit(TABLE, LABEL)


def _onnx() -> Any:
    convert = pytest.importorskip("skl2onnx").to_onnx
    pytest.importorskip("onnxruntime")
    linear = pytest.importorskip("sklearn.linear_model").LinearRegression()
    return convert(linear.fit(TABLE, LABEL), TABLE[:1].astype(np.float32))


MODELS = {
    "lightgbm": lambda: lightgbm()[1],
    "xgboost": _xgboost,
    "sklearn": _sklearn,
    "onnx": _onnx,
}


@pytest.mark.parametrize("name", MODELS)
def test_damaged_files_of_no_format_end_this_process(tmp_path: Path, name: str) -> None:
    model, opts = MODELS[name](), options(tmp_path)
    form = next(form for form in open_formats(opts) if form.name == name)
    payload, golden = form.dump(model), golden_of(form, model)
    files = [
        ProbedFile(artifact=KNOWN, payload=one, golden=golden)
        for one in [payload, *damaged(payload, DAMAGED), payload]
    ]
    faults = SubprocessProbe(opts).find_faults(form, files)
    assert len(faults) == DAMAGED + 2
    assert (faults[0], faults[-1]) == ("", "")
    assert sum(map(bool, faults)) > DAMAGED // 4


def test_versions_of_modules() -> None:
    assert installed_version("polars") == pl.__version__
    assert installed_version("no_such_module") == ""
