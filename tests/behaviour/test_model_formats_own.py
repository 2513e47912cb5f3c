"""Models of users' own classes: registered formats, pickle, PyTorch, and exports that differ."""

from __future__ import annotations

import re
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.support.tides import day
from tests.support.trained import DAYS, DIABETES, MAE, Trained, diabetes
from tidemill.adapters.model_formats.onnx import OnnxModel
from tidemill.adapters.model_formats.pickle import OwnPickle
from tidemill.adapters.model_formats.torch import TorchSafetensors
from tidemill.core.errors import StorageError, TidemillError, UsageError
from tidemill.project.model_formats import open_formats
from tidemill.project.model_probe import SubprocessProbe
from tidemill.project.model_probe_server import FormatOptions

pytest.importorskip("sklearn")

OWN = """
import json


class Mean:
    def __init__(self, value):
        self.value = value

    def predict(self, rows):
        return [self.value] * len(rows)


class MeanFormat:
    name = "mean"

    def accepts(self, model):
        return isinstance(model, Mean)

    def dump(self, model):
        return json.dumps(model.value).encode()

    def load(self, payload):
        return Mean(json.loads(payload)).predict


class Lossy(MeanFormat):
    name = "lossy"

    def load(self, payload):
        value = json.loads(payload)
        return lambda rows: [value + (row[0] > 60) for row in rows]


class Fatal(MeanFormat):
    name = "fatal"

    def load(self, payload):
        END


class Missing:
    name = "missing"


class Taken(MeanFormat):
    name = "onnx"
"""
TRAIN = """
from own_models import Mean

return tm.fitted(Mean(table["y"].median()), inputs=Features.reads("age"), output="y")
"""


class DictPredictor:
    """A model that can be pickled."""

    def predict(self, rows: list[dict[str, float]]) -> list[float]:
        return [row["x"] for row in rows]


class Own(Trained):
    """A project with a model of its own class."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(root, diabetes(), DIABETES, TRAIN, MAE)
        (root / "own_models.py").write_text(OWN)
        monkeypatch.syspath_prepend(root)
        monkeypatch.delitem(__import__("sys").modules, "own_models", raising=False)

    def use_own(self, *formats: str, pickles: bool = False) -> None:
        """Have formats of the project, as its settings would."""
        options = self.options(*formats, pickles=pickles)
        self.use(formats=open_formats(options), model_probe=SubprocessProbe(options))

    def options(self, *formats: str, pickles: bool = False) -> FormatOptions:
        home = self.root / ".tidemill"
        return FormatOptions(
            home=str(home), root=str(self.root), model_formats=formats, allow_pickle=pickles
        )


def test_a_registered_format_stores_models_of_its_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Own(tmp_path, monkeypatch)
    project.use_own("own_models:MeanFormat")
    project.run()
    assert project.artifact().format == "mean"
    assert project.artifact().export_difference == 0


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ("[self.value + 1] * len(rows)", "it predicts .* where it predicted .* in training"),
        # Of another length: within a second, Python tells a file from its old bytecode by its size only.
        ("[self.worth_now] * len(rows)", "predicting its golden rows failed: AttributeError"),
    ],
)
def test_a_model_whose_code_changed_since_its_training_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str, words: str
) -> None:
    project = Own(tmp_path, monkeypatch)
    project.use(formats=open_formats(project.options("own_models:MeanFormat")))
    project.run()
    assert project.open().model("model", candidate=True).artifact.format == "mean"
    (tmp_path / "own_models.py").write_text(OWN.replace("[self.value] * len(rows)", changed))
    monkeypatch.delitem(__import__("sys").modules, "own_models")
    project.use(formats=open_formats(project.options("own_models:MeanFormat")))
    with pytest.raises(StorageError, match=rf"{words}.*`tidemill run --train model` trains it"):
        project.open().model("model", candidate=True)


def test_what_a_model_predicts_is_recomputed_when_the_code_of_its_format_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Own(tmp_path, monkeypatch)
    project.edit("tm.beats_baseline", "tm.beats_live")
    project.use(formats=open_formats(project.options("own_models:MeanFormat")))
    project.ok()
    assert project.ok() == {}
    changed = OWN.replace("Mean(json.loads(payload)).predict", "Mean(float(payload)).predict")
    (tmp_path / "own_models.py").write_text(changed)
    monkeypatch.delitem(__import__("sys").modules, "own_models")
    project.use(formats=open_formats(project.options("own_models:MeanFormat")))
    reason = "the code of a registered model format changed"
    [state] = project.open().plan().models
    assert state.outdated == (reason,)
    assert state.due == ()
    ran = project.ok()
    assert len(ran.pop("ok deliver out")) == DAYS
    assert ran == {"ok evaluate scores": ["live"]}


def test_an_equal_model_of_other_labels_is_judged_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Own(tmp_path, monkeypatch)
    project.edit('Mean(table["y"].median())', "Mean(100)")
    project.use(formats=open_formats(project.options("own_models:MeanFormat")))
    assert "FAILED beats_baseline(loss)" in project.run().messages[0]
    first = project.artifact()
    assert " was refused on " in project.run().messages[0]
    for number in range(DAYS - 2):
        path = tmp_path / "data" / f"{day(number)}.parquet"
        pl.read_parquet(path).with_columns(pl.col("y") + 900).write_parquet(path)
    assert " approved:" in project.run(train=["model"]).messages[0]
    assert project.artifact().id == first.id


def test_an_export_that_predicts_something_else_is_not_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Own(tmp_path, monkeypatch)
    project.use_own("own_models:Lossy")
    receipt = project.run()
    assert receipt.exit_code == 1
    [message] = [text for text in receipt.messages if "lossy" in text]
    assert message.startswith("model (")
    assert "its export as lossy can't be used" in message
    assert re.search(r"it predicts \S+ where it predicted \S+ in training, for \{'age'", message)
    assert "model" not in project.open().state().heads


@pytest.mark.parametrize(
    ("dumped", "fault"),
    [
        ('"text"', "dump of the format 'mean' returned str: "),
        ("__import__('numpy').eye(4)[:, ::2]", "dump of the format 'mean' returned ndarray: "),
    ],
)
def test_a_format_that_does_not_return_bytes_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dumped: str, fault: str
) -> None:
    project = Own(tmp_path, monkeypatch)
    own = OWN.replace("json.dumps(model.value).encode()", dumped)
    (tmp_path / "own_models.py").write_text(own)
    project.use_own("own_models:MeanFormat")
    receipt = project.run()
    assert receipt.exit_code == 1
    [message] = receipt.messages
    assert fault in message
    assert message.endswith("; return bytes, or a contiguous buffer")


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("__import__('os')._exit(0)", "its process ended with exit code 0"),
        ("__import__('os')._exit(3)", "its process ended with exit code 3"),
        ("__import__('ctypes').string_at(0)", "its process was ended by SIGSEGV"),
        ("__import__('os').abort()", "its process was ended by SIGABRT"),
        ("raise SystemExit(5)", "SystemExit: 5"),
    ],
)
def test_a_fresh_export_that_kills_the_process_fails_its_step_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, words: str
) -> None:
    project = Own(tmp_path, monkeypatch)
    (tmp_path / "own_models.py").write_text(OWN.replace("END", end))
    project.use_own("own_models:Fatal")
    receipt = project.run()
    assert receipt.exit_code == 1
    [message] = receipt.messages
    assert re.match(r"model \(tides.py:\d+\): its export as fatal can't be used", message)
    assert re.search(
        rf"its fatal file of \d+ bytes in a process of its own failed: {words}", message
    )
    assert "nothing was stored" in message
    heads = project.open().state().heads
    assert "model" not in heads
    assert {"features", "labels"} <= heads.keys()
    assert not list((tmp_path / ".tidemill").rglob("*.fatal"))


def test_pickle_is_stored_by_permission_and_loaded_only_where_it_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Own(tmp_path, monkeypatch)
    assert "can't be stored" in project.run().messages[0]
    project.use_own(pickles=True)
    project.run()
    artifact = project.artifact()
    assert artifact.format == "pickle"
    payload = project.open().tools.artifacts.get(artifact.object)
    here = OwnPickle(tmp_path / ".tidemill")
    assert len(here.load(payload)([[1.0], [2.0]])) == 2
    elsewhere = OwnPickle(tmp_path / "data")
    for refused, form in ((payload, elsewhere), (payload[:-1], here), (b"\x80\x05N.", here)):
        with pytest.raises(TidemillError, match="wasn't written by a run of this project's home"):
            form.load(refused)


def test_processes_that_create_the_key_of_pickles_agree(tmp_path: Path) -> None:
    forms = [OwnPickle(tmp_path) for _ in range(8)]
    barrier, payloads = Barrier(len(forms)), list[bytes]()

    def dump(form: OwnPickle) -> None:
        barrier.wait()
        payloads.append(form.dump(DictPredictor()))

    threads = [Thread(target=dump, args=(form,)) for form in forms]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({*payloads}) == 1
    assert len(payloads) == len(forms)
    assert [path.name for path in tmp_path.iterdir()] == ["pickle.key"]
    (tmp_path / "pickle.key").write_bytes(b"")
    with pytest.raises(TidemillError, match="is damaged: restore it, or remove it and train"):
        forms[0].load(payloads[0])


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("own_models:Missing", "has no accepts, dump, load"),
        ("own_models:Nothing", "can't be imported"),
        ("own_models", "is not module:Class"),
        ("own_models:Taken", "there is a format 'onnx' already"),
    ],
)
def test_formats_that_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: str, words: str
) -> None:
    project = Own(tmp_path, monkeypatch)
    with pytest.raises(UsageError, match=words):
        open_formats(project.options(reference))


def test_onnx_models_that_reach_outside_are_refused() -> None:
    onnx = pytest.importorskip("onnx")
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    given = helper.make_tensor_value_info("x", floats, [None, 1])
    made = helper.make_tensor_value_info("y", floats, [None, 1])

    def model(domain: str, weight: Any) -> Any:
        node = helper.make_node("Mul", ["x", "w"], ["y"], domain=domain)
        return helper.make_model(helper.make_graph([node], "g", [given], [made], [weight]))

    weight = helper.make_tensor("w", floats, [1], [2.0])
    form = OnnxModel()
    assert form.dump(model("", weight))
    foreign = model("my.ops", weight)
    outside = onnx.TensorProto(name="w", data_type=floats, dims=[1], data_location=1)
    outside.external_data.add(key="location", value="/etc/passwd")
    sparse = onnx.SparseTensorProto(values=outside, indices=weight, dims=[1])

    def with_function(node: Any) -> Any:
        """A model whose function, or a branch in it, has a node."""
        made = model("", weight)
        versions = [helper.make_opsetid("", 21)]
        made.functions.append(helper.make_function("", "f", ["x"], ["y"], [node], versions))
        return made

    inner = helper.make_graph(
        [helper.make_node("Own", [], ["y"], domain="my.ops")], "g", [], [given]
    )
    for bad, words in (
        (foreign, "operator 'Mul' of 'my.ops'"),
        (model("", outside), "another file"),
        (with_function(helper.make_node("Constant", [], ["y"], value=outside)), "another file"),
        (
            with_function(helper.make_node("Constant", [], ["y"], sparse_value=sparse)),
            "another file",
        ),
        (
            with_function(helper.make_node("If", ["x"], ["y"], then_branch=inner)),
            "operator 'Own' of 'my.ops'",
        ),
    ):
        with pytest.raises(UsageError, match=words):
            form.dump(bad)
        with pytest.raises(TidemillError, match=words):
            form.load(bad.SerializeToString())


NET = """
import torch


class Net(torch.nn.Module):
    def __init__(self, inputs, width=4):
        super().__init__()
        self.inputs, self.width = inputs, width
        self.layers = torch.nn.Sequential(torch.nn.Linear(inputs, width), torch.nn.Linear(width, 1))
        # Shares the memory of another tensor, and of a part of one.
        self.tied = torch.nn.Linear(inputs, width)
        self.tied.weight = self.layers[0].weight
        self.register_buffer("whole", torch.arange(6.0).reshape(2, 3).t())
        self.register_buffer("part", self.whole.t()[1])

    def forward(self, rows):
        return self.layers(rows) + self.part.sum() + self.whole[2, 1]


class Forgetful(torch.nn.Module):
    def __init__(self, size):
        super().__init__()


class Hooked(torch.nn.Module):
    def __init__(self, act):
        super().__init__()
        self.act = act
"""


@pytest.mark.slow
def test_pytorch_modules_are_tensors_and_a_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is 1.6 GB")
    (tmp_path / "own_nets.py").write_text(NET)
    monkeypatch.syspath_prepend(tmp_path)
    nets = pytest.importorskip("own_nets")
    form, rows = TorchSafetensors(), np.ones((3, 2))
    net = nets.Net(2)
    assert form.accepts(net)
    payload = bytes(form.dump(net))
    assert payload == form.dump(net)
    assert np.array_equal(form.load(payload)(rows), form.function(net)(rows))
    for bad, words in (
        (nets.Forgetful(3), "doesn't keep its argument 'size'"),
        (nets.Hooked(lambda rows: rows), "'act' of Hooked is a function, which JSON doesn't have"),
        (torch.nn.Sequential(), "a bare Sequential"),
    ):
        with pytest.raises(UsageError, match=words):
            form.dump(bad)
    evil = payload.replace(b"own_nets:Net", b"os:putenv   ")
    with pytest.raises(
        TidemillError, match=r"names os:putenv.*, which is a module of Python: it isn't"
    ):
        form.load(evil)
    with pytest.raises(TidemillError, match="doesn't name its class"):
        form.load(payload[:20])


def test_onnx_classes_keep_the_order_of_their_labels() -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    given = helper.make_tensor_value_info("x", floats, [None, 2])
    labels = helper.make_node(
        "ZipMap", ["x"], ["y"], domain="ai.onnx.ml", classlabels_int64s=[7, 3]
    )
    kind = helper.make_map_type_proto(
        onnx.TensorProto.INT64, helper.make_tensor_type_proto(floats, [])
    )
    made = helper.make_value_info("y", helper.make_sequence_type_proto(kind))
    model = helper.make_model(
        helper.make_graph([labels], "g", [given], [made]),
        opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)],
        ir_version=8,
    )
    form = OnnxModel()
    assert form.classes(model) == [7, 3]
    assert form.function(model)(np.array([[0.75, 0.25]])) == [[0.75, 0.25]]


@pytest.mark.parametrize("kind", ["INT64", "BOOL"])
def test_an_onnx_input_of_whole_numbers_refuses_missing_values(kind: str) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT

    def model(*names: str) -> Any:
        given = [
            helper.make_tensor_value_info(n, getattr(onnx.TensorProto, kind), [None, 1])
            for n in names
        ]
        nodes = [helper.make_node("Cast", [n], [f"{n}y"], to=floats) for n in names]
        made = [helper.make_tensor_value_info(f"{n}y", floats, [None, 1]) for n in names]
        versions = [helper.make_opsetid("", 18)]
        graph = helper.make_graph(nodes, "g", given, made)
        return helper.make_model(graph, opset_imports=versions, ir_version=8)

    form = OnnxModel()
    predict = form.function(model("x"))
    assert predict(np.array([[1.0], [0.0]])).tolist() == [[1.0], [0.0]]
    words = "input 'x' is of the type .*, which has no missing values"
    with pytest.raises(UsageError, match=words):
        predict(np.array([[1.0], [np.nan]]))
    predict = form.function(model("x", "z"))
    dtype = pl.Int64 if kind == "INT64" else pl.Boolean
    rows = pl.DataFrame({"x": [1, 0], "z": [0, 1]}).cast(dtype)
    assert predict(rows).tolist() == [[1.0], [0.0]]
    with pytest.raises(UsageError, match=words):
        predict(rows.with_columns(x=pl.Series([1, None]).cast(dtype)))


def test_an_unseen_category_is_missing_or_refused(tmp_path: Path) -> None:
    pytest.importorskip("lightgbm")
    train = """
import lightgbm as lgb

encoder = tm.encoder(table, inputs=Features.reads("age", "sex"), unseen="fail")
rows = lgb.Dataset(encoder.transform(table), table["y"].to_numpy())
booster = lgb.train({"verbosity": -1, "num_threads": 1}, rows, 5)
return tm.fitted(booster, inputs=encoder, output="y")
"""
    project = Trained(tmp_path, diabetes(), DIABETES, train, MAE)
    project.run()
    loaded = project.open().model("model", candidate=True)
    rows = pl.DataFrame({"age": [50.0], "sex": ["x"]})
    with pytest.raises(Exception, match="'sex' has 'x', which the training rows don't have"):
        loaded.predict(rows)


def test_a_format_that_can_only_predict_cannot_be_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Own(tmp_path, monkeypatch)
    form = next(
        each
        for each in open_formats(project.options("own_models:MeanFormat"))
        if each.name == "mean"
    )
    with pytest.raises(UsageError, match=r"'mean' has no restore\(payload\)"):
        form.restore(b"4.5")
    own = OWN.replace(
        "return Mean(json.loads(payload)).predict\n\n\nclass Lossy",
        "return self.restore(payload).predict\n\n"
        "    def restore(self, payload):\n        return Mean(json.loads(payload))\n\n\nclass Lossy",
    )
    (tmp_path / "own_models.py").write_text(own)
    monkeypatch.delitem(__import__("sys").modules, "own_models")
    form = next(
        each
        for each in open_formats(project.options("own_models:MeanFormat"))
        if each.name == "mean"
    )
    assert form.restore(b"4.5").value == 4.5


def test_models_are_restored_in_their_own_class(tmp_path: Path) -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    model = linear.LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0])
    pickles = OwnPickle(tmp_path)
    assert pickles.restore(pickles.dump(model)).coef_ == pytest.approx(model.coef_)
    with pytest.raises(TidemillError, match="wasn't written by a run of this project's home"):
        pickles.restore(b"anything")
    skl2onnx = pytest.importorskip("skl2onnx")
    converted = skl2onnx.to_onnx(model, np.zeros((1, 1), dtype=np.float32))
    form = OnnxModel()
    assert form.restore(form.dump(converted)) == converted
