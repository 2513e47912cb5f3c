"""Show metrics over HTTP, in threads of the process that watches a project.

Requests are small and few: there are at most some at once, and one that isn't sent in time is dropped.
"""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseRequestHandler
from typing import Any

from tidemill.core.errors import TidemillError, UsageError
from tidemill.operations.metrics_access import HEALTH, MetricsAccess
from tidemill.serving.metrics_text import CONTENT_TYPE

_TIMEOUT_S = 5.0
_MOST_AT_ONCE = 8
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
        self._handler = _handler_of(_SharedText(text), access)
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
        return _Server(self._place, self._handler, family)

    def _serve(self) -> None:
        while self._server is None:
            if self._stop.wait(_RETRY_S):
                return
            with suppress(OSError):
                self._server = self._bind()
        while not self._stop.is_set():
            self._server.handle_request()

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

    def read(self) -> str:
        with self._lock:
            if time.monotonic() >= self._until:
                self._known = self._make()
                self._until = time.monotonic() + _SAME_S
            return self._known


class _Server(ThreadingHTTPServer):
    timeout = _POLL_S
    daemon_threads = True
    block_on_close = False

    def __init__(
        self, address: tuple[str, int], handler: type[BaseRequestHandler], family: int
    ) -> None:
        self.address_family = family
        self._free = threading.Semaphore(_MOST_AT_ONCE)
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Callers that go away are no news."""


def _handler_of(text: _SharedText, access: MetricsAccess) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        server_version, sys_version = "tidemill", ""
        timeout = _TIMEOUT_S

        def _answer(self) -> None:
            hosts = self.headers.get_all("Host", [])
            sent = self.headers.get("Authorization", "")
            status = access.status(self.command, self.path, hosts, sent)
            body = "ok\n" if self.path.startswith(HEALTH) else ""
            if status == 200 and not body:
                try:
                    body = text.read()
                except TidemillError as error:
                    status, body = 503, f"{error}\n"
            self._reply(status, body if status in (200, 503) else f"{status}\n")

        def _reply(self, status: int, body: str) -> None:
            sent = body.encode()
            self.send_response(status)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(sent)))
            self.send_header("Cache-Control", "no-store")
            if status == 401:
                self.send_header("WWW-Authenticate", "Bearer")
            self.send_header("Connection", "close")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(sent)

        def log_message(self, format: str, *args: Any) -> None:
            """Requests aren't logged."""

    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        setattr(Handler, f"do_{method}", Handler._answer)
    return Handler
