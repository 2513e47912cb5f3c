"""The main module of a job: connect to the run that submitted it, and be a worker until it hangs up."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from tidemill.adapters.clusters.host import Host
from tidemill.adapters.lanes.worker_protocol import FrameReader, frame_message
from tidemill.adapters.slurm.handshake import join_run
from tidemill.adapters.slurm.job_states import UNREACHABLE_CODE
from tidemill.adapters.slurm.node_protocol import (
    TOKEN_VARIABLE,
    UNANSWERED,
    NodeAnswer,
    NodeCall,
    call_decoder,
)

_METHODS = frozenset({"describe", "unpack", "open", "command", "poll"})
# A report is awaited while tasks come and go.
_CALLS = 4
# The run asks for reports every second; one that asks for none so long is gone, perhaps with its machine.
_CONNECT_S, _SILENT_S = 30.0, 120.0


def main(host: str, port: int) -> None:
    """Work for the run at this address; the exit code says if it can't be reached."""
    token = os.environ.pop(TOKEN_VARIABLE, "")
    try:
        stream = socket.create_connection((host.strip("[]"), port), _CONNECT_S)
        join_run(stream, token)
    except OSError as error:
        sys.stderr.write(f"the run at {host} port {port} can't be reached: {error}\n")
        sys.exit(UNREACHABLE_CODE)
    stream.settimeout(_SILENT_S)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with suppress(EOFError, OSError):
        serve(stream, job_name(os.environ))
    # Processes of the lane end with this one.
    os._exit(0)


def job_name(environment: Mapping[str, str]) -> str:
    """The name by which the run knows this job."""
    return f"{environment['SLURM_ARRAY_JOB_ID']}_{environment['SLURM_ARRAY_TASK_ID']}"


def serve(stream: socket.socket, name: str) -> None:
    """Answer calls; EOFError or OSError when the run has hung up."""
    host, lock, frames = Host(), threading.Lock(), FrameReader(stream)

    def send(answer: NodeAnswer) -> None:
        try:
            with lock:
                stream.sendall(frame_message(answer))
        except OSError:
            # Perhaps half of it was sent, so nothing can follow.
            _hang_up(stream)

    def answer(call: NodeCall) -> None:
        found = _answer(host, call)
        if call.number != UNANSWERED:
            send(found)
        elif found.error is not None:
            sys.stderr.write(f"{': '.join(found.error)}\n")

    send(NodeAnswer(UNANSWERED, name))
    calls = ThreadPoolExecutor(_CALLS)
    while True:
        for frame in frames.receive():
            calls.submit(answer, call_decoder.decode(frame))


def _hang_up(stream: socket.socket) -> None:
    with suppress(OSError):
        stream.shutdown(socket.SHUT_RDWR)


def _answer(host: Host, call: NodeCall) -> NodeAnswer:
    try:
        if call.method not in _METHODS:
            raise ValueError(f"a worker has no method {call.method!r}")
        return NodeAnswer(call.number, getattr(host, call.method)(*call.arguments))
    # Whatever it is, the run has to know.
    except Exception as error:  # noqa: BLE001
        return NodeAnswer(call.number, error=(type(error).__name__, str(error)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
