"""Both sides of a connection prove that they have the token of a run, without sending it."""

from __future__ import annotations

import hmac
import secrets
from socket import socket

_BYTES = 32
_WORKER, _RUN = b"worker", b"run"


def admit_worker(stream: socket, token: str) -> None:
    """The run's side; ConnectionError if the other side has another token."""
    own = secrets.token_bytes(_BYTES)
    stream.sendall(own)
    theirs, proof = _receive(stream), _receive(stream)
    if not hmac.compare_digest(proof, _proof(token, _WORKER, own, theirs)):
        raise ConnectionError("the other side has another token")
    stream.sendall(_proof(token, _RUN, theirs, own))


def join_run(stream: socket, token: str) -> None:
    """The worker's side; ConnectionError if the other side has another token."""
    own, theirs = secrets.token_bytes(_BYTES), _receive(stream)
    stream.sendall(own + _proof(token, _WORKER, theirs, own))
    if not hmac.compare_digest(_receive(stream), _proof(token, _RUN, own, theirs)):
        raise ConnectionError("the other side has another token")


def _proof(token: str, side: bytes, asked: bytes, own: bytes) -> bytes:
    return hmac.digest(token.encode(), side + asked + own, "sha256")


def _receive(stream: socket) -> bytes:
    found = b""
    while len(found) < _BYTES:
        more = stream.recv(_BYTES - len(found))
        if not more:
            raise ConnectionError("the other side closed the connection")
        found += more
    return found
