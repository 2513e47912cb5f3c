"""Servers on loopback that get notices: HTTP hooks, and a mail server."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Hook:
    """An HTTP server that answers with `status`, once `gate` is open, and keeps what it got."""

    status: int = 200
    port: int = 0
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?key=secret-key"


@contextmanager
def hook(status: int = 200, *, opened: bool = True) -> Iterator[Hook]:
    found = Hook(status=status)
    if opened:
        found.gate.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            found.got.append((self.path, dict(self.headers), body))
            found.gate.wait(60)
            self.send_response(found.status)
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST

        def log_message(self, format: str, *_: object) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.gate.set()
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Mail:
    """A mail server that takes messages; `answers` replaces its answers to commands."""

    offers: tuple[str, ...] = ("AUTH PLAIN",)
    answers: dict[str, str] = field(default_factory=dict)
    port: int = 0
    commands: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def answer(self, verb: str) -> str:
        known = {"EHLO": self.greeting, "AUTH": "235 ok", "DATA": "354 go on", "QUIT": "221 bye"}
        return self.answers.get(verb, known.get(verb, "250 ok"))

    @property
    def greeting(self) -> str:
        names = ["loopback", *self.offers]
        last = len(names) - 1
        return "\r\n".join(f"250{'-' if n < last else ' '}{name}" for n, name in enumerate(names))


class MailHandler(socketserver.StreamRequestHandler):
    """Speaks as much SMTP as a client needs to send one message."""

    mail: Mail

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())

    def handle(self) -> None:
        self.say("220 loopback")
        verb = ""
        while verb != "QUIT" and (line := self.rfile.readline().decode("utf-8", "replace").strip()):
            self.mail.commands.append(line)
            verb = line.split()[0].upper()
            answer = self.mail.answer(verb)
            self.say(answer)
            if verb == "DATA" and answer.startswith("354"):
                self.mail.messages.append(self.read_message())
                self.say("250 taken")

    def read_message(self) -> str:
        lines = []
        while (text := self.rfile.readline().decode()) != ".\r\n":
            lines.append(text.replace("\r\n", "\n"))
        return "".join(lines)


@contextmanager
def mail(
    *, offers: tuple[str, ...] = ("AUTH PLAIN",), answers: dict[str, str] | None = None
) -> Iterator[Mail]:
    found = Mail(offers=offers, answers=answers or {})
    handler = type("Handler", (MailHandler,), {"mail": found})
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    found.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
