"""Listen for the workers of a run, which connect when Slurm has started their jobs."""

from __future__ import annotations

import socket
import threading
import time
from ipaddress import ip_address

from tidemill.adapters.lanes.worker_protocol import FrameReader
from tidemill.adapters.slurm.handshake import admit_worker
from tidemill.adapters.slurm.node_protocol import answer_decoder
from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass

_POLL_S, _HANDSHAKE_S = 0.5, 10.0
# So many may be at the handshake at once: strangers can't take all threads and descriptors.
_MOST_STRANGERS = 256


@dataclass(frozen=True, slots=True)
class Joined:
    """The connection of a worker, and what reads its frames."""

    stream: socket.socket
    frames: FrameReader


class WorkerListener:
    """Listens at an address, which is HOST, HOST:PORT or "", until it is closed; `host` and `port` are where.

    Only workers that have the token are admitted. UsageError if this machine can't listen there.
    """

    def __init__(self, address: str, token: str) -> None:
        host, port = _split(address)
        self.host, self._token = host or socket.gethostname(), token
        bound = host if _is_number(host) else ""
        family = socket.AF_INET6 if ":" in bound else socket.AF_INET
        try:
            self._server = socket.create_server((bound, port), family=family, backlog=128)
        except OSError as error:
            raise UsageError(
                f"address = {address!r} in [tool.tidemill.slurm]: this machine can't listen there: "
                f"{error.strerror or error}"
            ) from error
        self._server.settimeout(_POLL_S)
        self.port = int(self._server.getsockname()[1])
        self._joined: dict[str, Joined] = {}
        self._changed = threading.Condition()
        self._is_closed = False
        self._strangers = threading.BoundedSemaphore(_MOST_STRANGERS)
        threading.Thread(target=self._accept, name="tidemill-slurm-listener", daemon=True).start()

    def wait(self, job: str, timeout_s: float) -> Joined | None:
        """The connection of a job's worker, waiting so long for it; it is handed out once."""
        with self._changed:
            self._changed.wait_for(lambda: job in self._joined, timeout_s)
            return self._joined.pop(job, None)

    def close(self) -> None:
        """Listen no longer, and hang up on those for whom nobody waited."""
        with self._changed:
            self._is_closed = True
            self._server.close()
            for joined in self._joined.values():
                joined.stream.close()

    def _accept(self) -> None:
        while not self._is_closed:
            if self._strangers.acquire(timeout=_POLL_S) and not self._accept_next():
                self._strangers.release()

    def _accept_next(self) -> bool:
        try:
            stream, _ = self._server.accept()
            threading.Thread(target=self._admit, args=(stream,), daemon=True).start()
        except TimeoutError:
            return False
        except (OSError, RuntimeError):
            # There may be no descriptors or threads left, until others end.
            time.sleep(_POLL_S)
            return False
        return True

    def _admit(self, stream: socket.socket) -> None:
        try:
            self._let_join(stream)
        finally:
            self._strangers.release()

    def _let_join(self, stream: socket.socket) -> None:
        try:
            stream.settimeout(_HANDSHAKE_S)
            admit_worker(stream, self._token)
            frames = FrameReader(stream)
            job = _read_name(frames)
            stream.settimeout(None)
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except (OSError, EOFError, ValueError):
            stream.close()
            return
        with self._changed:
            if self._is_closed:
                stream.close()
                return
            if (former := self._joined.pop(job, None)) is not None:
                former.stream.close()
            self._joined[job] = Joined(stream, frames)
            self._changed.notify_all()


def _read_name(frames: FrameReader) -> str:
    end = time.monotonic() + _HANDSHAKE_S
    while time.monotonic() < end:
        for frame in frames.receive():
            return str(answer_decoder.decode(frame).result)
    raise TimeoutError("the worker doesn't say its name")


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not port.isdecimal():
        host, port = address, "0"
    return host.strip("[]"), int(port)


def _is_number(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
