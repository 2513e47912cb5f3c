"""A receiver of events on loopback, which validates each of them as it arrives."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.openlineage.validation import faults


@dataclass
class LineageServer:
    """What a server received; `answers` are its next status codes, then it answers `valid(event)`.

    `hold` is waited for before each answer.
    """

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    connections: set[Any] = field(default_factory=set)
    hold: threading.Event | None = None
    asked: threading.Event = field(default_factory=threading.Event)

    @property
    def events(self) -> list[Any]:
        return [json.loads(body) for body in self.bodies]


@contextmanager
def lineage_server(
    answers: Sequence[int] = (),
    *,
    hold: threading.Event | None = None,
    check: Callable[[Any], list[str]] = faults,
) -> Iterator[LineageServer]:
    """Serve on a free port until the end of the block."""
    found = LineageServer(answers=[*answers], hold=hold)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.connections.add(self.client_address)
            found.asked.set()
            if found.hold is not None:
                found.hold.wait(60)
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            status = found.answers.pop(0) if found.answers else 201
            if status < 300:
                found.paths.append(self.path)
                found.headers.append(dict(self.headers))
                found.bodies.append(body)
                found.invalid += check(json.loads(body))
            text = b"" if status < 300 else b"no\x1b[31m thanks"
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)
            except OSError:
                # The other side gave up.
                return

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield found
    finally:
        if hold is not None:
            hold.set()
        server.shutdown()
        server.server_close()
        thread.join()
