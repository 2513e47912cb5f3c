"""Requests to a server of MLflow, and everything that may go wrong with them; the server is a stand-in."""

from __future__ import annotations

import json
import threading
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from typing import Any

import pytest

from tidemill.adapters.mlflow.rest_client import Credentials, RestClient
from tidemill.core.errors import RefusedError, SendError


@dataclass
class StandIn:
    """Answers the next request with a status and a text; keeps what it was asked."""

    url: str = ""
    status: int = 200
    text: bytes = b"{}"
    hold: threading.Event | None = None
    close: bool = False
    drip_s: float = 0.0
    chunks: bool = False
    cut: int = 0
    asked: list[tuple[str, str, bytes, Mapping[str, str]]] = field(default_factory=list)


def write_body(found: StandIn, stream: BufferedIOBase) -> None:
    """Write the text: at once, slowly, or in chunks."""
    if found.drip_s:
        with suppress(OSError):
            for byte in found.text:
                stream.write(bytes([byte]))
                time.sleep(found.drip_s)
    elif found.chunks:
        half = len(found.text) // 2
        for part in (found.text[:half], found.text[half:], b""):
            stream.write(b"%x\r\n%s\r\n" % (len(part), part))
    else:
        stream.write(found.text)


@contextmanager
def stand_in() -> Iterator[StandIn]:
    found = StandIn()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            found.asked.append((self.command, self.path, body, dict(self.headers)))
            if found.hold is not None:
                found.hold.wait(60)
            if found.close:
                self.close_connection = True
                return
            self.send_response(found.status)
            if found.chunks:
                self.send_header("Transfer-Encoding", "chunked")
            else:
                self.send_header("Content-Length", str(len(found.text) + found.cut))
            self.send_header("Location", "http://127.0.0.1:9/")
            self.end_headers()
            self.close_connection = bool(found.cut)
            write_body(found, self.wfile)

        do_GET = do_POST = do_PUT = answer

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_calls_and_files() -> None:
    with stand_in() as server, closing(RestClient(f"{server.url}/at/")) as client:
        server.text = b'{"run": 1}'
        assert client.call("POST", "runs/create", {"a": 1}) == {"run": 1}
        client.call("GET", "runs/get", {"run_id": "a b"})
        files = [{"path": "a", "file_size": "3"}, {"path": "b", "is_dir": True}, {"path": "c"}]
        server.text = json.dumps({"files": files}).encode()
        assert client.list_files("mlflow-artifacts:/1/m") == {"a": 3, "b": None, "c": 0}
        server.text = b"\x00\x01"
        assert client.read_file("mlflow-artifacts://host:5000/1/m/ä b") == b"\x00\x01"
        client.write_file("mlflow-artifacts:/1/x", memoryview(b"123"))
        server.text = b"{}"
        assert client.list_files("mlflow-artifacts:/1/empty") == {}
    assert [(method, path, body) for method, path, body, _ in server.asked] == [
        ("POST", "/at/api/2.0/mlflow/runs/create", b'{"a": 1}'),
        ("GET", "/at/api/2.0/mlflow/runs/get?run_id=a+b", b""),
        ("GET", "/at/api/2.0/mlflow-artifacts/artifacts?path=1%2Fm", b""),
        ("GET", "/at/api/2.0/mlflow-artifacts/artifacts/1/m/%C3%A4%20b", b""),
        ("PUT", "/at/api/2.0/mlflow-artifacts/artifacts/1/x", b"123"),
        ("GET", "/at/api/2.0/mlflow-artifacts/artifacts?path=1%2Fempty", b""),
    ]


@pytest.mark.parametrize(
    ("credentials", "header"),
    [
        (Credentials(), None),
        (Credentials(user="ana", password="p"), f"Basic {b64encode(b'ana:p').decode()}"),
        (Credentials(user="ana", password="p", token="t"), "Bearer t"),
    ],
)
def test_credentials_are_in_a_header(credentials: Credentials, header: str | None) -> None:
    with stand_in() as server, closing(RestClient(server.url, credentials=credentials)) as client:
        client.call("GET", "runs/get")
    [(*_, headers)] = server.asked
    assert headers.get("Authorization") == header


@pytest.mark.parametrize(
    ("status", "text", "message"),
    [
        (503, b"busy", "answered 503 Service Unavailable: busy"),
        (429, b'{"message": "slow\\u001b[31m"}', "answered 429 Too Many Requests: slow"),
        (200, b"<html>", "doesn't answer as MLflow does: '<html>'"),
        (200, b"[]", "doesn't answer as MLflow does"),
    ],
)
def test_a_server_that_may_answer_later(status: int, text: bytes, message: str) -> None:
    with stand_in() as server, closing(RestClient(server.url)) as client:
        server.status, server.text = status, text
        with pytest.raises(SendError) as caught:
            client.call("GET", "runs/get")
    assert not isinstance(caught.value, RefusedError)
    assert message in str(caught.value)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "text", "code"),
    [
        (
            400,
            {"error_code": "RESOURCE_ALREADY_EXISTS", "message": "it is there"},
            "RESOURCE_ALREADY_EXISTS",
        ),
        (403, "no", ""),
        # No redirect is followed: credentials aren't sent elsewhere.
        (302, "elsewhere", ""),
    ],
)
def test_a_request_that_is_refused(status: int, text: Any, code: str) -> None:
    with stand_in() as server, closing(RestClient(server.url)) as client:
        server.status, server.text = status, json.dumps(text).encode()
        with pytest.raises(RefusedError, match=f"answered {status} ") as caught:
            client.call("POST", "runs/create")
    assert caught.value.code == code
    assert len(server.asked) == 1


def test_a_place_that_only_the_server_reads() -> None:
    with closing(RestClient("http://127.0.0.1:9")) as client, pytest.raises(RefusedError) as caught:
        client.read_file("s3://bucket/model")
    assert "doesn't pass on what is at s3://bucket/model" in str(caught.value)


def test_a_server_that_is_away() -> None:
    with (
        closing(RestClient("http://127.0.0.1:9")) as client,
        pytest.raises(SendError, match="can't be reached"),
    ):
        client.call("GET", "runs/get")


def test_a_server_that_hangs_up() -> None:
    with stand_in() as server, closing(RestClient(server.url)) as client:
        server.close = True
        with pytest.raises(SendError, match="can't be reached"):
            client.call("POST", "runs/create")
        # It may have carried the request out, so it isn't repeated.
        assert len(server.asked) == 1
        server.close = False
        assert client.call("POST", "runs/create") == {}


def test_a_server_that_hangs_is_waited_for_only_so_long() -> None:
    hold = threading.Event()
    with stand_in() as server, closing(RestClient(server.url, timeout_s=0.1)) as client:
        server.hold = hold
        try:
            with pytest.raises(SendError, match="didn't answer in time"):
                client.call("GET", "runs/get")
        finally:
            hold.set()


def test_all_requests_together_have_a_time() -> None:
    with stand_in() as server, closing(RestClient(server.url, within_s=0.0)) as client:
        with pytest.raises(SendError, match="took too long"):
            client.call("GET", "runs/get")
        assert not server.asked


def test_an_answer_that_comes_slowly_has_that_time_as_well() -> None:
    with stand_in() as server, closing(RestClient(server.url, within_s=1.0)) as client:
        server.text, server.drip_s = b" " * 6_000, 0.01
        with pytest.raises(SendError, match="took too long"):
            client.call("GET", "runs/get")


@pytest.mark.parametrize("chunks", [False, True])
def test_a_large_answer_comes_whole_over_one_connection(chunks: bool) -> None:
    with stand_in() as server, closing(RestClient(server.url)) as client:
        server.text, server.chunks = bytes(range(256)) * 20_000, chunks
        for _ in range(2):
            assert client.read_file("mlflow-artifacts:/1/m") == server.text
        server.text = b"{}"
        assert client.call("GET", "runs/get") == {}


def test_an_answer_that_is_cut_off_is_none() -> None:
    with stand_in() as server, closing(RestClient(server.url)) as client:
        server.text, server.cut = b"{}", 3
        with pytest.raises(SendError, match="can't be reached, IncompleteRead"):
            client.call("GET", "runs/get")


def test_an_idle_connection_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill.adapters.mlflow.rest_client._IDLE_S", -1.0)
    with stand_in() as server, closing(RestClient(server.url)) as client:
        client.call("GET", "runs/get")
        client.call("GET", "runs/get")
    assert len(server.asked) == 2


def test_an_answer_without_what_it_should_have_is_an_error() -> None:
    with stand_in() as server, closing(RestClient(server.url)) as client:
        server.text = b'{"experiment": {"name": "a"}}'
        found = client.call("GET", "experiments/get-by-name", {"experiment_name": "a"})
        assert found["experiment"].get("lifecycle_stage") is None
        with pytest.raises(SendError, match=r"as MLflow does: there is no 'experiment_id'"):
            found["experiment"]["experiment_id"]
