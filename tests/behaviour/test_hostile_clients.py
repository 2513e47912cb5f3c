"""Clients that send slowly, or nothing that fits, don't keep others from answers."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.serving import ROW, Served, sales_project, served
from tests.support.waiting import until
from tidemill.project.project import Project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return sales_project(tmp_path_factory.mktemp("bakeries"))


@pytest.fixture(scope="module")
def server(project: Project) -> Iterator[Served]:
    with served(project, max_in_flight=2, max_body=100_000) as found:
        yield found


def send(server: Served, body: bytes, length: int) -> socket.socket:
    """Begin a request on a connection of its own."""
    found = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    head = b"POST /predict/demand HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    found.sendall(head + b"content-length: %d\r\n\r\n" % length + body)
    return found


def test_bodies_that_do_not_arrive_keep_nobody_from_answers(server: Served) -> None:
    slow = [send(server, b"[", 50) for _ in range(8)]
    assert server.predict([ROW]).status == 200
    for connection in slow:
        connection.close()


def test_what_arrives_of_large_bodies_is_limited(server: Served) -> None:
    slow = [send(server, b" " * 99_000, 100_000) for _ in range(4)]
    refused = b""
    while not refused:
        assert server.predict([ROW]).status == 200
        for connection in slow:
            connection.setblocking(False)
            try:
                refused = connection.recv(1000) or refused
            except BlockingIOError:
                continue
    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b"too many large bodies" in refused
    for connection in slow:
        connection.close()


@pytest.mark.parametrize(
    "query", ["partial=True", "explain=1", "partial=true&partial=false", "explain="]
)
def test_flags_that_cannot_be_read_are_refused(server: Served, query: str) -> None:
    reply = server.predict([ROW], query=f"?{query}")
    assert reply.status == 400
    assert "in the query is either true or false" in reply.json["error"]


def test_a_server_that_loses_its_ledger_answers_and_follows_it_again(tmp_path: Path) -> None:
    project = sales_project(tmp_path)
    first = project.state().live["demand"].artifact.id
    ledger, away = tmp_path / ".tidemill" / "ledger.db", tmp_path / "away"
    with served(project) as server:
        ledger.rename(away)
        until(lambda: server.ask("/status").json["faults"])
        assert "was removed while it was in use" in server.ask("/status").json["faults"][0]
        assert server.predict([ROW]).json["version"] == first
        away.rename(ledger)
        until(lambda: not server.ask("/status").json["faults"])
        second = sales_project(tmp_path, rounds=6).state().live["demand"].artifact.id
        until(lambda: server.predict([ROW]).json["version"] == second)
