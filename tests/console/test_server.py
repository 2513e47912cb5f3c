"""The file that lets the user of a console make links, and what clients may send."""

from __future__ import annotations

import json
import os
import resource
import secrets
import select
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import PlainTextResponse

from tidemill.console import server

# Without its end.
REQUEST = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"


def test_the_secret_is_only_for_this_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "console.json"
    monkeypatch.setattr(secrets, "token_hex", lambda _: "guessed")
    planted = tmp_path / ".console.json.guessed"
    for target in ("elsewhere", ""):
        if target:
            planted.symlink_to(tmp_path / target)
        else:
            planted.touch()
        with pytest.raises(FileExistsError):
            server._write_private(file, {"secret": "s"})
        assert [*tmp_path.iterdir()] == [planted]
        planted.unlink()
    server._write_private(file, {"secret": "s"})
    assert json.loads(file.read_text()) == {"secret": "s"}
    assert file.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["console.json"]


def test_small_answers_are_sent_at_once() -> None:
    """Only connections that are known to be of TCP don't wait for what could be sent together."""
    with server._bind_port("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


@contextmanager
def running() -> Iterator[int]:
    """The port of a server that answers every request."""
    ready, ended = threading.Event(), threading.Event()
    found = server._ConsoleServer(PlainTextResponse("answered"), ready.set, ending=ended.set)
    with server._bind_port("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=found.run, kwargs={"sockets": [listener]})
        thread.start()
        assert ready.wait(60)
        try:
            yield listener.getsockname()[1]
        finally:
            found.handle_exit(signal.SIGTERM, None)
            thread.join()
    assert ended.is_set()


def read_all(client: socket.socket) -> bytes:
    """What a server sends until it closes the connection."""
    found = b""
    with suppress(ConnectionError):
        while part := client.recv(65_536):
            found += part
    return found


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is cut off for being slow."""
    monkeypatch.setattr(server, "_HEAD_S", 600.0)


@pytest.mark.usefixtures("patient")
def test_a_head_that_is_too_large_is_refused() -> None:
    with running() as port:
        for size, answers in ((30_000, [b"HTTP/1.1 200"]), (1_000_000, [b"HTTP/1.1 431", b""])):
            with socket.create_connection(("127.0.0.1", port), 60) as client:
                # Nothing may be left of the refusal of what is still sent.
                with suppress(ConnectionError):
                    client.sendall(REQUEST + b"a: " + b"a" * size + b"\r\n\r\n")
                assert read_all(client)[:12] in answers


def test_a_head_that_does_not_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_HEAD_S", 0.01)
    with running() as port, socket.create_connection(("127.0.0.1", port), 60) as client:
        with suppress(ConnectionError):
            client.sendall(REQUEST)
        # Nothing is answered if the first bytes came too late as well.
        assert read_all(client)[:12] in (b"HTTP/1.1 408", b"")


@pytest.mark.usefixtures("patient")
def test_half_requests_leave_files_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = resource.getrlimit

    def few(kind: int) -> Any:
        return (8, 8) if kind == resource.RLIMIT_NOFILE else plain(kind)

    monkeypatch.setattr(resource, "getrlimit", few)
    with running() as port, ExitStack() as stack:
        held = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), 60)) for _ in range(9)
        ]
        for each in held:
            with suppress(ConnectionError):
                each.sendall(b"GET / HTTP/1.1\r\na: ")
        # Of nine the server keeps four.
        for _ in range(5):
            closed = select.select(held, [], [], 60)[0][0]
            assert read_all(closed) == b""
            held.remove(closed)
        with socket.create_connection(("127.0.0.1", port), 60) as client:
            client.sendall(REQUEST + b"\r\n")
            assert read_all(client).startswith(b"HTTP/1.1 200")


def test_a_process_that_may_open_any_number_of_files_has_limits_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)
    found = server._limits()
    assert (found.connections, found.backlog) == (1_000, 250)
