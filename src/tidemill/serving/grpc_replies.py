"""The replies over HTTP, as the messages of the Open Inference Protocol over gRPC."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from tidemill.serving.grpc_messages import message_class
from tidemill.serving.grpc_requests import INFER
from tidemill.serving.tensors import BINARY_SIZE, write_tensor

_decode = msgspec.json.decode
_infer_response = message_class("ModelInferResponse")


def write_message(rpc: str, body: bytes, json_length: int | None) -> bytes:
    """Return the message that answers a call, from the body of a reply and the bytes of JSON in it."""
    return _WRITERS[rpc](body, json_length)


def is_answer(status: int, body: bytes) -> bool:
    """Whether a reply answers a call: what isn't ready says so by 503 over HTTP, without an error."""
    return status == 200 or (status == 503 and b'"ready":' in body)


def _describer(rpc: str, *fields: str) -> Callable[[bytes, int | None], bytes]:
    """Return what writes the fields of a document, with others of its keys left out."""
    kind = message_class(f"{rpc}Response")

    def write(body: bytes, json_length: int | None) -> bytes:
        document = _decode(body)
        found: bytes = kind(**{name: document[name] for name in fields}).SerializeToString()
        return found

    return write


def _write_infer(body: bytes, json_length: int | None) -> bytes:
    document = _decode(body[:json_length])
    message = _infer_response(
        model_name=document["model_name"],
        model_version=document["model_version"],
        id=document.get("id", ""),
    )
    _add_parameters(message.parameters, document["parameters"])
    if "rejected" in document:
        rejected = msgspec.json.encode(document["rejected"]).decode()
        message.parameters["rejected"].string_param = rejected
    at = len(body) if json_length is None else json_length
    for tensor in document["outputs"]:
        datatype = tensor["datatype"]
        message.outputs.add(name=tensor["name"], datatype=datatype, shape=tensor["shape"])
        if "data" in tensor:
            message.raw_output_contents.append(write_tensor(datatype, tensor["data"]))
        else:
            size = tensor["parameters"][BINARY_SIZE]
            message.raw_output_contents.append(body[at : at + size])
            at += size
    found: bytes = message.SerializeToString()
    return found


def _add_parameters(found: Any, given: Mapping[str, str | int | float | bool]) -> None:
    for name, value in given.items():
        found[name].MergeFrom(_parameter(**{_PARAMETERS[type(value)]: value}))


_parameter = message_class("InferParameter")
_PARAMETERS: Mapping[type, str] = {
    bool: "bool_param",
    int: "int64_param",
    str: "string_param",
    float: "double_param",
}
_WRITERS: Mapping[str, Callable[[bytes, int | None], bytes]] = {
    "ServerLive": _describer("ServerLive", "live"),
    "ServerReady": _describer("ServerReady", "ready"),
    "ServerMetadata": _describer("ServerMetadata", "name", "version", "extensions"),
    "ModelReady": _describer("ModelReady", "ready"),
    "ModelMetadata": _describer(
        "ModelMetadata", "name", "versions", "platform", "inputs", "outputs"
    ),
    INFER: _write_infer,
}
