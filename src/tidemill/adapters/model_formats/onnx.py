"""Store ONNX models as they are, and run them with ONNX Runtime on one thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tidemill.adapters.model_formats.library import require_library
from tidemill.core.errors import TidemillError, UsageError
from tidemill.workflow.model import ClassLabel, Feed

# Operators of other domains need code that isn't in the file.
_DOMAINS = ("", "ai.onnx", "ai.onnx.ml")
_LABELS = ("classlabels_ints", "classlabels_int64s", "classlabels_strings")
_TYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(bool)": "bool",
    "tensor(string)": "object",
}


class OnnxModel:
    """Store an `onnx.ModelProto`, such as skl2onnx and torch.onnx export.

    It has one two-dimensional input with all columns, or one input per column with the column's name.
    """

    name = "onnx"
    modules: tuple[str, ...] = ("onnx", "onnxruntime")
    # Matrix products may depend on how many rows there are.
    is_rowwise = False

    def accepts(self, model: Any) -> bool:
        """Whether `model` is an ONNX model; this imports no library."""
        module = type(model).__module__.partition(".")[0]
        return module == "onnx" and hasattr(model, "graph") and hasattr(model, "SerializeToString")

    def feed(self, model: Any) -> Feed:
        """A float array for a model with one input."""
        return "matrix" if len(_inputs(model)) == 1 else "frame"

    def classes(self, model: Any) -> Sequence[ClassLabel]:
        """The labels that an operator of the model names."""
        for graph in _graphs(model):
            for node in graph.node:
                for attribute in node.attribute:
                    if attribute.name in _LABELS and (attribute.ints or attribute.strings):
                        return list(attribute.ints) or [word.decode() for word in attribute.strings]
        return ()

    def function(self, model: Any) -> Callable[[Any], Any]:
        """The prediction of a session with the model."""
        return predict_with(open_session(model.SerializeToString()), self.classes(model))

    def dump(self, model: Any) -> bytes:
        """The model's bytes; UsageError if it needs other files or operators of other domains."""
        if fault := _fault(model):
            raise UsageError(f"the ONNX model {fault}")
        return bytes(model.SerializeToString())

    def load(self, payload: bytes) -> Callable[[Any], Any]:
        """The prediction of a session of one thread; TidemillError for a model that needs other files."""
        # The parsed model is released before a session parses it again.
        labels = self.classes(self.restore(payload))
        return predict_with(open_session(payload), labels)

    def restore(self, payload: bytes) -> Any:
        """The model as `onnx.ModelProto`; TidemillError for one that needs other files."""
        model = require_library("onnx").load_model_from_string(payload)
        if fault := _fault(model):
            raise TidemillError(f"the ONNX model {fault}")
        return model


def open_session(payload: bytes) -> Any:
    """A session of one thread with a model; only for bytes that `OnnxModel.load` has loaded before."""
    runtime = require_library("onnxruntime")
    # Only the builds for Windows send any.
    runtime.disable_telemetry_events()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return runtime.InferenceSession(payload, options, providers=["CPUExecutionProvider"])


def has_labelled_output(session: Any) -> bool:
    """Whether the predictions of a session are a dictionary per row, by label."""
    outputs = session.get_outputs()
    chosen = _choose_output(outputs)
    return any(item.name == chosen and item.type.startswith("seq(map") for item in outputs)


def predict_with(session: Any, labels: Sequence[ClassLabel]) -> Callable[[Any], Any]:
    """The prediction function of a session; `labels` are the keys of dictionaries, if it returns them."""
    inputs = session.get_inputs()
    output = _choose_output(session.get_outputs())

    def predict(table: Any) -> Any:
        if len(inputs) == 1 and hasattr(table, "astype"):
            rows = {inputs[0].name: _without_missing(inputs[0], table)}
        else:
            rows = {item.name: _column(table, item) for item in inputs}
        [found] = session.run([output], rows)
        # A dictionary per row has the classes in their sorted order.
        if isinstance(found, list):
            return [[row[label] for label in labels] for row in found]
        return found

    return predict


def _choose_output(outputs: Sequence[Any]) -> str:
    """The output that holds numbers: classifiers return the label, too."""
    for item in outputs:
        if item.type.startswith(("tensor(float", "tensor(double", "seq(map")):
            return str(item.name)
    return str(outputs[0].name)


def _column(table: Any, item: Any) -> Any:
    """A column of a frame as a tensor with one column; null is NaN, or an empty text."""
    values = table[item.name]
    if _type_of(item) == "object":
        return values.cast(str).fill_null("").to_numpy().astype(object).reshape(-1, 1)
    # With nulls, Polars gives objects for booleans.
    found = (values.cast(float) if values.null_count() else values).to_numpy()
    return _without_missing(item, found).reshape(-1, 1)


def _without_missing(item: Any, values: Any) -> Any:
    """Floats in the type of an input; UsageError for NaN in one of whole numbers."""
    kind = _type_of(item)
    # A cast would make some number of it.
    if not kind.startswith("float") and (values != values).any():
        raise UsageError(
            f"the ONNX model's input {item.name!r} is of the type {kind}, which has no missing values: fill "
            "them in a transform, or export the model with inputs of floats"
        )
    return values.astype(kind)


def _type_of(item: Any) -> str:
    if item.type not in _TYPES:
        raise TidemillError(f"the ONNX model's input {item.name!r} is a {item.type}")
    return _TYPES[item.type]


def _inputs(model: Any) -> list[Any]:
    """The inputs of a model that aren't weights."""
    weights = {item.name for item in model.graph.initializer}
    return [item for item in model.graph.input if item.name not in weights]


def _fault(model: Any) -> str:
    """Why a model isn't self-contained; empty if it is."""
    for graph in _graphs(model):
        for tensor in _tensors(graph):
            if tensor.external_data or tensor.data_location == 1:
                return (
                    f"keeps the tensor {tensor.name!r} in another file: store the weights in the model "
                    "(onnx.save_model(..., save_as_external_data=False))"
                )
        for node in graph.node:
            if node.domain not in _DOMAINS:
                return (
                    f"uses the operator {node.op_type!r} of {node.domain!r}, which needs code outside of it: "
                    "only operators of ai.onnx and ai.onnx.ml are run"
                )
    return ""


def _graphs(model: Any) -> Iterator[Any]:
    """The graph of a model, its functions, and the graphs in their operators."""
    left = [model.graph, *model.functions]
    while left:
        graph = left.pop(0)
        yield graph
        for node in graph.node:
            for attribute in node.attribute:
                left += [attribute.g] if attribute.HasField("g") else []
                left += attribute.graphs


def _tensors(graph: Any) -> Iterator[Any]:
    """The tensors of a graph or a function; only graphs have initial values."""
    yield from getattr(graph, "initializer", ())
    sparse = [*getattr(graph, "sparse_initializer", ())]
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            if attribute.HasField("sparse_tensor"):
                sparse.append(attribute.sparse_tensor)
            yield from attribute.tensors
            sparse += attribute.sparse_tensors
    for each in sparse:
        yield from (each.values, each.indices)
