"""A server of gRPC is the server of HTTP: its tokens, limits, logs, processes and end."""

from __future__ import annotations

import http.client
import json
import os
import re
import ssl
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import numpy as np
import polars as pl
import pytest
from tritonclient.grpc import service_pb2  # type: ignore[import-untyped]

from tests.behaviour.test_encrypted_key import PASSWORD, TLS, VARIABLE, write_certificate
from tests.support.grpc_calls import SERVICE, Tensor, call, request_of, texts
from tests.support.serving import ROW, Served, sales_project, served, shared_project
from tests.support.waiting import until
from tidemill.core.errors import UsageError
from tidemill.project.project import Project
from tidemill.serving import worker_scaling

REQUEST = request_of(
    [
        Tensor("kind", "BYTES", [1], texts(b"rye")),
        Tensor("price", "FP64", [1], np.array([2.5]).tobytes()),
        Tensor("rain", "FP64", [1], np.array([np.nan]).tobytes()),
    ]
)
OK, DENIED = grpc.StatusCode.OK, grpc.StatusCode.PERMISSION_DENIED
UNAUTHENTICATED, UNAVAILABLE = grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNAVAILABLE


def channel_to(server: Served, **options: Any) -> grpc.Channel:
    """A channel with a connection of its own."""
    given = [(f"grpc.{name}", value) for name, value in options.items()]
    return grpc.insecure_channel(
        f"127.0.0.1:{server.port}", options=[("grpc.use_local_subchannel_pool", 1), *given]
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return sales_project(tmp_path_factory.mktemp("bakeries"), log=1.0)


@pytest.fixture(scope="module")
def guarded(project: Project) -> Iterator[Served]:
    project.tokens.create("anybody")
    with served(project, grpc=True, require_tokens=True) as found:
        yield found


class TestTokens:
    @pytest.fixture
    def channel(self, guarded: Served) -> Iterator[grpc.Channel]:
        with channel_to(guarded) as found:
            yield found

    def test_a_token_opens_its_endpoints(self, channel: grpc.Channel, project: Project) -> None:
        opens = project.tokens.create("checkout", endpoints=["demand"])
        text = f"Bearer {opens.text}"
        until(lambda: call(channel, "ModelInfer", REQUEST, authorization=text).code is OK)
        for rpc in ("ModelReady", "ModelMetadata"):
            request = getattr(service_pb2, f"{rpc}Request")(name="demand")
            assert call(channel, rpc, request, authorization=text).code is OK
        project.tokens.revoke(opens.issued.token.id, reason="lost")
        until(lambda: call(channel, "ModelInfer", REQUEST, authorization=text).code is not OK)
        found = call(channel, "ModelInfer", REQUEST, authorization=text)
        assert (found.code, "was revoked" in found.message) == (UNAUTHENTICATED, True)

    def test_others_are_refused(self, channel: grpc.Channel, project: Project) -> None:
        found = call(channel, "ModelInfer", REQUEST)
        assert found.code is UNAUTHENTICATED
        assert found.message == "a token is needed: send Authorization: Bearer tm_..."
        assert found.trailers["www-authenticate"] == 'Bearer realm="tidemill"'
        assert call(channel, "ServerMetadata", b"").code is UNAUTHENTICATED
        assert call(channel, "ModelInfer", REQUEST, authorization="Basic x").code is UNAUTHENTICATED
        # What is no request, or too large, tells a stranger nothing.
        for payload in (b"\xff\xff", bytes(9_000_000)):
            assert call(channel, "ModelInfer", payload).code is UNAUTHENTICATED
        reads = f"Bearer {project.tokens.create('monitor', scopes=['read']).text}"
        until(lambda: call(channel, "ModelInfer", REQUEST, authorization=reads).code is DENIED)

    def test_health_needs_no_token(self, channel: grpc.Channel) -> None:
        for rpc in ("ServerLive", "ServerReady"):
            assert call(channel, rpc, b"").code is OK

    def test_a_rate_counts_each_call_once(self, channel: grpc.Channel, project: Project) -> None:
        text = f"Bearer {project.tokens.create('batch job', rate=0.01).text}"
        until(lambda: call(channel, "ModelInfer", REQUEST, authorization=text).code is OK)
        found = call(channel, "ModelInfer", REQUEST, authorization=text)
        assert found.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert found.message.endswith("sends too many requests")
        assert int(found.trailers["retry-after"]) >= 1


def test_a_call_is_logged_and_counted_as_a_request(tmp_path: Path) -> None:
    project = sales_project(tmp_path, log=1.0)
    made = project.tokens.create("counted")
    text = f"Bearer {made.text}"
    with (
        served(project, grpc=True, require_tokens=True, access_log="access.jsonl") as found,
        channel_to(found) as channel,
    ):
        answered = call(channel, "ModelInfer", REQUEST, authorization=text, x_request_id="mine-7")
        assert (answered.code, answered.trailers["x-request-id"]) == (OK, "mine-7")
        refused = call(channel, "ModelInfer", request_of([]), authorization=text)
        metrics = found.ask("/metrics", headers={"Authorization": text}).body.decode()
    logged = [json.loads(line) for line in (tmp_path / "access.jsonl").read_text().splitlines()]
    (line,) = [each for each in logged if each["request"] == "mine-7"]
    assert line["token"] == made.issued.token.id
    assert (line["endpoint"], line["status"], line["rows"]) == ("demand", 200, 1)
    (line,) = [each for each in logged if each["request"] == refused.trailers["x-request-id"]]
    assert (line["endpoint"], line["status"], line["rows"]) == ("demand", 400, 0)
    counts = [each for each in metrics.splitlines() if each.startswith("tidemill_requests_total{")]
    assert {re.sub(r".*status=\"(\d+)\".* ", r"\1: ", each) for each in counts} == {
        "200: 1",
        "400: 1",
    }
    rows = pl.read_parquet(tmp_path / "out/predictions/demand/*/*.parquet")
    assert rows["price"].to_list() == [2.5]


@pytest.fixture(scope="module")
def server(project: Project) -> Iterator[Served]:
    with served(project, grpc=True) as found:
        yield found


def test_http_is_answered_on_the_same_port(server: Served) -> None:
    with channel_to(server) as channel:
        assert call(channel, "ModelInfer", REQUEST).code is OK
        assert server.predict([ROW]).status == 200


def test_another_host_is_refused(server: Served) -> None:
    with channel_to(server, default_authority="evil.example.com") as channel:
        found = call(channel, "ModelInfer", REQUEST)
    assert (found.code, found.message) == (
        DENIED,
        "the host of the request isn't one of this server (allowed_hosts)",
    )


def test_a_deadline_that_passed_is_told_as_such(server: Served) -> None:
    with channel_to(server) as channel:
        # Which of the two is noticed first, the answer or the end of the time, is chance.
        codes = {call(channel, "ModelInfer", REQUEST, timeout=1e-6).code for _ in range(200)}
        assert codes - {OK} == {grpc.StatusCode.DEADLINE_EXCEEDED}
        assert call(channel, "ModelInfer", REQUEST, x_request_timeout_ms="0").message == (
            "X-Request-Timeout-Ms is not a positive number"
        )


def test_cancelled_calls_leave_the_server_as_it_was(server: Served) -> None:
    with channel_to(server) as channel:
        ask = channel.unary_unary(f"{SERVICE}/ModelInfer")
        payload = REQUEST.SerializeToString()
        for _ in range(200):
            ask.future(payload).cancel()
        assert call(channel, "ModelInfer", REQUEST).code is OK
    until(lambda: "in_flight 0" in server.ask("/metrics").body.decode())


def test_a_unix_socket_answers_too(project: Project) -> None:
    with (
        served(project, grpc=True, socket="serve.sock") as found,
        grpc.insecure_channel(f"unix:{found.path}") as channel,
    ):
        assert call(channel, "ModelInfer", REQUEST).code is OK
        assert found.predict([ROW]).status == 200


def test_tls_is_that_of_https(
    tmp_path: Path, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, PASSWORD)
    write_certificate(project.root)
    trusted = (project.root / "cert.pem").read_bytes()
    with served(project, grpc=True, **TLS) as found:
        credentials = grpc.ssl_channel_credentials(trusted)
        with grpc.secure_channel(f"localhost:{found.port}", credentials) as channel:
            assert call(channel, "ModelInfer", REQUEST).code is OK
        with grpc.insecure_channel(f"localhost:{found.port}") as channel:
            assert call(channel, "ModelInfer", REQUEST, timeout=60).code is UNAVAILABLE
        context = ssl.create_default_context(cadata=trusted.decode())
        # As curl and browsers do.
        context.set_alpn_protocols(["h2", "http/1.1"])
        connection = http.client.HTTPSConnection("localhost", found.port, context=context)
        connection.request("GET", "/v2/health/live")
        assert connection.getresponse().status == 200
        connection.close()


class Callers:
    """Threads that call without end on channels of their own, and what became of the calls."""

    def __init__(self, server: Served, count: int = 3) -> None:
        self.codes: Counter[tuple[grpc.StatusCode, str]] = Counter()
        self._server = server
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _call(self) -> None:
        with channel_to(self._server) as channel:
            while not self._stop.is_set():
                found = call(channel, "ModelInfer", REQUEST)
                self.codes[found.code, found.message] += 1
                self._stop.wait(0.005)

    def __enter__(self) -> Callers:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def test_processes_come_and_go_without_losing_a_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_scaling, "BUSY", 0.0)
    monkeypatch.setattr(worker_scaling, "ROOM", -1.0)
    project = shared_project(tmp_path)
    with served(project, grpc=True, workers=2, release=0.1) as found:

        def requests() -> dict[int, int]:
            known = found.ask("/status").json["processes"]
            return {each["process"]: each["requests"] for each in known}

        with Callers(found) as callers:
            # The first process lets callers connect again, so the second gets some.
            until(lambda: len(requests()) == 2 and all(requests().values()))
            monkeypatch.setattr(worker_scaling, "BUSY", 100.0)
            monkeypatch.setattr(worker_scaling, "ROOM", 100.0)
            until(lambda: [*requests()] == [os.getpid()])
            before = callers.codes.total()
            until(lambda: callers.codes.total() > before + 20)
    assert {code for code, _ in callers.codes} == {OK}, callers.codes


def test_a_server_that_stops_answers_what_it_has(project: Project) -> None:
    with served(project, grpc=True) as found, Callers(found) as callers:
        until(lambda: callers.codes.total() > 20)
        found.running.stop()
        found.thread.join(60)
        assert not found.thread.is_alive()
        until(lambda: {code for code, _ in callers.codes} != {OK})
    failed = {key for key in callers.codes if key[0] is not OK}
    assert {code for code, _ in failed} == {UNAVAILABLE}
    # Nobody listens any more: none of these reached the server.
    assert all("connect" in message.lower() for _, message in failed), failed


def test_without_the_extra_the_command_that_installs_it_is_named(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("h2.config", "google.protobuf"):
        with monkeypatch.context() as patched:
            patched.delitem(sys.modules, "tidemill.serving.io.grpc_connection", raising=False)
            patched.delitem(sys.modules, "tidemill.serving.grpc_messages", raising=False)
            patched.delitem(sys.modules, "tidemill.serving.grpc_requests", raising=False)
            patched.delitem(sys.modules, "tidemill.serving.grpc_replies", raising=False)
            patched.delitem(sys.modules, "tidemill.serving.io.grpc_call", raising=False)
            patched.setitem(sys.modules, module, None)
            with (
                pytest.raises(UsageError, match=r"grpc needs pip install 'tidemill\[grpc\]'"),
                served(project, grpc=True),
            ):
                pass


def test_who_does_not_ask_for_it_imports_none_of_it() -> None:
    code = (
        "import sys, tidemill.project.serving, tidemill.cli.serve\n"
        "sys.exit([m for m in sys.modules if m.split('.')[0] in ('h2', 'google', 'grpc')] or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
