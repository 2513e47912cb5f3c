"""One request for predictions, sent over HTTP and over gRPC."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import grpc  # type: ignore[import-untyped]
from tritonclient.grpc import service_pb2  # type: ignore[import-untyped]

from tests.support.serving import Reply, Served

SERVICE = "/inference.GRPCInferenceService"
LENGTH = "inference-header-content-length"


class Tensor(NamedTuple):
    """An input as binary data."""

    name: str
    datatype: str
    shape: Sequence[int]
    raw: bytes


def texts(*values: bytes) -> bytes:
    """Items of BYTES as binary data."""
    return b"".join(len(value).to_bytes(4, "little") + value for value in values)


class Outcome(NamedTuple):
    """How a call ended: code, message, trailers, and the response if it has one."""

    code: grpc.StatusCode
    message: str
    trailers: Mapping[str, str]
    response: Any


def call(
    channel: grpc.Channel, rpc: str, request: Any, *, timeout: float | None = 60, **metadata: str
) -> Outcome:
    """Make a call; a request that isn't bytes is a message. Names of metadata have `_` for `-`."""
    response = getattr(service_pb2, f"{rpc}Response").FromString
    ask = channel.unary_unary(f"{SERVICE}/{rpc}", response_deserializer=response)
    payload = request if isinstance(request, bytes) else request.SerializeToString()
    sent = [(name.replace("_", "-"), value) for name, value in metadata.items()]
    try:
        found, ended = ask.with_call(payload, timeout=timeout, metadata=sent)
    except grpc.RpcError as error:
        ended, found = error, None
    trailers = {**dict(ended.initial_metadata()), **dict(ended.trailing_metadata())}
    return Outcome(ended.code(), ended.details(), trailers, found)


def request_of(
    tensors: Sequence[Tensor],
    *,
    model: str = "demand",
    version: str = "",
    outputs: Sequence[str] = (),
    **parameters: Any,
) -> Any:
    """The message of a request."""
    request = service_pb2.ModelInferRequest(
        model_name=model,
        model_version=version,
        inputs=[{"name": t.name, "datatype": t.datatype, "shape": t.shape} for t in tensors],
        outputs=[{"name": name} for name in outputs],
        raw_input_contents=[tensor.raw for tensor in tensors],
    )
    for name, value in parameters.items():
        kind = {bool: "bool_param", int: "int64_param", str: "string_param", float: "double_param"}
        setattr(request.parameters[name], kind[type(value)], value)
    return request


def ask_over_http(
    server: Served,
    tensors: Sequence[Tensor],
    *,
    model: str = "demand",
    version: str = "",
    outputs: Sequence[str] = (),
    **parameters: Any,
) -> Reply:
    """Send the same request over HTTP, with binary tensors."""
    document: dict[str, Any] = {
        "parameters": {**parameters, "binary_data_output": True},
        "inputs": [
            {
                "name": tensor.name,
                "shape": list(tensor.shape),
                "datatype": tensor.datatype,
                "parameters": {"binary_data_size": len(tensor.raw)},
            }
            for tensor in tensors
        ],
    }
    if outputs:
        document["outputs"] = [{"name": name} for name in outputs]
    head = json.dumps(document).encode()
    body = head + b"".join(tensor.raw for tensor in tensors)
    path = f"/v2/models/{model}" + (f"/versions/{version}" if version else "")
    headers = {LENGTH: str(len(head)), "content-type": "application/octet-stream"}
    return server.ask(f"{path}/infer", body, headers=headers)


def binary_outputs(reply: Reply) -> list[bytes]:
    """The binary data of each output of a reply over HTTP."""
    at = int(reply.headers[LENGTH])
    found = []
    for output in json.loads(reply.body[:at])["outputs"]:
        size = output["parameters"]["binary_data_size"]
        found.append(reply.body[at : at + size])
        at += size
    return found
