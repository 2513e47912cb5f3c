"""A crafted model file reaches no code: only types of our list are constructed, and nothing is called."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest

from tidemill.adapters.model_formats.sklearn import SklearnSkops
from tidemill.core.errors import TidemillError

np = pytest.importorskip("numpy")
pytest.importorskip("skops")

Node = dict[str, Any]


def node(loader: str, name: str, **content: Any) -> Node:
    module, _, kind = name.rpartition(".")
    return {"__class__": kind, "__module__": module, "__loader__": loader, **content}


def text(value: object) -> Node:
    return node("JsonNode", "builtins.str", content=json.dumps(value))


def several(*nodes: Node) -> Node:
    return node("TupleNode", "builtins.tuple", content=[*nodes])


def mapping(**nodes: Node) -> Node:
    keys = [node("TypeNode", "builtins.str") for _ in nodes]
    kinds = node("ListNode", "builtins.list", content=keys)
    return node("DictNode", "builtins.dict", content=nodes, key_types=kinds)


def function(name: str) -> Node:
    module, _, own = name.rpartition(".")
    # The first protocol named a function in its content.
    return node("FunctionNode", name, content={"module_path": module, "function": own})


def transformer(**attributes: Node) -> Node:
    name = "sklearn.preprocessing._function_transformer.FunctionTransformer"
    return node("ObjectNode", name, content=mapping(**attributes))


def crafted(schema: Node, protocol: int, **entries: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("schema.json", json.dumps({**schema, "protocol": protocol}))
        for name, payload in entries.items():
            file.writestr(f"{name}.npy", payload)
    return packed.getvalue()


SYSTEM = function("os.system")
PARTIAL = {
    "func": function("numpy.mean"), "args": several(text(1)), "kwds": mapping(), "namespace": text(None)
}  # fmt: skip
CRAFTED: dict[str, tuple[Node, str]] = {
    "a function": (SYSTEM, "os.system"),
    "a type": (node("TypeNode", "os.system"), "os.system"),
    "an object": (node("ObjectNode", "os.system", content=mapping()), "os.system"),
    "a reader of pickles": (function("numpy.load"), "numpy.load"),
    "a maker of functions": (function("numpy.frompyfunc"), "numpy.frompyfunc"),
    "a class as a function": (function("sklearn.pipeline.Pipeline"), "sklearn.pipeline.Pipeline"),
    "a partial function": (
        node("PartialNode", "functools.partial", content=PARTIAL), "functools.partial"
    ),
    "a call": (
        node("OperatorFuncNode", "operator.call", attrs=several(SYSTEM, text("true"))), "operator.call"
    ),
    "a call of a method": (
        node("OperatorFuncNode", "operator.methodcaller", attrs=several(text("fit"))),
        "operator.methodcaller",
    ),
    "a method": (
        {
            **transformer(func=function("numpy.mean")),
            "__loader__": "MethodNode",
            "content": {"func": "__reduce__", "obj": transformer(func=function("numpy.mean"))},
        },
        "FunctionTransformer.__reduce__",
    ),
}  # fmt: skip


@pytest.mark.parametrize("protocol", [0, 1, 2])
@pytest.mark.parametrize("kind", CRAFTED)
def test_a_crafted_file_is_refused(kind: str, protocol: int) -> None:
    schema, name = CRAFTED[kind]
    for whole in (schema, transformer(func=schema)):
        with pytest.raises(TidemillError, match=rf"contains .*{name}.*, which isn't trusted"):
            SklearnSkops().load(crafted(whole, protocol))


def test_an_array_of_objects_is_not_unpickled() -> None:
    pickled = io.BytesIO()
    np.save(pickled, np.array([{}], dtype=object), allow_pickle=True)
    array = node("NdArrayNode", "numpy.ndarray", type="numpy", file="a.npy")
    with pytest.raises(ValueError, match="allow_pickle=False"):
        SklearnSkops().load(crafted(transformer(func=array), 2, a=pickled.getvalue()))
