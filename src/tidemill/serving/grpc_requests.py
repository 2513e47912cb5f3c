"""Calls of the Open Inference Protocol over gRPC, as the requests over HTTP that ask the same.

Tensors become the binary tensors of a request over HTTP, so both are read and checked by the same code.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec
import numpy as np
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from tidemill.serving.errors import BadRequest, RequestError
from tidemill.serving.grpc_messages import CHOICE, PACKAGE, message_class
from tidemill.serving.tensors import BINARY_SIZE, BYTES, write_tensor

SERVICE = f"{PACKAGE}.GRPCInferenceService"
# The path over HTTP of what a call without a model asks for, and what follows that of a model.
_OF_SERVER = {
    "ServerLive": b"/v2/health/live",
    "ServerReady": b"/v2/health/ready",
    "ServerMetadata": b"/v2",
}
_OF_MODEL = {"ModelReady": "/ready", "ModelMetadata": ""}
INFER = "ModelInfer"
RPCS = (*_OF_SERVER, *_OF_MODEL, INFER)
# Health, which probes ask for without a token.
OPEN = ("ServerLive", "ServerReady")
_CONTENTS: Mapping[str, str] = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    BYTES: "bytes_contents",
}
_classes = {rpc: message_class(f"{rpc}Request") for rpc in RPCS}
_encode = msgspec.json.encode


class HttpRequest(NamedTuple):
    """A request over HTTP. A `fault` is raised when its body is read; it has no path if that isn't known."""

    path: bytes = b""
    method: str = "GET"
    body: bytes = b""
    json_length: int = 0
    fault: RequestError | None = None


class UnknownCall(RequestError):
    """There is no such call."""

    status = 501


def find_rpc(path: bytes) -> str:
    """The name of the call that a path asks for; UnknownCall for one that there isn't."""
    service, _, rpc = path.decode("latin-1").removeprefix("/").partition("/")
    if service != SERVICE or rpc not in RPCS:
        raise UnknownCall(
            f"there is no call {path.decode('latin-1')!r}; {SERVICE} has {', '.join(RPCS)}"
        )
    return rpc


def read_call(rpc: str, payload: bytes) -> HttpRequest:
    """Read the message of a call."""
    kind = _classes[rpc]
    try:
        message = kind.FromString(payload)
    except DecodeError:
        return HttpRequest(
            fault=BadRequest(f"the message of the call is no {rpc}Request, or its text isn't UTF-8")
        )
    if rpc in _OF_SERVER:
        return HttpRequest(_OF_SERVER[rpc])
    try:
        if rpc in _OF_MODEL:
            return HttpRequest(_model_path(message.name, message.version) + _OF_MODEL[rpc].encode())
        path = _model_path(message.model_name, message.model_version) + b"/infer"
    except BadRequest as error:
        return HttpRequest(fault=error)
    try:
        head, parts = _infer_body(message)
    except BadRequest as error:
        return HttpRequest(path, "POST", fault=error)
    return HttpRequest(path, "POST", b"".join((head, *parts)), len(head))


def _model_path(name: str, version: str) -> bytes:
    if not name:
        raise BadRequest("the request names no model")
    path = f"/v2/models/{quote(name, safe='')}"
    return (f"{path}/versions/{quote(version, safe='')}" if version else path).encode()


def _infer_body(message: Any) -> tuple[bytes, Sequence[bytes]]:
    """Return the JSON and the binary data of an infer request."""
    parts = _parts(message)
    document: dict[str, Any] = {"id": message.id} if message.id else {}
    parameters = _parameters(message.parameters, "the request")
    document["parameters"] = {**parameters, "binary_data_output": True}
    document["inputs"] = [
        {
            "name": tensor.name,
            "shape": list(tensor.shape),
            "datatype": tensor.datatype,
            "parameters": {
                **_parameters(tensor.parameters, f"input {tensor.name!r}"),
                BINARY_SIZE: len(part),
            },
        }
        for tensor, part in zip(message.inputs, parts, strict=True)
    ]
    if message.outputs:
        document["outputs"] = [
            {
                "name": output.name,
                "parameters": _parameters(output.parameters, f"output {output.name!r}"),
            }
            for output in message.outputs
        ]
    return _encode(document), parts


def _parts(message: Any) -> Sequence[bytes]:
    """Return the binary data of each input."""
    raw: Sequence[bytes] = message.raw_input_contents
    if not raw:
        return [_packed(tensor) for tensor in message.inputs]
    if len(raw) != len(message.inputs):
        raise BadRequest(
            f"raw_input_contents has {len(raw):,} items, but the request has {len(message.inputs):,} "
            "inputs: each needs one"
        )
    for tensor in message.inputs:
        if tensor.contents.ByteSize():
            raise BadRequest(
                f"input {tensor.name!r} has contents, but the request has raw_input_contents: send one "
                "of them for all inputs"
            )
    return raw


def _packed(tensor: Any) -> bytes:
    """Return the typed values of a tensor as binary data."""
    name, datatype = tensor.name, tensor.datatype
    field = _CONTENTS.get(datatype)
    for given, _ in tensor.contents.ListFields():
        if given.name != field:
            there = f"{field} or raw_input_contents" if field else "raw_input_contents"
            raise BadRequest(
                f"input {name!r} is {datatype}, but has its values in {given.name}: send them in {there}"
            )
    if field is None:
        # There is nothing, and whoever reads the data type says what is wrong with it.
        return b""
    values = getattr(tensor.contents, field)
    if datatype == BYTES:
        return b"".join(part for item in values for part in (len(item).to_bytes(4, "little"), item))
    try:
        return write_tensor(datatype, list(values))
    except OverflowError:
        limits = np.iinfo(datatype.lower())
        bad = next(value for value in values if not limits.min <= value <= limits.max)
        raise BadRequest(f"input {name!r} has {bad}, which {datatype} can't hold") from None


def _parameters(given: Any, what: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, parameter in given.items():
        choice = parameter.WhichOneof(CHOICE)
        value = None if choice is None else getattr(parameter, choice)
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            shown = "no value" if value is None else f"{value}, which isn't a number"
            raise BadRequest(f"parameter {name!r} of {what} is {shown}")
        found[name] = value
    return found
