"""The client against servers that answer, are busy, or hang up."""

import asyncio
import http.server
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

import tidemill as tm
from tidemill.core.errors import UsageError
from tidemill.serving.client_errors import NotServed, ServerBusy, ServerUnreachable

GOOD = (200, {"model": "m", "version": "v", "predictions": [{"prediction": 2.5}]})


@contextmanager
def answering(*replies: tuple[int, Any]) -> Iterator[tuple[str, list[Any]]]:
    """A server that gives these replies, one after the other, and what it was asked."""
    left, asked = iter(replies), []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            asked.append((self.path, dict(self.headers), json.loads(body)))
            status, document = next(left)
            payload = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *_: Any) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def test_predictions_come_back() -> None:
    with answering(GOOD) as (url, asked), tm.Client(url + "/", token="tm_a_b") as client:
        assert client.predict("delays", {"x": 1.0}).values == [2.5]
    [(path, headers, rows)] = asked
    assert (path, rows) == ("/predict/delays", [{"x": 1.0}])
    assert headers["authorization"] == "Bearer tm_a_b"
    assert repr(client) == f"Client('{url}')"


def test_a_busy_server_is_asked_again() -> None:
    with answering((503, {"error": "full"}), GOOD) as (url, asked), tm.Client(url) as client:
        assert client.predict("delays", [{"x": 1}]).version == "v"
    assert len(asked) == 2


def test_without_retries_a_busy_server_is_an_error() -> None:
    with (
        answering((503, {"error": "full"})) as (url, _),
        tm.Client(url, retries=0) as client,
        pytest.raises(ServerBusy, match="full"),
    ):
        client.predict("delays", [])


def test_asynchronous_calls() -> None:
    async def ask(url: str) -> list[Any]:
        async with tm.Client(url) as client:
            found = await client.predict_async("delays", [{"x": 1}])
            with pytest.raises(NotServed):
                await client.predict_async("other", [{"x": 1}])
            return found.values

    busy = (503, {"error": "full"})
    with answering(busy, GOOD, (404, {"error": "no endpoint"})) as (url, _):
        assert asyncio.run(ask(url)) == [2.5]


def test_one_client_is_used_in_several_event_loops() -> None:
    with (
        answering(GOOD, GOOD, GOOD) as (url, asked),
        asyncio.Runner() as one,
        asyncio.Runner() as other,
    ):
        client = tm.Client(url, retries=0)
        for runner in (one, other, one):
            found = runner.run(client.predict_async("delays", {"x": 1}))
            assert found.values == [2.5]
        for runner in (one, other):
            runner.run(client.close_async())
    assert len(asked) == 3


def test_explanations_are_asked_for() -> None:
    reply = GOOD[1] | {"predictions": [{"prediction": 2.5, "contributions": {"x": 1.5}}]}
    with answering((200, reply)) as (url, asked), tm.Client(url) as client:
        [row] = client.predict("delays", {"x": 1.0}, explain=True).rows
    assert row is not None
    assert row["contributions"] == {"x": 1.5}
    assert asked[0][0] == "/predict/delays?explain=true"


def test_no_server_is_an_error() -> None:
    async def ask(client: tm.Client) -> None:
        with pytest.raises(ServerUnreachable):
            await client.predict_async("a", [])
        await client.close_async()

    # A port that was free a moment ago.
    with answering() as (url, _):
        pass
    client = tm.Client(url, retries=0)
    with pytest.raises(ServerUnreachable, match=url):
        client.predict("a", [])
    asyncio.run(ask(client))


def test_a_url_needs_a_scheme() -> None:
    with pytest.raises(UsageError, match="begins with http"):
        tm.Client("127.0.0.1:8000")


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"timeout": 0}, "timeout=0"),
        ({"timeout": float("nan")}, "timeout=nan"),
        ({"retries": -1}, "retries=-1"),
        ({"url": "http://[::1"}, "not a URL"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(given: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        tm.Client(**{"url": "http://127.0.0.1:1", **given})


def test_a_token_of_a_file_with_an_end_of_line_is_sent() -> None:
    with answering(GOOD) as (url, asked), tm.Client(url, token=" tm_a_b\n") as client:
        client.predict("delays", {"x": 1.0})
    assert asked[0][1]["authorization"] == "Bearer tm_a_b"


@pytest.mark.parametrize("token", ["tm_a\nb", "tm_a_\xe4", "tm_a b"])
def test_a_token_that_cannot_be_sent_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(UsageError, match="one token") as refused:
        tm.Client("http://127.0.0.1:1", token=token)
    assert token not in str(refused.value)


@contextmanager
def dripping() -> Iterator[str]:
    """A server that sends a reply byte by byte, each sooner than a timeout, without end."""
    over = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.send_header("content-length", "1000000")
            self.end_headers()
            with suppress(OSError):
                while not over.wait(0.02):
                    self.wfile.write(b" ")
                    self.wfile.flush()

        def log_message(self, *_: Any) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            over.set()
            server.shutdown()
            thread.join()


def test_a_reply_that_never_ends_is_given_up() -> None:
    async def ask(client: tm.Client) -> None:
        with pytest.raises(ServerUnreachable, match=r"no answer within 0\.2 s"):
            await client.predict_async("a", [])
        await client.close_async()

    with dripping() as url, tm.Client(url, timeout=0.2, retries=0) as client:
        with pytest.raises(ServerUnreachable, match=r"no answer within 0\.2 s"):
            client.predict("a", [])
        asyncio.run(ask(client))


def test_a_forked_process_opens_connections_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(GOOD, GOOD) as (url, _), tm.Client(url) as client:
        client.predict("delays", {"x": 1.0})
        before = client._blocking
        monkeypatch.setattr(os, "getpid", lambda: -1)
        client.predict("delays", {"x": 1.0})
        assert client._blocking is not before
        before.close()
