"""Both sides of a connection prove that they have the token of a run, without sending it."""

from __future__ import annotations

import hmac
import secrets
import time
from socket import socket

_BYTES = 32
_WORKER, _RUN = b"worker", b"run"


def admit_worker(stream: socket, token: str) -> None:
    """The run's side; ConnectionError if the other side has another token."""
    own, end = secrets.token_bytes(_BYTES), _end(stream)
    stream.sendall(own)
    theirs, proof = _receive(stream, end), _receive(stream, end)
    if not hmac.compare_digest(proof, _proof(token, _WORKER, own, theirs)):
        raise ConnectionError("the other side has another token")
    stream.sendall(_proof(token, _RUN, theirs, own))


def join_run(stream: socket, token: str) -> None:
    """The worker's side; ConnectionError if the other side has another token."""
    own, end = secrets.token_bytes(_BYTES), _end(stream)
    theirs = _receive(stream, end)
    stream.sendall(own + _proof(token, _WORKER, theirs, own))
    if not hmac.compare_digest(_receive(stream, end), _proof(token, _RUN, own, theirs)):
        raise ConnectionError("the other side has another token")


def _proof(token: str, side: bytes, asked: bytes, own: bytes) -> bytes:
    return hmac.digest(token.encode(), side + asked + own, "sha256")


def _end(stream: socket) -> float:
    """When its time is over: all of the handshake has as long as one call."""
    allowed_s = stream.gettimeout()
    return float("inf") if allowed_s is None else time.monotonic() + allowed_s


def _receive(stream: socket, end: float) -> bytes:
    found = b""
    while len(found) < _BYTES:
        if time.monotonic() > end:
            raise TimeoutError("the other side is too slow")
        more = stream.recv(_BYTES - len(found))
        if not more:
            raise ConnectionError("the other side closed the connection")
        found += more
    return found
