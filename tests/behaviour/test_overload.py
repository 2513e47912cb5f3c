"""Requests that would only wait are refused, and those that can be answered in time are answered."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.serving import ROW, Served, sales_project, served
from tests.support.waiting import until
from tidemill.serving.io import app, request_queue
from tidemill.serving.io.lightgbm_runner import LightGBMRunner

# Shorter than a turn of the loop, and such that sums of it are exact.
CALL_S = 1 / 512
BODY = json.dumps([ROW]).encode()


class SlowModel:
    """A model whose calls take `CALL_S` of a clock that nothing else moves on, and wait until `sent`."""

    def __init__(self) -> None:
        self.sent = threading.Event()
        self.sent.set()
        self.called = threading.Event()
        self.is_slow = False
        self._now = float(int(time.monotonic()))

    def monotonic(self) -> float:
        return self._now

    def monotonic_ns(self) -> int:
        return int(self._now * 1e9)

    def time(self) -> float:
        return time.time()

    def take(self) -> None:
        if self.is_slow:
            self.called.set()
            assert self.sent.wait(60)
            self._now += CALL_S


@pytest.fixture(scope="module")
def model() -> Iterator[SlowModel]:
    found, predict = SlowModel(), LightGBMRunner.predict_row

    def predict_slowly(runner: LightGBMRunner, values: list[float]) -> Any:
        found.take()
        return predict(runner, values)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LightGBMRunner, "predict_row", predict_slowly)
        patch.setattr(request_queue, "time", found)
        patch.setattr(app, "time", found)
        yield found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bakeries")


@pytest.fixture(scope="module")
def server(model: SlowModel, folder: Path) -> Iterator[Served]:
    with served(sales_project(folder), access_log="access.jsonl", max_in_flight=8) as found:
        yield found


def request(*headers: str) -> bytes:
    lines = ["POST /predict/demand HTTP/1.1", "host: 127.0.0.1", "content-type: application/json"]
    lines += [f"content-length: {len(BODY)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + BODY


class Sent(NamedTuple):
    """A request that was sent, and its reply."""

    status: int
    headers: dict[str, str]
    connection: socket.socket


@contextmanager
def sent_together(server: Served, model: SlowModel, requests: list[bytes]) -> Iterator[list[Sent]]:
    """Send requests, each on a connection, that all wait while the first is answered."""
    model.sent.clear()
    model.called.clear()
    model.is_slow = True
    with ExitStack() as stack:
        connections = []
        for each in requests:
            connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
            connections.append(stack.enter_context(connection))
            connection.sendall(each)
            assert model.called.wait(60)
        model.sent.set()
        found = [Sent(*reply(each), each) for each in connections]
        model.is_slow = False
        yield found


def reply(connection: socket.socket) -> tuple[int, dict[str, str]]:
    """The status and the headers of a reply whose body is JSON."""
    got = b""
    while True:
        got += connection.recv(65536)
        head, end, body = got.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        if end and len(body) == int(headers["content-length"]):
            assert json.loads(body)
            return int(status.split()[1]), headers


def test_a_burst_is_answered(server: Served, model: SlowModel) -> None:
    with sent_together(server, model, [request()] * 30) as found:
        assert [each.status for each in found] == [200] * 30


def test_a_flood_is_refused_but_for_what_can_be_answered(server: Served, model: SlowModel) -> None:
    before = refused_so_far(server)
    with sent_together(server, model, [request("x-request-id: mine")] * 250) as found:
        refused = [each.headers for each in found if each.status == 503]
        answered = [each.status for each in found if each.status != 503]
        assert answered == [200] * (250 - len(refused))
        # It is an overload once requests wait for longer than 50 calls take.
        assert len(answered) > 50
        assert len(refused) > 100
        assert all(headers["retry-after"] == "1" for headers in refused)
        assert all(headers["x-request-id"] == "mine" for headers in refused)
        assert refused_so_far(server) == before + len(refused)
        # The connections stay open, and what comes later is answered.
        for each in found:
            each.connection.sendall(request())
            assert reply(each.connection)[0] == 200
    assert server.ask("/v2/health/ready").status == 200


def test_refusals_are_in_the_access_log(server: Served, model: SlowModel, folder: Path) -> None:
    with sent_together(server, model, [request("x-request-id: logged")] * 250) as found:
        refused = sum(each.status == 503 for each in found)

    def logged() -> list[Any]:
        lines = (folder / "access.jsonl").read_text().splitlines()
        return [line for line in map(json.loads, lines) if line["request"] == "logged"]

    until(lambda: len(logged()) == len(found))
    refusals = [line for line in logged() if line["status"] == 503]
    assert len(refusals) == refused > 0
    assert {(line["endpoint"], line["rows"]) for line in refusals} == {("demand", 0)}


def test_a_refusal_closes_the_connection_of_a_client_that_wants_it(
    server: Served, model: SlowModel
) -> None:
    with sent_together(server, model, [request("connection: close")] * 250) as found:
        refused = [each for each in found if each.status == 503]
        assert refused
        for each in refused:
            assert each.headers["connection"] == "close"
            assert each.connection.recv(1) == b""


def test_a_caller_that_has_stopped_waiting_is_not_answered(
    server: Served, model: SlowModel
) -> None:
    patient, hasty = request(), request("x-request-timeout-ms: 15")
    with sent_together(server, model, [*[patient] * 20, hasty, patient]) as found:
        assert [each.status for each in found] == [*[200] * 20, 503, 200]


def test_pipelined_requests_are_answered_in_their_order(server: Served) -> None:
    names = [f"number-{number}" for number in range(20)]
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(b"".join(request(f"x-request-id: {name}") for name in names))
        got = b""
        while got.count(b'"predictions"') < len(names):
            got += connection.recv(65536)
    assert re.findall(rb"x-request-id: (\S+)", got) == [name.encode() for name in names]


def test_bodies_that_arrive_in_pieces_wait_like_all_others(
    server: Served, model: SlowModel
) -> None:
    parts = b"%x\r\n%b\r\n" % (len(BODY), BODY)
    chunked = request("transfer-encoding: chunked").removesuffix(BODY) + parts + b"0\r\n\r\n"
    chunked = chunked.replace(b"content-length: %d\r\n" % len(BODY), b"")
    with sent_together(server, model, [chunked] * 250) as found:
        statuses = [each.status for each in found]
        assert set(statuses) == {200, 503}
        assert all(each.headers["retry-after"] == "1" for each in found if each.status == 503)


def refused_so_far(server: Served) -> float:
    """The 503 replies of the endpoint, by the metrics."""
    text = server.ask("/metrics").body.decode()
    lines = [line for line in text.splitlines() if line.startswith("tidemill_requests_total")]
    return sum(float(line.rpartition(" ")[2]) for line in lines if 'status="503"' in line)
