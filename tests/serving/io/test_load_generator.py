"""Load generators against servers that stall, close, refuse and answer nonsense."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tidemill.serving.io.load_connection import Address
from tidemill.serving.io.load_generator import LoadGenerator
from tidemill.serving.load_plan import LoadPlan

REQUEST = b"POST /predict/x HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"

Answer = Callable[[int], bytes]


class Server:
    """Answers the requests of each connection with what `answer` returns for their number; b"" closes it."""

    def __init__(self, answer: Answer, tls: ssl.SSLContext | None = None) -> None:
        self._answer = answer
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self.requests = self.connections = 0
        self.received = b""
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def place(self) -> tuple[str, int]:
        host, port = self._listener.getsockname()
        return host, port

    def address(self, tls: ssl.SSLContext | None = None) -> Address:
        return Address(family=socket.AF_INET, place=self.place, host="localhost", tls=tls)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                if self._tls is None:
                    self._answer_all(connection)
                    return
                with self._tls.wrap_socket(connection, server_side=True) as secured:
                    self._answer_all(secured)
        except OSError:
            return

    def _answer_all(self, connection: socket.socket) -> None:
        there = b""
        while data := connection.recv(1 << 20):
            there += data
            while len(there) >= len(self.wanted):
                self.received, there = there[: len(self.wanted)], there[len(self.wanted) :]
                with self._lock:
                    number, self.requests = self.requests, self.requests + 1
                reply = self._answer(number)
                if not reply:
                    return
                connection.sendall(reply)

    wanted = REQUEST

    def close(self) -> None:
        # Closing alone doesn't wake a thread that accepts.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()


@contextmanager
def answering(answer: Answer, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server(answer, tls)
    try:
        yield server
    finally:
        server.close()


def test_an_open_loop_sends_all_requests_that_are_due() -> None:
    with answering(lambda _: OK) as server:
        generator = LoadGenerator(server.address(), [REQUEST], LoadPlan(rate=200, duration=0.5))
        tally = generator.run()
    assert tally.outcomes == {"200": 100}
    assert tally.latencies.count == server.requests == 100
    # The last request is due after 99 of 100 intervals.
    assert generator.seconds >= 0.495
    assert generator.cpu_s > 0


def test_an_open_loop_measures_the_requests_that_wait_for_a_stalled_server() -> None:
    def answer(number: int) -> bytes:
        if number == 50:
            time.sleep(0.5)
        return OK

    plan = LoadPlan(rate=200, duration=0.5, connections=1)
    with answering(answer) as server:
        tally = LoadGenerator(server.address(), [REQUEST], plan).run()
    assert tally.outcomes == {"200": 100}
    # Half of the requests were due while the server stalled, or just after.
    assert tally.latencies.quantile(0.75) >= 0.3e9
    assert tally.lateness.quantile(0.75) >= 0.3e9


def test_a_closed_loop_sends_one_request_after_the_other() -> None:
    with answering(lambda _: OK) as server:
        plan = LoadPlan(callers=3, duration=0.3)
        tally = LoadGenerator(server.address(), [REQUEST], plan).run()
        assert server.connections == 3
    assert tally.outcomes == {"200": server.requests}
    assert server.requests > 3
    assert tally.lateness.longest == 0


def test_requests_are_sent_in_turns() -> None:
    texts: list[bytes] = []

    def answer(number: int) -> bytes:
        texts.append(server.received[-2:])
        return OK

    others = [REQUEST[:-2] + text for text in (b"aa", b"bb", b"cc")]
    with answering(answer) as server:
        LoadGenerator(
            server.address(), others, LoadPlan(rate=100, duration=0.06, connections=1)
        ).run()
    assert texts == [b"aa", b"bb", b"cc", b"aa", b"bb", b"cc"]


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n", "503"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", "200"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, "200"),
        (OK.replace(b"content", b"connection: close\r\ncontent"), "200"),
        (b"", "closed"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "no HTTP"),
    ],
)
@pytest.mark.parametrize("loop", ["open", "closed"])
def test_outcomes(reply: bytes, outcome: str, loop: str) -> None:
    plan = (
        LoadPlan(rate=20, duration=0.2, connections=2)
        if loop == "open"
        else LoadPlan(callers=2, duration=0.2)
    )
    with answering(lambda _: reply) as server:
        tally = LoadGenerator(server.address(), [REQUEST], plan).run()
    assert set(tally.outcomes) == {outcome}
    assert sum(tally.outcomes.values()) >= (4 if loop == "open" else 2)


def test_a_connection_that_the_server_closed_is_opened_again() -> None:
    with answering(lambda number: b"" if number == 0 else OK) as server:
        plan = LoadPlan(rate=20, duration=0.3, connections=1)
        tally = LoadGenerator(server.address(), [REQUEST], plan).run()
        assert server.connections == 2
    assert tally.outcomes == {"closed": 1, "200": 5}


def test_idle_connections_that_the_server_refuses_are_opened_again() -> None:
    refusal = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"

    class Impatient(Server):
        def _answer_all(self, connection: socket.socket) -> None:
            if self.connections > 2:
                super()._answer_all(connection)
            else:
                connection.sendall(refusal)

    server = Impatient(lambda _: OK)
    try:
        plan = LoadPlan(rate=20, duration=0.5, connections=2)
        tally = LoadGenerator(server.address(), [REQUEST], plan).run()
    finally:
        server.close()
    assert sum(tally.outcomes.values()) == 10
    # The first two may be sent before the refusal arrives.
    assert tally.outcomes["200"] >= 8
    assert set(tally.outcomes) <= {"200", "408", "closed"}


def test_requests_without_a_reply_are_given_up() -> None:
    is_over = threading.Event()

    def answer(_: int) -> bytes:
        is_over.wait(30)
        return b""

    plan = LoadPlan(rate=20, duration=0.2, timeout=0.2, connections=1)
    with answering(answer) as server:
        tally = LoadGenerator(server.address(), [REQUEST], plan).run()
        is_over.set()
    assert sum(tally.outcomes.values()) == 4
    assert tally.outcomes["timeout"] >= 1
    assert set(tally.outcomes) <= {"timeout", "not sent"}
    assert tally.latencies.longest >= 0.2e9


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        (LoadPlan(rate=20, duration=0.2, timeout=0.1), "not sent"),
        (LoadPlan(callers=2, duration=0.2, timeout=0.1), "refused"),
    ],
)
def test_a_server_that_is_not_there(plan: LoadPlan, reason: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        place = gone.getsockname()
    address = Address(family=socket.AF_INET, place=place, host="127.0.0.1")
    tally = LoadGenerator(address, [REQUEST], plan).run()
    assert set(tally.outcomes) == {reason}


def test_a_large_request_is_sent_as_fast_as_it_is_read() -> None:
    body = b"x" * 8_000_000
    request = REQUEST.replace(b"length: 2", b"length: %d" % len(body))[:-2] + body
    with answering(lambda _: OK) as server:
        server.wanted = request
        tally = LoadGenerator(
            server.address(), [request], LoadPlan(rate=20, duration=0.1, connections=1)
        ).run()
        assert server.received == request
    assert tally.outcomes == {"200": 2}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    files = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost"),
            *("-out", str(files[0]), "-keyout", str(files[1])),
        ],
        check=True,
        capture_output=True,
    )
    return files


@pytest.mark.parametrize(("is_trusted", "outcome"), [(True, "200"), (False, "TLS failed")])
def test_tls(certificate: tuple[Path, Path], is_trusted: bool, outcome: str) -> None:
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(*certificate)
    theirs = ssl.create_default_context()
    if is_trusted:
        theirs.load_verify_locations(certificate[0])
    with answering(lambda _: OK, ours) as server:
        tally = LoadGenerator(
            server.address(theirs), [REQUEST], LoadPlan(callers=1, duration=0.2)
        ).run()
    assert set(tally.outcomes) == {outcome}
