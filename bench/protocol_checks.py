"""What the Open Inference Protocol says a server does over REST, as checks of a running one."""

from __future__ import annotations

import gzip
import http.client
import json
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

LENGTH = "inference-header-content-length"
_CODES = {"FP64": "d", "FP32": "f", "INT64": "q", "INT32": "i"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply of a server."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Its body as JSON."""
        return json.loads(self.body)


@dataclass(slots=True, kw_only=True)
class Server:
    """A server that has a model, and tensors that the model accepts.

    `version` is the first that its metadata lists, "" if it lists none.
    """

    port: int
    model: str
    tensors: list[dict[str, Any]]
    version: str = field(init=False, default="")

    def __post_init__(self) -> None:
        versions = self.ask(f"/v2/models/{self.model}").json.get("versions")
        self.version = versions[0] if versions else ""

    def ask(self, path: str, body: Any = None, **headers: str) -> Answer:
        """Send a request; what isn't bytes is sent as JSON."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            named.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET" if body is None else "POST", path, body, named)
            found = connection.getresponse()
            received = {name.lower(): value for name, value in found.getheaders()}
            return Answer(found.status, received, found.read())
        finally:
            connection.close()

    def infer(self, body: Any = None, at: str = "", **headers: str) -> Answer:
        """Ask for a prediction; by default of the tensors as they are."""
        sent = self.request() if body is None else body
        return self.ask(f"/v2/models/{self.model}{at}/infer", sent, **headers)

    def request(self, **more: Any) -> dict[str, Any]:
        """A request for a prediction."""
        return {"inputs": [dict(tensor) for tensor in self.tensors], **more}

    def changed(self, **changes: Any) -> dict[str, Any]:
        """A request whose last tensor, which is one of numbers, is another."""
        body = self.request()
        body["inputs"][-1].update(changes)
        return body

    def binary(self, **more: Any) -> tuple[bytes, int]:
        """A request whose tensors of numbers are binary, and the length of its JSON."""
        body, data = self.request(**more), b""
        for tensor in body["inputs"]:
            if tensor["datatype"] in _CODES:
                values = tensor.pop("data")
                part = struct.pack(f"<{len(values)}{_CODES[tensor['datatype']]}", *values)
                tensor["parameters"] = {"binary_data_size": len(part)}
                data += part
        head = json.dumps(body).encode()
        return head + data, len(head)


def _ok(answer: Answer) -> Answer:
    assert answer.status == 200, f"{answer.status} {answer.body[:200]!r}"
    return answer


def _refused(answer: Answer, *statuses: int) -> None:
    assert answer.status in (statuses or (400, 422)), f"{answer.status} {answer.body[:200]!r}"
    assert isinstance(answer.json.get("error"), str), f"no error in {answer.body[:200]!r}"


def _described(metadata: Any, model: str) -> None:
    assert metadata["name"] == model
    assert isinstance(metadata["platform"], str)
    for part in ("inputs", "outputs"):
        assert metadata[part], f"no {part}"
        for tensor in metadata[part]:
            assert tensor["name"]
            assert tensor["datatype"]
            assert isinstance(tensor["shape"], list)


def _answered(server: Server, answer: Answer, **expected: Any) -> list[Any]:
    found = _ok(answer).json
    assert found["model_name"] == server.model
    for name, value in expected.items():
        assert found.get(name) == value, f"{name} is {found.get(name)!r}"
    for output in found["outputs"]:
        assert output["datatype"]
        assert isinstance(output["shape"], list)
    data: list[Any] = found["outputs"][0]["data"]
    return data


def _binary_output(server: Server, answer: Answer) -> None:
    expected = _answered(server, server.infer())
    length = int(_ok(answer).headers[LENGTH])
    output = json.loads(answer.body[:length])["outputs"][0]
    assert output["parameters"]["binary_data_size"] == len(answer.body) - length
    code = _CODES[output["datatype"]]
    assert list(struct.unpack(f"<{len(expected)}{code}", answer.body[length:])) == expected


def _send_binary(server: Server, **more: Any) -> Answer:
    body, length = server.binary(**more)
    octets = "application/octet-stream"
    return server.infer(body, Content_Type=octets, Inference_Header_Content_Length=str(length))


def _metadata_of_server(server: Server) -> None:
    found = _ok(server.ask("/v2")).json
    assert {"name", "version", "extensions"} <= found.keys()


def _binary_is_listed(server: Server) -> None:
    assert "binary_tensor_data" in _ok(server.ask("/v2")).json["extensions"]


def _versions_are_listed(server: Server) -> None:
    assert isinstance(_ok(server.ask(f"/v2/models/{server.model}")).json["versions"], list)


def _id_is_returned(server: Server) -> None:
    _answered(server, server.infer(server.request(id="a7")), id="a7")


def _output_by_name(server: Server) -> None:
    expected = _answered(server, server.infer())
    name = _ok(server.infer()).json["outputs"][0]["name"]
    body = server.request(outputs=[{"name": name}])
    assert _answered(server, server.infer(body)) == expected


def _nested_data(server: Server) -> None:
    tensor = server.tensors[-1]
    rows, columns = [*tensor["shape"], 1][:2]
    data = tensor["data"]
    nested = [data[at * columns : (at + 1) * columns] for at in range(rows)]
    body = server.changed(shape=[rows, columns], data=nested)
    assert _answered(server, server.infer(body)) == _answered(server, server.infer())


def _binary_input(server: Server) -> None:
    assert _answered(server, _send_binary(server)) == _answered(server, server.infer())


def _binary_output_by_name(server: Server) -> None:
    name = _ok(server.infer()).json["outputs"][0]["name"]
    outputs = [{"name": name, "parameters": {"binary_data": True}}]
    _binary_output(server, server.infer(server.request(outputs=outputs)))


def _binary_output_of_all(server: Server) -> None:
    body = server.request(parameters={"binary_data_output": True})
    _binary_output(server, server.infer(body))


def _compressed(encoding: str, pack: Callable[[bytes], bytes]) -> Callable[[Server], None]:
    def check(server: Server) -> None:
        body = pack(json.dumps(server.request()).encode())
        found = _answered(server, server.infer(body, Content_Encoding=encoding))
        assert found == _answered(server, server.infer())

    return check


def _short_data(server: Server) -> None:
    _refused(server.infer(server.changed(data=server.tensors[-1]["data"][:-1])))


def _text_for_numbers(server: Server) -> None:
    _refused(server.infer(server.changed(data=["x"] * len(server.tensors[-1]["data"]))))


CHECKS: Mapping[str, Callable[[Server], Any]] = {
    "the server is live": lambda s: _ok(s.ask("/v2/health/live")),
    "the server is ready": lambda s: _ok(s.ask("/v2/health/ready")),
    "metadata of the server": _metadata_of_server,
    "binary_tensor_data is listed": _binary_is_listed,
    "the model is ready": lambda s: _ok(s.ask(f"/v2/models/{s.model}/ready")),
    "metadata of the model": lambda s: _described(
        _ok(s.ask(f"/v2/models/{s.model}")).json, s.model
    ),
    "versions are listed": _versions_are_listed,
    "unknown model, metadata": lambda s: _refused(s.ask("/v2/models/none"), 404),
    "unknown model, infer": lambda s: _refused(s.ask("/v2/models/none/infer", s.request()), 404),
    "unknown version": lambda s: _refused(s.infer(at="/versions/none"), 404),
    "unknown route": lambda s: _refused(s.ask("/v2/repository/index"), 404),
    "infer in JSON": lambda s: _answered(s, s.infer()),
    "the id is returned": _id_is_returned,
    "an output by name": _output_by_name,
    "an unknown output": lambda s: _refused(s.infer(s.request(outputs=[{"name": "none"}]))),
    "nested data": _nested_data,
    "binary input": _binary_input,
    "binary output by name": _binary_output_by_name,
    "binary output of all": _binary_output_of_all,
    "gzip": _compressed("gzip", gzip.compress),
    "deflate": _compressed("deflate", zlib.compress),
    "broken JSON": lambda s: _refused(s.infer(b'{"inputs": [')),
    "no inputs": lambda s: _refused(s.infer({"inputs": []})),
    "less data than the shape says": _short_data,
    "text for numbers": _text_for_numbers,
}
OF_VERSIONS: Mapping[str, Callable[[Server], Any]] = {
    "a version is ready": lambda s: _ok(s.ask(f"/v2/models/{s.model}/versions/{s.version}/ready")),
    "metadata of a version": lambda s: _described(
        _ok(s.ask(f"/v2/models/{s.model}/versions/{s.version}")).json, s.model
    ),
    "infer with a version": lambda s: _answered(
        s, s.infer(at=f"/versions/{s.version}"), model_version=s.version
    ),
}


def failures(server: Server) -> tuple[int, dict[str, str]]:
    """Return how many checks fit the server, and those that failed with the reason."""
    checks = {**CHECKS, **(OF_VERSIONS if server.version else {})}
    failed = {}
    for name, check in checks.items():
        try:
            check(server)
        # A reply may be anything.
        except (AssertionError, LookupError, ValueError, TypeError, AttributeError, OSError) as why:
            failed[name] = f"{type(why).__name__}: {why}"
    return len(checks), failed
