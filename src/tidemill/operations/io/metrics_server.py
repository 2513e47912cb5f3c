"""Show metrics over HTTP, in threads of the process that watches a project.

Requests are small and few: there are at most some at once, of which fewer wait for metrics, so that whoever
asks for signs of life gets an answer. A caller who doesn't send or read in time is dropped.
"""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tidemill.core.errors import TidemillError, UsageError
from tidemill.operations.metrics_access import HEALTH, MetricsAccess
from tidemill.serving.metrics_text import CONTENT_TYPE

# A caller may take so long to send a request, and as long to read the answer.
_TIMEOUT_S = 5.0
_MOST_AT_ONCE, _MOST_READERS = 16, 8
_BUSY = "there are too many requests: try again later\n"
# Several readers within this time get the same text.
_SAME_S = 1.0
# How often a port that is taken is tried again, and a server looks whether it is to stop.
_RETRY_S, _POLL_S = 2.0, 0.5


class MetricsServer:
    """Shows what `text` returns, which is called by one thread at a time, at a host and port (0: any).

    If another process has the port, a server that `waits` takes it over when that ends. UsageError if the
    address can't be used.
    """

    def __init__(
        self, text: Callable[[], str], access: MetricsAccess, port: int, *, waits: bool = False
    ) -> None:
        self._text, self._access = _SharedText(text), access
        self._place = access.host.strip("[]"), port
        self._server: _Server | None = None
        self._stop = threading.Event()
        try:
            self._server = self._bind()
        except OSError as error:
            if not waits or error.errno != errno.EADDRINUSE:
                raise UsageError(
                    f"metrics can't be shown at {access.host} port {port}: {error.strerror or error}; "
                    "choose another [tool.tidemill.metrics] port"
                ) from error
        self._thread = threading.Thread(target=self._serve, name="metrics", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """Where it is shown, or will be."""
        host, port = self._place if self._server is None else self._server.server_address[:2]
        name = str(host)
        return f"http://{f'[{name}]' if ':' in name else name}:{port}/metrics"

    def close(self) -> None:
        """Stop it."""
        self._stop.set()
        self._thread.join()
        if self._server is not None:
            self._server.server_close()

    def _bind(self) -> _Server:
        family = socket.AF_INET6 if ":" in self._place[0] else socket.AF_INET
        return _Server(self._place, self._text, self._access, family)

    def _serve(self) -> None:
        while self._server is None:
            if self._stop.wait(_RETRY_S):
                return
            with suppress(OSError):
                self._server = self._bind()
        while not self._stop.is_set():
            self._server.handle_request()
            self._server.drop_slow_callers()

    def __enter__(self) -> MetricsServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _SharedText:
    """The text of now, or of just now."""

    def __init__(self, text: Callable[[], str]) -> None:
        self._make = text
        self._lock = threading.Lock()
        self._known = ""
        self._until = 0.0
        self._free = threading.Semaphore(_MOST_READERS)

    def read(self) -> tuple[int, str]:
        """The status and the text of an answer; that of a bug names its kind only."""
        if not self._free.acquire(blocking=False):
            return 503, _BUSY
        try:
            return 200, self._read()
        except TidemillError as error:
            return 503, f"{error}\n"
        # A caller is answered whatever is wrong.
        except Exception as error:  # noqa: BLE001
            return 500, f"the metrics can't be read: {type(error).__name__}\n"
        finally:
            self._free.release()

    def _read(self) -> str:
        with self._lock:
            if time.monotonic() >= self._until:
                self._known = self._make()
                self._until = time.monotonic() + _SAME_S
            return self._known


_REFUSAL = (
    f"HTTP/1.1 503 Service Unavailable\r\nContent-Type: {CONTENT_TYPE}\r\n"
    f"Content-Length: {len(_BUSY)}\r\nConnection: close\r\n\r\n{_BUSY}"
).encode()


class _Server(ThreadingHTTPServer):
    timeout = _POLL_S
    daemon_threads = True
    block_on_close = False

    def __init__(
        self, address: tuple[str, int], text: _SharedText, access: MetricsAccess, family: int
    ) -> None:
        self.text, self.access = text, access
        self.address_family = family
        self._free = threading.Semaphore(_MOST_AT_ONCE)
        # By when the callers that are waited for have to have done their part.
        self._deadlines: dict[socket.socket, float] = {}
        super().__init__(address, _Handler)

    def wait_for_caller(self, connection: socket.socket) -> None:
        """Give a caller some time from now on."""
        self._deadlines[connection] = time.monotonic() + _TIMEOUT_S

    def stop_waiting(self, connection: socket.socket) -> None:
        """Note that a caller isn't waited for."""
        self._deadlines.pop(connection, None)

    def drop_slow_callers(self) -> None:
        """End the connections of callers that took too long, a byte at a time for example."""
        now = time.monotonic()
        for connection, deadline in [*self._deadlines.items()]:
            if deadline < now:
                self.stop_waiting(connection)
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            with suppress(OSError):
                request.setblocking(False)
                request.send(_REFUSAL)
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Callers that go away are no news."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version, sys_version = "tidemill", ""
    timeout = _TIMEOUT_S

    def setup(self) -> None:
        super().setup()
        self.server.wait_for_caller(self.connection)

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            self.server.stop_waiting(self.connection)

    def answer(self) -> None:
        self.server.stop_waiting(self.connection)
        hosts = self.headers.get_all("Host", [])
        sent = self.headers.get("Authorization", "")
        status = self.server.access.status(self.command, self.path, hosts, sent)
        body = f"{status}\n"
        if status == 200 and self.path.startswith(HEALTH):
            body = "ok\n"
        elif status == 200:
            status, body = self.server.text.read()
        self.server.wait_for_caller(self.connection)
        self._reply(status, body.encode())

    def _reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        if status == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests aren't logged."""

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = do_PATCH = answer
