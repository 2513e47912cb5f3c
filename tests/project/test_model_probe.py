"""Model files are loaded in a process of their own first, which may die."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.support.waiting import until
from tidemill.adapters.model_formats.lightgbm import LightGBMText
from tidemill.core.errors import StorageError
from tidemill.models.golden_rows import with_predictions
from tidemill.ports.formats import GoldenCheck, ModelFormat
from tidemill.project import model_probe
from tidemill.project.model_formats import open_formats
from tidemill.project.model_probe import ProbedFile, SubprocessProbe, installed_version
from tidemill.project.model_probe_server import FormatOptions
from tidemill.store.frames import encode
from tidemill.testing.damage import damaged
from tidemill.testing.records import model_artifact

RNG = np.random.default_rng(3)
TABLE = RNG.random((60, 2))
ROWS = pl.DataFrame(TABLE, schema=["hour", "wind"])
LABEL = TABLE @ np.array([1.0, -2.0])
KNOWN = replace(model_artifact(), inputs=("hour", "wind"), golden="golden")
DAMAGED = 12
SLOW = pytest.mark.slow


def options(root: Path, *formats: str) -> FormatOptions:
    return FormatOptions(home=str(root / "home"), root=str(root), model_formats=formats)


Opener = Callable[[FormatOptions], SubprocessProbe]


@pytest.fixture
def probing() -> Iterator[Opener]:
    """Opens probes whose processes end with the test."""
    with ExitStack() as opened:
        yield lambda opts: opened.enter_context(closing(SubprocessProbe(opts)))


@pytest.fixture
def unshared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Formats of Tidemill have processes of each project, like a project's own."""
    monkeypatch.setattr(model_probe, "_OF_NO_PROJECT", frozenset())


def lightgbm() -> tuple[ModelFormat, Any]:
    library = pytest.importorskip("lightgbm")
    params = {"objective": "l2", "verbosity": -1, "num_threads": 1}
    return LightGBMText(), library.train(params, library.Dataset(TABLE, LABEL), 5)


def faults_of(opts: FormatOptions, form: ModelFormat, files: Sequence[ProbedFile]) -> list[str]:
    """Why each file can't be loaded; "" for those that can."""
    with closing(SubprocessProbe(opts)) as probe:
        return [found.fault for found in probe.check(form, files)]


def golden_of(form: ModelFormat, model: Any) -> bytes:
    return encode(with_predictions(ROWS, np.asarray(form.function(model)(TABLE))))


def test_a_model_that_loads_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, probing: Opener
) -> None:
    form, model = lightgbm()
    (tmp_path / "home").mkdir()
    probe = probing(options(tmp_path))
    payload, golden = form.dump(model), golden_of(form, model)
    probe.confirm(KNOWN, form, payload, golden)
    # Neither another process nor the bytes are needed again.
    again = GoldenCheck(fault="it was asked again")
    monkeypatch.setattr(probe, "check", lambda form, files: [again])
    probe.confirm(KNOWN, form, b"", b"")
    with pytest.raises(
        StorageError, match="lightgbm file of 0 bytes in a process of its own failed: it was asked"
    ):
        probe.confirm(replace(KNOWN, id="another"), form, b"", b"")
    # Another version of the library reads the file in another way.
    monkeypatch.setattr("tidemill.project.model_probe.installed_version", lambda module: "9.9")
    with pytest.raises(StorageError, match="asked again"):
        probe.confirm(KNOWN, form, b"", b"")


def test_a_model_that_predicts_something_else_is_refused(tmp_path: Path, probing: Opener) -> None:
    form, model = lightgbm()
    golden = encode(with_predictions(ROWS, np.asarray(model.predict(TABLE)) + (np.arange(60) == 7)))
    probe = probing(options(tmp_path))
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
    payloads = [b"fine", b"dies", b"exits", b"raises", b"grows", b"loops", b"fine"]
    files = [ProbedFile(artifact=KNOWN, payload=one, golden=golden) for one in payloads]
    faults = faults_of(opts, form, files)
    assert (faults[0], faults[6]) == ("", "")
    assert faults[1] == "its process was ended by SIGABRT"
    assert faults[2] == "its process ended with exit code 3"
    assert faults[3].startswith("ValueError: no model xxx")
    assert len(faults[3]) < 600
    assert faults[4] == "it took more than 0.1 GB of memory"
    assert faults[5] == "it wasn't loaded after 1 s of CPU time"
    monkeypatch.setattr("tidemill.project.model_probe._IDLE", 3)
    hanging = ProbedFile(artifact=KNOWN, payload=b"hangs", golden=golden)
    assert faults_of(opts, form, [hanging]) == ["it wasn't loaded after 3 s"]


@pytest.mark.usefixtures("unshared")
def test_a_process_that_cant_even_start_is_explained(tmp_path: Path) -> None:
    form, model = lightgbm()
    opts = options(tmp_path, "no_such_module:Form")
    [fault] = faults_of(opts, form, [ProbedFile(artifact=KNOWN, payload=form.dump(model))])
    assert fault.startswith("the process that loads it ended: ")
    assert "no_such_module" in fault


def test_a_full_disk_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, probing: Opener
) -> None:
    def full(parts: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "probed_slopes.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    opts = options(tmp_path, "probed_slopes:SlopesFormat")
    file = ProbedFile(artifact=KNOWN, payload=b"[1.0, -2.0]")
    probe = probing(opts)
    with monkeypatch.context() as patch:
        patch.setattr("tidemill.project.model_probe_server._temporary_file", full)
        [found] = probe.check(open_formats(opts)[0], [file])
    assert "folder for temporary files" in found.fault
    assert "No space left on device" in found.fault
    assert found.fault.endswith("free space there, or let TMPDIR name another folder")
    assert probe.check(open_formats(opts)[0], [file])[0].fault == ""


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


NET = """
import torch


class Net(torch.nn.Module):
    def __init__(self, inputs):
        super().__init__()
        self.inputs = inputs
        self.layer = torch.nn.Linear(inputs, 1)

    def forward(self, rows):
        return self.layer(rows)
"""

OWN = """
import json


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


def _torch() -> Any:
    pytest.importorskip("torch", reason="PyTorch is 1.6 GB")
    return pytest.importorskip("probed_nets").Net(2)


def _own() -> Any:
    return pytest.importorskip("probed_slopes").Slopes([1.0, -2.0])


MODELS = {
    "lightgbm": lambda: lightgbm()[1],
    "xgboost": _xgboost,
    "sklearn": _sklearn,
    "onnx": _onnx,
    "torch": _torch,
    "slopes": _own,
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=SLOW if name == "torch" else ()) for name in MODELS]
)
def test_damaged_files_of_no_format_end_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "probed_nets.py").write_text(NET)
    (tmp_path / "probed_slopes.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    opts = options(tmp_path, "probed_slopes:SlopesFormat")
    model = MODELS[name]()
    form = next(form for form in open_formats(opts) if form.name == name)
    payload, golden = bytes(form.dump(model)), golden_of(form, model)
    files = [
        ProbedFile(artifact=KNOWN, payload=one, golden=golden)
        for one in [payload, *damaged(payload, DAMAGED), payload]
    ]
    faults = faults_of(opts, form, files)
    assert len(faults) == DAMAGED + 2
    assert (faults[0], faults[-1]) == ("", "")
    assert sum(map(bool, faults)) > DAMAGED // 4


def test_projects_share_a_process_for_models_that_import_nothing_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, probing: Opener
) -> None:
    monkeypatch.setattr(model_probe, "_shared", {})
    form, model = lightgbm()
    file = ProbedFile(artifact=KNOWN, payload=form.dump(model), golden=golden_of(form, model))
    for name in ("one", "other"):
        probe = probing(options(tmp_path / name))
        assert [found.fault for found in probe.check(form, [file])] == [""]
        probe.close()
    [server] = model_probe._shared.values()
    process = server._running_process()
    [found] = probing(options(tmp_path / "third")).check(form, [file])
    assert (found.fault, server._running_process()) == ("", process)
    server.close()


@pytest.mark.usefixtures("unshared")
def test_one_process_serves_many_files_and_is_replaced_when_it_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, probing: Opener
) -> None:
    started = list[int]()
    begin = subprocess.Popen.__init__

    def noted(process: Any, *arguments: Any, **words: Any) -> None:
        begin(process, *arguments, **words)
        started.append(process.pid)

    monkeypatch.setattr(subprocess.Popen, "__init__", noted)
    form, model = lightgbm()
    file = ProbedFile(artifact=KNOWN, payload=form.dump(model), golden=golden_of(form, model))
    probe = probing(options(tmp_path))
    assert [found.fault for found in probe.check(form, [file] * 3)] == [""] * 3
    assert len(started) == 1
    # What ends it says so, and the next file gets another process.
    os.kill(started[0], signal.SIGKILL)
    [found] = probe.check(form, [file])
    assert found.fault.startswith("the process that loads it ended")
    [found] = probe.check(form, [file])
    assert found.fault == ""
    assert len(started) == 2
    probe.close()
    # One that had nothing to do ended by itself, and that is no fault of the file.
    monkeypatch.setattr("tidemill.project.model_probe_server._IDLE_S", 0.05)
    assert probe.check(form, [file])[0].fault == ""
    until(lambda: not exists(started[2]))
    assert probe.check(form, [file])[0].fault == ""
    assert len(started) == 4


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_does_not_end_the_process_of_its_parent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, probing: Opener
) -> None:
    (tmp_path / "probed_slopes.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    opts = options(tmp_path, "probed_slopes:SlopesFormat")
    form = open_formats(opts)[0]
    file = ProbedFile(artifact=KNOWN, payload=b"[1.0, -2.0]")
    probe = probing(opts)
    assert probe.check(form, [file])[0].fault == ""
    [server] = probe._servers.values()
    before = server._running_process()
    child = os.fork()
    if child == 0:
        probe.close()
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert probe.check(form, [file])[0].fault == ""
    assert server._running_process() is before


def exists(process: int) -> bool:
    """Whether there is a process, were it a zombie."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_versions_of_modules() -> None:
    assert installed_version("polars") == pl.__version__
    assert installed_version("no_such_module") == ""
