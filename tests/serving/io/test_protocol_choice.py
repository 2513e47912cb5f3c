"""One port speaks HTTP/1.1 and HTTP/2: what comes first tells them apart, however it comes."""

from __future__ import annotations

import socket

import pytest

from tests.serving.io.test_grpc_connection import Client, running
from tests.support.waiting import until

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@pytest.mark.parametrize("piece", [1, 3, 16, 23, 1000])
def test_the_preface_may_come_in_pieces(piece: int) -> None:
    with running() as server, Client(server) as client:
        assert client.status(client.call())[0] == 0
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as other:
            other.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sent = PREFACE + b"\0\0\0\4\0\0\0\0\0"
            for at in range(0, len(sent), piece):
                other.sendall(sent[at : at + piece])
            # A frame of settings.
            assert other.recv(9)[3:4] == b"\4"


@pytest.mark.parametrize("piece", [1, 3, 1000])
@pytest.mark.parametrize("method", [b"POST", b"PUT", b"PROPFIND", b"GET"])
def test_http_may_begin_as_the_preface_does(method: bytes, piece: int) -> None:
    with running() as server, socket.create_connection(("127.0.0.1", server.port)) as client:
        client.settimeout(60)
        sent = method + b" / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        for at in range(0, len(sent), piece):
            client.sendall(sent[at : at + piece])
        assert client.recv(8) == b"HTTP/1.1"


@pytest.mark.parametrize("sent", [b"", b"PRI * HTTP/2.0\r\n"])
def test_who_does_not_say_what_it_speaks_is_cut_off(sent: bytes) -> None:
    with running(head_s=0.2) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
            client.sendall(sent)
            assert client.recv(1) == b""
        until(lambda: server.connections == 0)
