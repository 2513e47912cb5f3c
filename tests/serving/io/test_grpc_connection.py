"""HTTP/2 connections of clients that are slow, hostile or gone."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.settings import SettingCodes
from hyperframe.frame import (
    DataFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2  # type: ignore[import-untyped]

from tests.support.waiting import until
from tidemill.serving.grpc_requests import HttpRequest, read_call
from tidemill.serving.io.body import PendingBodies
from tidemill.serving.io.grpc_connection import GrpcConnection
from tidemill.serving.io.http_connection import ArrivedRequest, HttpLimits
from tidemill.serving.io.http_server import HttpServer, listening_socket

SERVICE = "/inference.GRPCInferenceService"
REQUEST = service_pb2.ModelInferRequest(model_name="m", raw_input_contents=[b""], inputs=[{}])


class Answers:
    """An application that answers everything, after `release` is set, with an output of `size` bytes."""

    def __init__(self) -> None:
        self.pending = PendingBodies(10_000_000)
        self.release = threading.Event()
        self.release.set()
        self.is_draining = False
        self.is_known = True
        self.is_full = False
        self.size = 8
        self.accepted: list[ArrivedRequest] = []
        self.fails = False

    def retire(self) -> None:
        self.is_draining = True

    def drain(self) -> None:
        self.retire()

    def note_connection(self) -> None:
        pass

    def arrival(self) -> float:
        return time.monotonic()

    def welcomes(self, headers: Sequence[tuple[bytes, bytes]]) -> bool:
        return self.is_known

    def accept(self, request: ArrivedRequest) -> None:
        self.accepted.append(request)
        if self.is_full:
            request.refuse(b"r", (), closes=False)
        else:
            request.begin()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self.fails:
            raise RuntimeError("a fault of ours")
        while not self.release.is_set():
            await asyncio.sleep(0.005)
        status, headers = 200, [(b"x-request-id", b"r")]
        if fault := scope["tidemill.fault"]:
            status, body = fault.status, json.dumps({"error": fault.message}).encode()
        elif scope["raw_path"] == b"/v2/health/live":
            body = b'{"live":true}'
        else:
            await receive()
            head = json.dumps(
                {
                    "model_name": "m",
                    "model_version": "v",
                    "parameters": {},
                    "outputs": [
                        {
                            "name": "y",
                            "datatype": "UINT8",
                            "shape": [self.size],
                            "parameters": {"binary_data_size": self.size},
                        }
                    ],
                }
            ).encode()
            body = head + bytes(self.size)
            headers.append((b"inference-header-content-length", b"%d" % len(head)))
        if self.is_draining:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class Running:
    """A server in a thread."""

    def __init__(self, limits: HttpLimits) -> None:
        self.app = Answers()
        self.server = HttpServer(self.app, limits, http2=GrpcConnection)
        listener = listening_socket("127.0.0.1", 0)
        self.port: int = listener.getsockname()[1]
        self._started = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(listener,))
        self.thread.start()
        assert self._started.wait(60)

    def _run(self, listener: socket.socket) -> None:
        async def serve() -> None:
            task = asyncio.create_task(self.server.serve(sockets=[listener]))
            await self.server.ready.wait()
            self._started.set()
            await task

        asyncio.run(serve())

    @property
    def connections(self) -> int:
        return len(self.server.server_state.connections)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(60)
        assert not self.thread.is_alive()


@contextmanager
def running(**limits: Any) -> Iterator[Running]:
    server = Running(HttpLimits(**{"drain_s": 0.2, "grace_s": 10.0, **limits}))
    try:
        yield server
    finally:
        server.app.release.set()
        server.stop()


class Client:
    """A client that sends what it likes, and keeps what it gets."""

    def __init__(self, server: Running) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=60)
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding="latin-1"))
        self.h2.initiate_connection()
        self.send()
        self.events: list[Event] = []
        self.is_closed = False
        self.reads = True
        self._rest = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes = b"") -> None:
        with suppress(OSError):
            self.socket.sendall(self.h2.data_to_send() + data)

    def begin(self, rpc: str = "ServerLive", method: str = "POST", **headers: str) -> int:
        stream = self.h2.get_next_available_stream_id()
        named = {
            ":method": method,
            ":scheme": "http",
            ":authority": "localhost",
            ":path": f"{SERVICE}/{rpc}",
            "content-type": "application/grpc",
            "te": "trailers",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        self.h2.send_headers(stream, [*named.items()])
        self.send()
        return stream

    def call(self, message: bytes = b"", rpc: str = "ServerLive", **headers: str) -> int:
        stream = self.begin(rpc, **headers)
        self.h2.send_data(stream, framed(message), end_stream=True)
        self.send()
        return stream

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Send all of what is done in the block together."""
        sent, self.send = self.send, lambda *_: None  # type: ignore[method-assign]
        yield
        self.send = sent  # type: ignore[method-assign]
        self.send()

    def read(self) -> None:
        try:
            data = self.socket.recv(65536)
        except ConnectionError:
            data = b""
        self.is_closed = not data
        for event in [*self.h2.receive_data(self._without_farewell(data))]:
            self.events.append(event)
            if isinstance(event, DataReceived) and self.reads:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        self.send()

    def _without_farewell(self, data: bytes) -> bytes:
        """Note that the server says that it ends: h2 would take no replies after that."""
        self._rest += data
        kept = b""
        while len(self._rest) >= 9:
            size = 9 + int.from_bytes(self._rest[:3], "big")
            if len(self._rest) < size:
                break
            frame, self._rest = self._rest[:size], self._rest[size:]
            if frame[3] == 7:
                event = ConnectionTerminated()
                event.last_stream_id = int.from_bytes(frame[9:13], "big")
                event.error_code = ErrorCodes(int.from_bytes(frame[13:17], "big"))
                self.events.append(event)
            else:
                kept += frame
        return kept

    def wait(self, kind: type[Event], stream: int | None = None) -> Any:
        """Read until an event came, of a stream if one is named."""
        while True:
            for event in self.events:
                if isinstance(event, kind) and stream in (None, getattr(event, "stream_id", None)):
                    return event
            assert not self.is_closed, self.events
            self.read()

    def status(self, stream: int) -> tuple[int, str]:
        """The code and the message with which a call ended."""
        self.wait(StreamEnded, stream)
        found: dict[Any, Any] = {}
        for event in self.events:
            if isinstance(event, ResponseReceived | TrailersReceived) and event.stream_id == stream:
                found.update(event.headers)
        return int(found["grpc-status"]), found.get("grpc-message", "")

    def until_closed(self) -> None:
        while not self.is_closed:
            self.read()


def framed(message: bytes) -> bytes:
    return b"\0" + len(message).to_bytes(4, "big") + message


def test_a_call_is_answered() -> None:
    with running() as server, Client(server) as client:
        stream = client.call()
        assert client.status(stream) == (0, "")
        data = b"".join(each.data for each in client.events if isinstance(each, DataReceived))
        assert data == framed(service_pb2.ServerLiveResponse(live=True).SerializeToString())


def test_calls_that_arrive_in_pieces_are_put_together() -> None:
    with running() as server, Client(server) as client:
        message = framed(REQUEST.SerializeToString())
        streams = [client.begin("ModelInfer") for _ in range(3)]
        for at in range(len(message)):
            for stream in streams:
                client.h2.send_data(stream, message[at : at + 1])
                client.send()
        for stream in streams:
            client.h2.end_stream(stream)
        client.send()
        assert [client.status(stream)[0] for stream in streams] == [0, 0, 0]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        framed(b"")[:4],
        framed(b"abc")[:-1],
        framed(b"") + b"x",
        framed(b"") * 2,
        b"\1\0\0\0\0",
        b"\2\0\0\0\0",
    ],
)
def test_a_call_has_one_whole_message(data: bytes) -> None:
    with running() as server, Client(server) as client:
        stream = client.begin()
        client.h2.send_data(stream, data, end_stream=True)
        client.send()
        code, message = client.status(stream)
        assert code == 3
        assert "message" in message


def test_a_call_that_is_given_up_as_it_arrives_disturbs_no_other() -> None:
    with running() as server, Client(server) as client:
        server.app.release.clear()
        other = client.call()
        until(lambda: server.app.accepted)
        server.app.is_full = True
        with client.at_once():
            client.h2.reset_stream(client.call(), ErrorCodes.CANCEL)
        until(lambda: len(server.app.accepted) == 2)
        server.app.is_full = False
        server.app.release.set()
        assert client.status(other) == (0, "")


def test_a_reply_that_is_given_up_as_there_is_room_for_it_disturbs_no_other() -> None:
    with running() as server, Client(server) as client:
        server.app.size, client.reads = 200_000, False
        message = REQUEST.SerializeToString()
        stuck = client.call(message, "ModelInfer")
        client.wait(DataReceived, stuck)
        with client.at_once():
            client.h2.increment_flow_control_window(1_000_000)
            client.h2.increment_flow_control_window(1_000_000, stuck)
            client.h2.reset_stream(stuck, ErrorCodes.CANCEL)
        assert client.status(client.call()) == (0, "")


def test_unknown_calls_deadlines_and_encodings_are_refused() -> None:
    with running() as server, Client(server) as client:
        assert client.status(client.begin("Nothing"))[0] == 12
        assert client.status(client.call(grpc_timeout="1y"))[0] == 3
        stream = client.begin(grpc_encoding="br")
        client.h2.send_data(stream, b"\1" + framed(b"x")[1:], end_stream=True)
        client.send()
        assert client.status(stream)[0] == 12
        # The connection goes on.
        assert client.status(client.call())[0] == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "application/json"},
        {"content-type": "application/grpc-web"},
        {"method": "GET"},
    ],
)
def test_other_requests_over_http2_are_told_what_is_spoken(headers: dict[str, str]) -> None:
    with running() as server, Client(server) as client:
        stream = client.begin(**headers)
        response = client.wait(ResponseReceived, stream)
        assert dict(response.headers)[":status"] == "415"
        assert "only gRPC" in json.loads(client.wait(DataReceived, stream).data)["error"]


def test_a_call_that_takes_too_long_to_arrive_is_cut_off() -> None:
    with running(request_s=0.2) as server, Client(server) as client:
        stream = client.begin("ModelInfer")
        assert client.status(stream) == (4, "the request did not arrive in time")
        client.wait(StreamReset, stream)
        assert client.status(client.call())[0] == 0


def test_whoever_may_ask_nothing_sends_nothing() -> None:
    with running() as server, Client(server) as client:
        server.app.is_known = False
        stream = client.begin("ModelInfer")
        assert client.status(stream)[0] == 3
        assert server.app.pending.bytes == 0
        # Health is open.
        assert client.status(client.call())[0] == 0


def test_bodies_that_are_too_large_alone_or_together_are_refused() -> None:
    with running(body_bytes=50_000) as server, Client(server) as client:
        server.app.pending = PendingBodies(60_000)
        stream = client.begin("ModelInfer")
        for _ in range(4):
            client.h2.send_data(stream, bytes(15_000))
        client.send()
        assert client.status(stream)[0] == 8
        streams = [client.begin("ModelInfer") for _ in range(5)]
        for each in streams[:4]:
            client.h2.send_data(each, bytes(14_000))
        client.send()
        client.h2.send_data(streams[4], bytes(14_000))
        client.send()
        assert client.status(streams[4])[0] == 14
        for each in streams[:4]:
            client.h2.reset_stream(each)
        client.send()
        assert client.status(client.call())[0] == 0
        assert server.app.pending.bytes == 0


def test_a_large_reply_waits_for_the_client_to_read() -> None:
    with running() as server, Client(server) as client:
        server.app.size, client.reads = 1_000_000, False
        # There is room on the connection, but not for this call.
        client.h2.increment_flow_control_window(10_000_000)
        stream = client.call(REQUEST.SerializeToString(), "ModelInfer")
        client.wait(DataReceived, stream)
        assert client.status(client.call())[0] == 0
        client.reads = True
        client.h2.increment_flow_control_window(2_000_000, stream)
        client.send()
        assert client.status(stream)[0] == 0
        size = sum(
            len(e.data)
            for e in client.events
            if isinstance(e, DataReceived) and e.stream_id == stream
        )
        assert size > 1_000_000


def test_a_client_that_reads_no_reply_is_cut_off() -> None:
    with running(request_s=0.3) as server, Client(server) as client:
        server.app.size, client.reads = 1_000_000, False
        client.call(REQUEST.SerializeToString(), "ModelInfer")
        client.until_closed()
        until(lambda: server.connections == 0)


def test_a_client_that_reads_a_reply_by_bytes_is_cut_off() -> None:
    with running(request_s=0.3) as server, Client(server) as client:
        server.app.size, client.reads = 1_000_000, False
        client.h2.increment_flow_control_window(10_000_000)
        stream = client.call(REQUEST.SerializeToString(), "ModelInfer")
        client.wait(DataReceived, stream)
        for _ in range(300):
            client.h2.increment_flow_control_window(1, stream)
            client.send()
            client.read()
            if client.is_closed:
                break
            time.sleep(0.02)
        assert client.is_closed


def test_a_closed_connection_whose_last_bytes_nobody_reads_is_gone() -> None:
    with running(idle_s=0.3, request_s=0.3) as server, Client(server) as client:
        server.app.size = 30_000
        client.h2.increment_flow_control_window(1 << 30)
        client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 1 << 30})
        assert client.status(client.call())[0] == 0
        connection: Any
        [connection] = server.server.server_state.connections
        while not connection.transport.get_write_buffer_size():
            client.call(REQUEST.SerializeToString(), "ModelInfer")
            time.sleep(0.003)
        # It is too little for the server to stop reading.
        assert connection.is_read
        until(lambda: server.connections == 0)


def test_a_flood_of_window_updates_tries_each_reply_seldom(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tries, look = [0], H2Connection.local_flow_control_window

    def counted(self: H2Connection, stream: int) -> int:
        tries[0] += 1
        return look(self, stream)

    with running() as server, Client(server) as client:
        assert client.status(client.call())[0] == 0
        client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 0})
        streams = [client.call(REQUEST.SerializeToString(), "ModelInfer") for _ in range(50)]
        for stream in streams:
            client.wait(ResponseReceived, stream)
        monkeypatch.setattr(H2Connection, "local_flow_control_window", counted)
        client.send(WindowUpdateFrame(0, window_increment=1).serialize() * 5000)
        # A refusal needs no window.
        assert client.status(client.call(rpc="Nothing"))[0] == 12
        assert tries[0] < 50_000
        client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 1000})
        client.send()
        assert {client.status(stream)[0] for stream in streams} == {0}


def test_large_messages_are_counted_until_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def slow(rpc: str, payload: bytes) -> HttpRequest:
        assert released.wait(60)
        return read_call(rpc, REQUEST.SerializeToString())

    with running() as server, Client(server) as client:
        server.app.pending = PendingBodies(150_000)
        # Now it knows the windows of the server.
        assert client.status(client.call())[0] == 0
        monkeypatch.setattr("tidemill.serving.io.grpc_connection.read_call", slow)
        streams = [client.begin("ModelInfer") for _ in range(2)]
        for stream in streams:
            client.h2.send_data(stream, framed(bytes(100_000))[:5])
            for at in range(10):
                client.h2.send_data(stream, bytes(10_000), end_stream=at == 9)
            client.send()
        assert client.status(streams[1])[0] == 14
        released.set()
        assert client.status(streams[0])[0] == 0
        assert server.app.pending.bytes == 0


def test_a_reset_call_is_gone() -> None:
    with running() as server, Client(server) as client:
        server.app.release.clear()
        stream = client.call()
        until(lambda: server.app.accepted)
        client.h2.reset_stream(stream)
        client.send()
        until(lambda: server.app.accepted[0].is_gone)
        server.app.release.set()
        assert client.status(client.call())[0] == 0


def test_a_client_that_goes_leaves_nothing() -> None:
    with running() as server:
        with Client(server) as client:
            server.app.release.clear()
            client.call()
            stream = client.begin("ModelInfer")
            client.h2.send_data(stream, bytes(1000))
            client.send()
            until(lambda: server.app.accepted and server.app.pending.bytes == 1000)
        until(lambda: server.app.accepted[0].is_gone and server.connections == 0)
        assert server.app.pending.bytes == 0


def test_a_fault_of_the_server_is_internal(caplog: pytest.LogCaptureFixture) -> None:
    with running() as server, Client(server) as client:
        server.app.fails = True
        assert client.status(client.call()) == (13, "the server failed to answer the call")
        assert "a fault of ours" in caplog.text


def test_a_flood_of_resets_ends_the_connection() -> None:
    with running() as server, Client(server) as client:
        flood = b""
        for _ in range(1100):
            stream = client.begin()
            flood += RstStreamFrame(stream, error_code=8).serialize()
            client.h2.reset_stream(stream)
            client.send()
        found = client.wait(ConnectionTerminated)
        assert found.error_code == 11
        with Client(server) as other:
            assert other.status(other.call())[0] == 0


def test_more_calls_than_allowed_end_the_connection() -> None:
    with running() as server, Client(server) as client:
        # As one does that hasn't read what the server allows.
        client.h2.remote_settings.max_concurrent_streams = 10_000
        for _ in range(300):
            client.begin("ModelInfer")
        client.until_closed()
        with Client(server) as other:
            assert other.status(other.call())[0] == 0


HOSTILE = {
    "a frame of nothing": b"\xff" * 64,
    "data of no stream": DataFrame(7, b"x").serialize(),
    "settings that can't be": SettingsFrame(0, settings={4: 2**31}).serialize(),
    "a frame longer than allowed": (1 << 20).to_bytes(3, "big") + b"\0\0\0\0\0\1" + bytes(100),
    "headers that are no headers": b"\0\0\4\1\5\0\0\0\1\xff\xff\xff\xff",
    "a header block without end": b"\0\0\0\x09\0\0\0\0\1",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_breaks_the_rules_ends_the_connection_alone(what: str) -> None:
    with running() as server, Client(server) as client, Client(server) as other:
        assert other.status(other.call())[0] == 0
        client.send(HOSTILE[what])
        client.until_closed()
        assert other.status(other.call())[0] == 0
        until(lambda: server.connections == 1)


def test_a_flood_of_pings_waits_for_the_client_to_read() -> None:
    with running(request_s=0.5) as server, Client(server) as client:
        flood, pings = PingFrame(0, b"12345678").serialize() * 10_000, 0
        client.socket.settimeout(5)
        with suppress(OSError):
            while pings < 500:
                client.socket.sendall(flood)
                pings += 1
        # Its replies were neither kept without end, nor was it waited for.
        assert pings < 500
        until(lambda: server.connections == 0)


def test_idle_connections_are_told_before_they_are_closed() -> None:
    with running(idle_s=0.2) as server, Client(server) as client:
        assert client.status(client.call())[0] == 0
        found = client.wait(ConnectionTerminated)
        assert (found.error_code, found.last_stream_id) == (0, 2**31 - 1)
        client.until_closed()
        assert server.connections == 0


def test_too_many_connections_are_refused_and_unused_ones_make_room() -> None:
    with running(connections=2) as server, Client(server) as first, Client(server) as second:
        for client in (first, second):
            assert client.status(client.call())[0] == 0
        with Client(server) as third:
            third.until_closed()
        second.socket.close()
        until(lambda: server.connections == 1)
        # A connection that was never used makes room for one that is.
        with (
            socket.create_connection(("127.0.0.1", server.port)) as silent,
            Client(server) as fourth,
        ):
            assert fourth.status(fourth.call())[0] == 0
            silent.settimeout(60)
            assert silent.recv(1) == b""


def test_a_server_that_stops_answers_and_takes_no_more() -> None:
    with running() as server, Client(server) as client, Client(server) as idle:
        assert idle.status(idle.call())[0] == 0
        server.app.release.clear()
        stream = client.call()
        until(lambda: len(server.app.accepted) == 2)
        server.server.should_exit = True
        # It says that it ends before it does.
        assert client.wait(ConnectionTerminated).last_stream_id == 2**31 - 1
        server.app.release.set()
        assert client.status(stream)[0] == 0
        idle.until_closed()
        server.thread.join(60)
        assert not server.thread.is_alive()


class Wire:
    """A transport that leads nowhere."""

    def __init__(self) -> None:
        self.is_closed = False
        self.pair = socket.socketpair()

    def write(self, data: bytes) -> None:
        assert not self.is_closed

    def is_closing(self) -> bool:
        return self.is_closed

    def get_extra_info(self, name: str) -> socket.socket:
        return self.pair[0]

    def close(self) -> None:
        self.is_closed = True


def sent_bytes(chance: random.Random) -> bytearray:
    """What a client sends with a few calls, of which some bytes are others."""
    client = H2Connection(H2Configuration(client_side=True))
    client.initiate_connection()
    for rpc in chance.choices(["ModelInfer", "ServerLive", "Nothing"], k=chance.randint(1, 4)):
        stream = client.get_next_available_stream_id()
        headers = {":method": "POST", ":scheme": "http", ":authority": "localhost"}
        headers |= {":path": f"{SERVICE}/{rpc}", "content-type": "application/grpc"}
        headers |= chance.choice([{}, {"grpc-timeout": "5S"}, {"grpc-encoding": "gzip"}])
        client.send_headers(stream, [*headers.items()])
        message = framed(REQUEST.SerializeToString())
        cut = chance.randint(0, len(message))
        client.send_data(stream, message[:cut])
        client.send_data(stream, message[cut:], end_stream=True)
        if chance.random() < 0.2:
            client.reset_stream(stream)
    sent = bytearray(client.data_to_send())
    for _ in range(chance.choice([0, 1, 2, 5, 30])):
        at = chance.randrange(len(sent))
        match chance.choice(["other", "other", "fewer", "more"]):
            case "other":
                sent[at] = chance.randrange(256)
            case "fewer":
                del sent[at : at + chance.randint(1, 20)]
            case "more":
                sent[at:at] = chance.randbytes(20)
        if len(sent) < 50:
            break
    return sent


@given(st.integers(0, 2**32), st.sampled_from([1, 9, 50, 100_000]))
def test_whatever_bytes_come_nothing_is_left(seed: int, piece: int) -> None:
    async def feed() -> None:
        app, connections, wire = Answers(), set[Any](), Wire()
        tasks = set[asyncio.Task[None]]()
        connection = GrpcConnection(app, HttpLimits(), connections, tasks)
        connection.connection_made(wire)
        sent = sent_bytes(random.Random(seed))
        for at in range(0, len(sent), piece):
            if not wire.is_closed:
                connection.data_received(bytes(sent[at : at + piece]))
        await asyncio.gather(*tasks)
        connection.cut_off_slow(asyncio.get_running_loop().time())
        connection.connection_lost(None)
        for end in wire.pair:
            end.close()
        assert (app.pending.bytes, connections) == (0, set())
        assert [connection._calls, connection._arriving, connection._unsent] == [{}, {}, {}]

    asyncio.run(feed())
