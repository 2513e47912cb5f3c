"""Serve the endpoints of an environment in this process, until it is asked to stop."""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tidemill.ledger.event import Delivered, RolloutStepped
from tidemill.ledger.rollout import RolloutStep
from tidemill.ports.ledger import State
from tidemill.ports.runtime import Runtime
from tidemill.runs.totals import Price
from tidemill.serving.access import Access
from tidemill.serving.counters import Snapshot
from tidemill.serving.io.access_log import AccessLine, AccessLog
from tidemill.serving.io.app import ServingApp
from tidemill.serving.io.documents import ServerDocuments
from tidemill.serving.io.golden_watch import GoldenWatch
from tidemill.serving.io.http_connection import HttpLimits
from tidemill.serving.io.http_server import HttpServer
from tidemill.serving.io.live_versions import LiveVersions
from tidemill.serving.io.live_watch import LiveWatch
from tidemill.serving.io.meter import Meter, UsageRecorder
from tidemill.serving.io.rollout_judge import RolloutJudge, RolloutRecords
from tidemill.serving.io.usage_record import UsageRecord
from tidemill.serving.io.version_source import VersionSource
from tidemill.serving.issued_tokens import TOKEN_EVENTS, IssuedToken, issued_tokens
from tidemill.serving.metric_families import Family
from tidemill.serving.serve_settings import ServeSettings
from tidemill.workflow.stage import Flow

# The events that change which version answers, and those that change what features look up.
_CHANGES = (Delivered.__name__, RolloutStepped.__name__)
_PUBLICATIONS = ("Published", "Removed")


class RequestExport(Protocol):
    """Exports metrics, and something for each request, from a thread of its own."""

    def start(self) -> None:
        """Begin to export."""

    def add(self, line: AccessLine) -> None:
        """Queue what is exported of a request."""

    def close(self) -> None:
        """Export what is left, and end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """What a server serves, and how: the workflow in an environment, the settings, and prices.

    `export` makes what exports the metrics that it is passed a function for.
    """

    flow: Flow
    environment: str
    settings: ServeSettings
    rollouts: RolloutRecords
    price: Price = field(default_factory=Price)
    export: Callable[[Callable[[], Sequence[Family]]], RequestExport] | None = None


class Server:
    """A server of all endpoints of an environment; `run` it in an event loop of its own."""

    def __init__(self, tools: Runtime, options: ServerOptions) -> None:
        self._tools = tools
        self._options = options
        self._settings = options.settings
        self._meter = Meter()
        self._source = VersionSource(tools, options.flow, options.settings, self._meter)
        self.endpoints = self._source.endpoints(options.rollouts.last())
        self._tokens: Mapping[str, IssuedToken] = self._read_tokens()
        self._access = Access(self._settings, self._tokens)
        self._judge = RolloutJudge(self.endpoints, options.rollouts)
        self._health = GoldenWatch(self.endpoints)
        recorder = UsageRecorder(tools.ledger, options.environment, options.price, time.time())
        self._usage = UsageRecord(self._meter, recorder, self.snapshot)
        kinds = (*_CHANGES, *TOKEN_EVENTS, *(_PUBLICATIONS if self._source.looks_up else ()))
        self._watch = LiveWatch(tools.ledger, options.environment, kinds, self._on_change)
        self.documents = ServerDocuments(
            self.endpoints,
            self.snapshot,
            lambda: (self._watch.fault, self._usage.fault, self._judge.fault),
            options.price,
            base_url=self._settings.base_url,
            has_tokens=self._settings.needs_tokens,
        )
        log = self._settings.access_log
        self._log = AccessLog(tools.root / log) if log else None
        self._export = options.export(self._families) if options.export is not None else None
        self.app = ServingApp(
            self.endpoints,
            access=self._access,
            meter=self._meter,
            documents=self.documents.by_action(lambda: self.app.is_ready),
            settings=self._settings,
            request_ids=secrets.token_hex(4),
            log=_each_of([part.add for part in (self._log, self._export) if part is not None]),
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._http: HttpServer | None = None

    async def run(
        self, listener: socket.socket, state: State, started: Callable[[], None] = lambda: None
    ) -> None:
        """Serve on a listening socket until `stop`, or SIGINT or SIGTERM in the main thread.

        It begins with what is live in `state`, and calls `started` when requests are answered.
        """
        self._loop = asyncio.get_running_loop()
        for part in (self._log, self._export):
            if part is not None:
                part.start()
        self._source.refresh(state)
        self._versions = LiveVersions(
            self.endpoints.values(), self._source, self._judge.record, self._meter.add_background
        )
        await self._versions.start(state)
        self._http = HttpServer(self.app, self._limits(), self._tls())
        loops = [
            asyncio.create_task(each.run()) for each in (self._usage, self._judge, self._health)
        ]
        self._watch.start(state)
        serving = asyncio.create_task(self._http.serve(sockets=[listener]))
        try:
            await self._http.ready.wait()
            started()
            await serving
        finally:
            await asyncio.to_thread(self._watch.close)
            for task in loops:
                task.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            await self._versions.close()
            await self._source.close()
            for part in (self._log, self._export):
                if part is not None:
                    await asyncio.to_thread(part.close)

    def stop(self) -> None:
        """Stop, from any thread: answer what is in flight, and accept no more."""
        if self._http is not None:
            self._http.should_exit = True

    @property
    def valid_tokens(self) -> int:
        """The number of tokens that open something now."""
        now = self._tools.clock()
        return sum(token.is_valid(now) for token in self._tokens.values())

    def snapshot(self) -> Snapshot:
        """The counters of this process."""
        self._meter.adjust()
        drops = self._log.drops if self._log is not None else 0
        return self._meter.snapshot(in_flight=self.app.admission.in_flight, log_drops=drops)

    def _limits(self) -> HttpLimits:
        settings = self._settings
        return HttpLimits(
            head_s=settings.header_timeout,
            request_s=settings.header_timeout + settings.body_timeout,
            connections=settings.max_connections,
            idle_s=settings.keep_alive,
            grace_s=settings.drain,
        )

    def _tls(self) -> tuple[str, str] | None:
        if not self._settings.uses_tls:
            return None
        root = self._tools.root
        return str(root / self._settings.certificate), str(root / self._settings.key)

    def _families(self) -> Sequence[Family]:
        """The metrics, for another thread: only that of the event loop reads the counters."""

        async def families() -> Sequence[Family]:
            return self.documents.families()

        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(families(), self._loop).result()

    def _read_tokens(self) -> Mapping[str, IssuedToken]:
        facts = self._tools.ledger.events(kinds=TOKEN_EVENTS)
        return issued_tokens(facts, self._options.environment)

    def _on_change(self, state: State) -> None:
        """In the thread of the watch: let the event loop follow what changed."""
        self._source.refresh(state)
        tokens, last = self._read_tokens(), self._options.rollouts.last()
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._access.update, tokens)
        self._loop.call_soon_threadsafe(self._follow, state, last)

    def _follow(self, state: State, last: Mapping[str, RolloutStep]) -> None:
        for endpoint in self.endpoints.values():
            if endpoint.name in last:
                endpoint.follow_people(last[endpoint.name])
        self._versions.follow(state)


def _each_of(
    notes: Sequence[Callable[[AccessLine], None]],
) -> Callable[[AccessLine], None] | None:
    """A function that calls all of these; None without any."""
    if len(notes) <= 1:
        return notes[0] if notes else None

    def note(line: AccessLine) -> None:
        for each in notes:
            each(line)

    return note
