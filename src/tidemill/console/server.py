"""Run the console: bind its address, make a link to log in with, answer until it is stopped."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import resource
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FrameType

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from tidemill.console.io.app import open_app
from tidemill.console.io.assets import describe_missing
from tidemill.console.io.ledger_watch import LedgerWatch
from tidemill.console.io.pages import Console
from tidemill.console.io.projects import Projects
from tidemill.console.io.requests import LARGEST
from tidemill.console.io.shared_answers import SharedAnswers
from tidemill.console.request_origin import AllowedHosts
from tidemill.console.sessions import LoginLinks, Sessions
from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.redaction import Redactor
from tidemill.ledger.io.lease_holder import is_dead, this_process
from tidemill.operations.console_settings import ConsoleSettings
from tidemill.project.composition import open_shared_ledger
from tidemill.project.settings import Settings, configured_secrets
from tidemill.project.workflow_name import written_times
from tidemill.serving.host_names import HostName, is_loopback, parse_origin
from tidemill.serving.io.http_connection import (
    Connection,
    HttpLimits,
    WholeRequest,
    cut_off_slow_clients,
)

# Who can read this file may log in as the user who started the console.
_FILE = "console.json"
_END_S = 3
# Of the headers of a request; and the seconds in which they, and all of a request, have to come.
_HEAD, _HEAD_S, _REQUEST_S = 32_768, 10.0, 60.0
# Late ones are looked for so often: each look wakes a console that nobody uses.
_SWEEP_S = 2.0
_MOST_CONNECTIONS = 1_000
# Without a choice it is the first of so many ports that is free.
_PORT, _PORTS = 8484, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningConsole:
    """A console that answers at `url`; `link`, by its public address, logs in who started it, once.

    `lack` says what its pages can't do here, if there is anything.
    """

    url: str
    link: str
    lack: str = ""


def run_console(
    settings: Settings,
    chosen: ConsoleSettings,
    workflow: str | None,
    started: Callable[[RunningConsole], None],
) -> None:
    """Answer requests until SIGINT or SIGTERM; `started` is called when they are answered.

    UsageError if an address is open to other machines and no roles are declared, or can't be used.
    """
    public = parse_origin(chosen.url)
    reached = [chosen.host, *([public[1].host] if public is not None else [])]
    elsewhere = [host for host in reached if not is_loopback(host)]
    if elsewhere and not settings.grants.are_declared:
        raise UsageError(
            f"at {elsewhere[0]} other machines reach the console, and nobody has to be authorized: declare "
            "[tool.tidemill.roles] first, or listen on 127.0.0.1 without a public url"
        )
    listener = _bind(chosen)
    port = listener.getsockname()[1]
    url = f"http://{HostName(chosen.host, port)}"
    place = chosen.url or url
    is_https = place.startswith("https:")
    secret = secrets.token_bytes(32)
    links = LoginLinks(secret)
    ledger = open_shared_ledger(settings, Redactor(configured_secrets(settings)))
    home = settings.root / settings.home
    watch = LedgerWatch(ledger, home)
    console = Console(
        projects=SharedAnswers(
            Projects(
                settings.root,
                workflow,
                chosen.idle,
                basis=lambda: (watch.generation, written_times(settings)),
            ),
            seq=lambda: watch.seq,
        ),
        watch=watch,
        sessions=Sessions(lambda: secrets.token_urlsafe(32), chosen.session),
        links=links,
        # Cookies of a host are sent to all its ports. Other hosts of a domain can't set one named like this.
        cookie=f"{'__Host-' if is_https else ''}tidemill-{port}",
        secure=is_https,
    )
    hosts = AllowedHosts(
        names=frozenset({*reached, *chosen.hosts}),
        loopback=is_loopback(chosen.host),
        url=chosen.url,
    )
    file = home / _FILE
    _write_private(
        file, {"url": place, "secret": secret.hex(), "holder": this_process("tidemill console")}
    )
    _log_logins()
    try:
        link = f"{place}/?link={links.make(secrets.token_urlsafe(9), time.time())}"
        server = _ConsoleServer(
            open_app(console, hosts),
            lambda: started(RunningConsole(url=url, link=link, lack=describe_missing())),
            ending=watch.end,
        )
        with ledger.followed():
            server.run(sockets=[listener])
    finally:
        watch.close()
        _forget(file, secret)
        listener.close()
        ledger.close()


def new_link(settings: Settings) -> str:
    """A link that logs the user of this process in at the console that runs; UsageError if none does."""
    file = settings.root / settings.home / _FILE
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if found is None or is_dead(found["holder"]):
        raise UsageError("no console runs here: start one with `tidemill console`")
    links = LoginLinks(bytes.fromhex(found["secret"]))
    return f"{found['url']}/?link={links.make(secrets.token_urlsafe(9), time.time())}"


class _ConsoleServer(uvicorn.Server):
    def __init__(
        self, app: ASGIApp, started: Callable[[], None], *, ending: Callable[[], None]
    ) -> None:
        application, limits = _Application(app), _limits()
        super().__init__(
            uvicorn.Config(
                application,
                http=partial(Connection, limits=limits, application=application),  # type: ignore[arg-type]
                ws="none",
                loop="asyncio",
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=_END_S,
                backlog=limits.backlog,
            )
        )
        self._tell, self._end_streams = started, ending
        self._is_asked_to_end = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._is_asked_to_end.set)

    async def main_loop(self) -> None:
        """Set the date of answers each second until it ends; uvicorn wakes ten times as often."""
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._is_asked_to_end.wait(), 1.0)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Streams of events would go on until time is up.
        self._end_streams()
        await super().shutdown(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        if self.started:
            connections = self.server_state.connections
            self._sweep = asyncio.create_task(cut_off_slow_clients(connections, _SWEEP_S))
            self._tell()


class _Application:
    """Answers each request at once."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    def note_connection(self) -> None:
        """Nothing depends on it."""

    def arrival(self) -> float:
        """When bytes that are read now arrived."""
        return time.monotonic()

    def accept(self, request: WholeRequest) -> None:
        """Begin a request."""
        request.begin()


def _limits() -> HttpLimits:
    """What browsers may send; half of the files that this process may open are for other things."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    most = _MOST_CONNECTIONS
    if files != resource.RLIM_INFINITY:
        most = min(most, files // 2)
    return HttpLimits(
        head_s=_HEAD_S,
        request_s=_REQUEST_S,
        head_bytes=_HEAD,
        body_bytes=LARGEST,
        connections=most,
        # So many are accepted before those beyond the limit are closed.
        backlog=most // 4,
    )


def _log_logins() -> None:
    """Tell on standard error who logs in, and who is refused."""
    log = logging.getLogger("tidemill.console")
    log.setLevel(logging.INFO)
    if not log.handlers:
        shown = logging.StreamHandler()
        shown.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        log.addHandler(shown)


def _bind(chosen: ConsoleSettings) -> socket.socket:
    """The chosen port, or the first of some that is free."""
    if chosen.port is not None:
        return _bind_port(chosen.host, chosen.port)
    for port in range(_PORT, _PORT + _PORTS):
        with suppress(UsageError):
            return _bind_port(chosen.host, port)
    return _bind_port(chosen.host, _PORT)


def _bind_port(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Only sockets that say so send small answers at once.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # Now nobody else has the port; how many connections may wait is set later.
        listener.listen()
    except OSError as error:
        listener.close()
        raise UsageError(
            f"the console can't listen at {host} port {port}: {error.strerror or error}; "
            "choose another one with --port, or [tool.tidemill.console] port"
        ) from error
    return listener


def _forget(file: Path, secret: bytes) -> None:
    """Remove the file, unless another console wrote it since."""
    with suppress(OSError, ValueError):
        if json.loads(file.read_text(encoding="utf-8"))["secret"] == secret.hex():
            file.unlink()


def _write_private(file: Path, document: object) -> None:
    """Write a file that only this user can read, whole or not at all."""
    draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    # Nobody else may have made it before, or may lead it elsewhere.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    descriptor = os.open(draft, flags, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as out:
            json.dump(document, out)
        os.replace(draft, file)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
