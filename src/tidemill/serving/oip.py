"""The replies of the Open Inference Protocol, version 2, over REST."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from tidemill.contracts.column import Column
from tidemill.serving.answers import AnswerForm, ModelAnswer, OutputTensor, ServedVersion, as_list
from tidemill.serving.errors import BadRequest
from tidemill.serving.rows import InferRequest, Rejected
from tidemill.serving.tensors import datatype_of, write_tensor

JSON, BINARY = "application/json", "application/octet-stream"
HEADER_LENGTH = "inference-header-content-length"
# The output with the numbers of the rows that are answered, if some aren't.
ROW = OutputTensor("row", "INT64")
_encode = msgspec.json.encode


class Reply(Struct, frozen=True):
    """The body of a reply, its content type, and more headers."""

    body: bytes
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


def server_metadata(version: str) -> Reply:
    """Describe the server: its name, its version, and the extensions of the protocol that it has."""
    document = {"name": "tidemill", "version": version, "extensions": ["binary_tensor_data"]}
    return Reply(_encode(document))


def live() -> Reply:
    """Say that the server runs."""
    return Reply(_encode({"live": True}))


def ready(is_ready: bool) -> Reply:
    """Say whether all endpoints can answer."""
    return Reply(_encode({"ready": is_ready}))


def model_ready(name: str, is_ready: bool) -> Reply:
    """Say whether an endpoint can answer."""
    return Reply(_encode({"name": name, "ready": is_ready}))


def model_metadata(
    name: str,
    *,
    versions: Sequence[str],
    platform: str,
    columns: Sequence[Column],
    form: AnswerForm,
) -> Reply:
    """Describe a model: its inputs are the columns of its contract, with any number of rows."""
    inputs = [OutputTensor(column.name, datatype_of(column.dtype)) for column in columns]
    document = {
        "name": name,
        "versions": list(versions),
        "platform": platform,
        "inputs": list(map(_described, inputs)),
        "outputs": list(map(_described, form.outputs)),
    }
    return Reply(_encode(document))


def _described(tensor: OutputTensor) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": [-1]}


class InferReplies:
    """Writes the replies of one version of a model to infer requests."""

    def __init__(self, served: ServedVersion, form: AnswerForm) -> None:
        self._outputs = {output.name: at for at, output in enumerate(form.outputs)}
        self._form = form
        self._parameters = served.parameters()
        head = {"model_name": served.model, "model_version": served.version}
        self._head = _encode(head)[:-1]
        self._plain = self._head + b',"parameters":' + _encode(self._parameters)
        self._tensors = tuple(_tensor_parts(output) for output in form.outputs)

    def reply(self, answer: ModelAnswer, request: InferRequest) -> Reply:
        """Return the reply; BadRequest if the request names an output that the model doesn't have."""
        if (
            request.outputs is None
            and not request.binary_output
            and request.rejected is None
            and not answer.parameters
        ):
            return Reply(self._plain_body(answer, request.id))
        return self._full_reply(answer, request)

    def _plain_body(self, answer: ModelAnswer, request_id: str | None) -> bytes:
        """Write all outputs as JSON, from parts that were encoded before."""
        parts = [self._plain]
        if request_id is not None:
            parts += (b',"id":', _encode(request_id))
        size = b"%d" % answer.count
        start = b',"outputs":['
        for (before, after), values in zip(self._tensors, answer.columns, strict=True):
            parts += (start, before, size, after, _encode(as_list(values)))
            start = b"},"
        parts.append(b"}]}")
        return b"".join(parts)

    def _full_reply(self, answer: ModelAnswer, request: InferRequest) -> Reply:
        tensors: list[dict[str, Any]] = []
        tail: list[bytes] = []
        for output, values, is_binary in self._wanted(answer, request):
            tensor: dict[str, Any] = {
                "name": output.name,
                "shape": [answer.count],
                "datatype": output.datatype,
            }
            if is_binary:
                data = write_tensor(output.datatype, values)
                tensor["parameters"] = {"binary_data_size": len(data)}
                tail.append(data)
            else:
                tensor["data"] = as_list(values)
            tensors.append(tensor)
        document: dict[str, Any] = {"parameters": {**self._parameters, **answer.parameters}}
        if request.id is not None:
            document["id"] = request.id
        document["outputs"] = tensors
        if request.rejected is not None:
            document["rejected"] = rejected_document(request.rejected)
        head = self._head + b"," + _encode(document)[1:]
        if not tail:
            return Reply(head)
        return Reply(b"".join((head, *tail)), BINARY, ((HEADER_LENGTH, str(len(head))),))

    def _wanted(
        self, answer: ModelAnswer, request: InferRequest
    ) -> list[tuple[OutputTensor, Sequence[Any], bool]]:
        outputs = self._form.outputs
        if request.outputs is None:
            binary = request.binary_output
            found = [
                (output, values, binary)
                for output, values in zip(outputs, answer.columns, strict=True)
            ]
        else:
            found = []
            for wanted in request.outputs:
                at = self._outputs.get(wanted.name)
                if at is None:
                    listed = ", ".join(map(repr, self._outputs))
                    raise BadRequest(
                        f"the model has no output {wanted.name!r}; its outputs are {listed}"
                    )
                is_binary = wanted.binary or request.binary_output
                found.append((outputs[at], answer.columns[at], is_binary))
        if request.rejected is not None:
            found.append((ROW, request.rejected.kept, False))
        return found


def _tensor_parts(output: OutputTensor) -> tuple[bytes, bytes]:
    """Return what stands before and after the number of rows of an output."""
    before = b'{"name":' + _encode(output.name) + b',"shape":['
    return before, b'],"datatype":"' + output.datatype.encode() + b'","data":'


def rejected_document(rejected: Rejected) -> dict[str, Any]:
    """Return which rows aren't answered, and why, as JSON values."""
    return {
        "rows": rejected.rows,
        "rejected": rejected.rows - len(rejected.kept),
        "count": rejected.count,
        "findings": [item.document() for item in rejected.findings],
    }
