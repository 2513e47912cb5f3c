"""The server of a load test, asked about itself."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tidemill.core.errors import UsageError
from tidemill.core.redaction import redact
from tidemill.serving.client_errors import NotAllowed, NotServed, ServerUnreachable
from tidemill.serving.io import load_target
from tidemill.serving.io.load_target import LoadTarget
from tidemill.serving.load_report import ServerUsage

METRICS = (
    'tidemill_requests_total{{endpoint="demand"}} {0}\n'
    'tidemill_request_cpu_seconds_total{{endpoint="demand"}} {1}\n'
    "process_cpu_seconds_total {1}\ntidemill_processes {2}\n"
)


@contextmanager
def answering(pages: Mapping[str, object]) -> Iterator[str]:
    """A server of pages: text, a status, or an iterator of texts; yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = pages.get(self.path, 404)
            if isinstance(page, Iterator):
                page = next(page)
            status, body = (page, '{"error": "no"}') if isinstance(page, int) else (200, str(page))
            if self.headers.get("authorization") == "Bearer wrong":
                status = 401
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_input_types_are_those_of_the_metadata() -> None:
    page = json.dumps({"inputs": [{"name": "a b", "datatype": "FP64"}]})
    with answering({"/base/v2/models/my%20demand": page, "/base/predict/my%20demand": "{}"}) as url:
        target = LoadTarget(url=f"{url}/base/", endpoint="my demand")
        assert target.input_types() == {"a b": "FP64"}
        target.try_request(b"[{}]")


def test_refusals_are_errors_of_clients() -> None:
    with answering({"/v2/models/demand": "<html>"}) as url:
        with pytest.raises(UsageError, match="isn't a server of Tidemill"):
            LoadTarget(url=url, endpoint="demand").input_types()
        with pytest.raises(NotServed):
            LoadTarget(url=url, endpoint="other").input_types()
        with pytest.raises(NotAllowed):
            LoadTarget(url=url, endpoint="demand", token="wrong").try_request(b"")
    with pytest.raises(ServerUnreachable, match=url):
        LoadTarget(url=url, endpoint="demand").input_types()
    with pytest.raises(ServerUnreachable, match="no-such-host"):
        LoadTarget(url="http://no-such-host.invalid", endpoint="demand").address()


def test_no_tls_is_an_error_with_the_port() -> None:
    with answering({}) as url, pytest.raises(ServerUnreachable) as caught:
        LoadTarget(url=url.replace("http", "https"), endpoint="demand").input_types()
    # The port isn't taken for a password, which messages mask.
    assert redact(str(caught.value)) == str(caught.value)
    assert f"{url.replace('http', 'https')} can't be reached: " in str(caught.value)


def test_requests_are_whole() -> None:
    target = LoadTarget(url="http://127.0.0.1:81/x", endpoint="a/b", token="t")
    assert target.request(b"[]") == (
        b"POST /x/predict/a%2Fb HTTP/1.1\r\nhost: 127.0.0.1:81\r\nauthorization: Bearer t\r\n"
        b"content-type: application/json\r\ncontent-length: 2\r\n\r\n[]"
    )
    assert "Bearer" not in repr(target)
    assert target.address().tls is None
    assert LoadTarget(url="https://127.0.0.1", endpoint="x").address().place == ("127.0.0.1", 443)


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8000", "ftp://x", "http://", "http://x?y=1", "http://x:y"]
)
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(UsageError, match="it isn't like http://"):
        LoadTarget(url=url, endpoint="x")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_target, "_LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(load_target, "_ADJUSTED_WITHIN_S", 0.05)


def test_usage_is_read_when_the_server_has_adjusted_it(quick: None) -> None:
    looks = [METRICS.format(*each, 1) for each in ((10, 1.0), (30, 1.0), (30, 1.0), (30, 1.5))]
    with answering({"/metrics": iter(looks)}) as url:
        target = LoadTarget(url=url, endpoint="demand")
        assert target.usage_since(target.usage()) == ServerUsage(
            requests=20, request_cpu_s=0.5, process_cpu_s=0.5
        )


@pytest.mark.parametrize("processes", [1, 3])
def test_usage_is_waited_for_only_so_long(quick: None, processes: int) -> None:
    with answering({"/metrics": METRICS.format(30, 1.0, processes)}) as url:
        target = LoadTarget(url=url, endpoint="demand")
        earlier = ServerUsage(requests=10, request_cpu_s=0.5, process_cpu_s=0.5)
        found = target.usage_since(earlier)
    assert found == ServerUsage(
        requests=20, request_cpu_s=0.5, process_cpu_s=0.5, processes=processes
    )


def test_usage_of_a_server_that_says_nothing() -> None:
    with answering({}) as url:
        target = LoadTarget(url=url, endpoint="demand")
        assert target.usage() is None
        assert target.usage_since(None) is None
