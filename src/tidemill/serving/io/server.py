"""Serve the endpoints of an environment in this process, until it is asked to stop."""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import field, replace
from pathlib import Path
from typing import Any, Protocol

from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.roles import Grants
from tidemill.ledger.event import Delivered, RolloutStepped
from tidemill.ledger.price import PriceBook
from tidemill.ports.ledger import State
from tidemill.ports.runtime import Runtime
from tidemill.serving.access import Access, AccessRules, DocumentReader
from tidemill.serving.counters import Snapshot
from tidemill.serving.io.access_log import AccessLine, AccessLog
from tidemill.serving.io.app import ServingApp
from tidemill.serving.io.background import cancel, spawn
from tidemill.serving.io.checkpoint_watch import CheckpointOptions, CheckpointWatch
from tidemill.serving.io.documents import ServerDocuments
from tidemill.serving.io.follower import ServingFollower
from tidemill.serving.io.golden_watch import GoldenWatch
from tidemill.serving.io.http_connection import HttpLimits
from tidemill.serving.io.http_server import Http2, HttpServer, TlsFiles
from tidemill.serving.io.leader import ServingLeader
from tidemill.serving.io.live_watch import LiveWatch
from tidemill.serving.io.meter import Meter
from tidemill.serving.io.prediction_log import EndpointLog, LogOptions, PredictionLogs
from tidemill.serving.io.process_load import LoadMeter
from tidemill.serving.io.rollout_judge import RolloutRecords
from tidemill.serving.io.serving_pool import StartWorker
from tidemill.serving.io.serving_role import ServingRole
from tidemill.serving.io.shared_evidence import EvidenceMail
from tidemill.serving.io.status_socket import StatusSocket
from tidemill.serving.io.usage_record import UsageRecord
from tidemill.serving.io.usage_recorder import UsageRecorder
from tidemill.serving.io.usage_spool import UsageSpool
from tidemill.serving.io.version_source import VersionSource
from tidemill.serving.issued_tokens import TOKEN_EVENTS, IssuedToken, issued_tokens
from tidemill.serving.metric_families import Family
from tidemill.serving.oip import Reply
from tidemill.serving.opened_documents import opened_status
from tidemill.serving.proxied_user import ProxyTrust
from tidemill.serving.routes import RouteAction
from tidemill.serving.serve_settings import ServeSettings
from tidemill.serving.worker_scaling import ProcessLoad
from tidemill.workflow.environment import own_place
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
    """The workflow that a server serves in an environment, its settings, and prices.

    `grants` are the roles of people, `proxy` may name them. `key_password` opens the private key of TLS.
    `personal_key` hashes personal data in logs of requests. `export` makes what exports the metrics that it
    is passed a function for. `http2` answers calls over gRPC. `start_worker` starts further processes; in
    these, `control` is the socket by which the first one reaches them. Commands ask for the status through a
    socket in `status_folder`. `checkpoints` makes those of the ledger. What the ledger can't take of the
    usage is kept in `usage_folder`. `evidence` is how servers tell each other of rollouts.
    """

    flow: Flow
    environment: str
    settings: ServeSettings
    rollouts: RolloutRecords
    evidence: EvidenceMail
    usage_folder: Path
    prices: PriceBook = field(default_factory=PriceBook)
    grants: Grants = field(default_factory=Grants)
    proxy: ProxyTrust | None = None
    key_password: str = field(default="", repr=False)
    personal_key: bytes = field(default=b"", repr=False)
    export: Callable[[Callable[[], Sequence[Family]]], RequestExport] | None = None
    http2: Http2 | None = None
    start_worker: StartWorker | None = None
    control: socket.socket | None = None
    status_folder: Path | None = None
    checkpoints: CheckpointOptions | None = None


class Server:
    """A server of all endpoints of an environment; `run` it in an event loop of its own."""

    def __init__(self, tools: Runtime, options: ServerOptions) -> None:
        self._tools = tools
        self._options = options
        self._settings = options.settings
        self._meter = Meter()
        self._source = VersionSource(tools, options.flow, options.settings, self._meter)
        self.endpoints = self._source.endpoints()
        self._tokens: Mapping[str, IssuedToken] = self._read_tokens()
        rules = AccessRules(options.flow.name, options.grants, options.proxy)
        self._access = Access(self._settings, self._tokens, rules)
        self._health = GoldenWatch(self.endpoints)
        self._load = LoadMeter()
        self._role = self._open_role()
        folder = options.status_folder
        self._status = None if folder is None else StatusSocket(folder, self._role.status)
        sealed = options.checkpoints
        self._checkpoints = None if sealed is None else CheckpointWatch(sealed, self._is_judge)
        # The first process records what all use.
        own = self._open_recorder() if options.control is None else None
        self._usage = UsageRecord(self._meter, own, self._role.snapshot)
        kinds = (*_CHANGES, *TOKEN_EVENTS, *(_PUBLICATIONS if self._source.looks_up else ()))
        self._watch = LiveWatch(tools.ledger, options.environment, kinds, self._on_change)
        self.documents = ServerDocuments(
            self.endpoints,
            self._snapshot,
            lambda: (
                self._watch.fault,
                self._usage.fault,
                self._prediction_logs.fault,
                self._checkpoints.fault if self._checkpoints is not None else "",
                *self._source.faults,
                *self._role.faults,
            ),
            options.prices.at(time.time()),
            lambda: self._watch.stale_since,
        )
        log = self._settings.access_log
        self._log = AccessLog(tools.root / log) if log else None
        self._prediction_logs = self._open_prediction_logs()
        self._export = options.export(self._families) if options.export is not None else None
        self.app = ServingApp(
            self.endpoints,
            access=self._access,
            meter=self._meter,
            documents={
                **self.documents.by_action(lambda: self.app.is_ready),
                RouteAction.STATUS: self._status_reply,
            },
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
        http = self._http = self._open_http()
        async with AsyncExitStack() as stack:
            # After the logs are written, which takes its time, and counts what they have.
            stack.push_async_callback(self._role.leave)
            for part in (self._log, self._export, self._prediction_logs):
                if part is not None:
                    part.start()
                    stack.push_async_callback(asyncio.to_thread, part.close)
            self._source.refresh(state)
            stack.push_async_callback(self._source.close)
            await self._role.start(state, listener)
            stack.push_async_callback(self._role.close)
            loops = [spawn(self._usage.run), spawn(self._health.run)]
            if self._checkpoints is not None:
                loops.append(spawn(self._checkpoints.run))
            stack.push_async_callback(cancel, loops)
            if self._status is not None:
                await self._status.start()
                stack.push_async_callback(self._status.close)
            self._watch.start(state)
            stack.push_async_callback(asyncio.to_thread, self._watch.close)
            stack.push_async_callback(self._role.drain)
            draining = asyncio.create_task(self._drain_others(http))
            stack.callback(draining.cancel)
            serving = asyncio.create_task(http.serve(sockets=[listener]))
            await http.ready.wait()
            if not serving.done():
                loops.append(spawn(self._role.run))
                started()
            await serving

    def stop(self) -> None:
        """Stop, from any thread: answer what is in flight, and accept no more."""
        if self._http is not None:
            self._http.should_exit = True

    def look_again(self) -> None:
        """Read the ledger once more, and follow what is found."""
        self._watch.look_again()

    @property
    def valid_tokens(self) -> int:
        """The number of tokens that open something now."""
        now = self._tools.clock()
        return sum(each.is_valid(now) and each.token.predicts for each in self._tokens.values())

    def own_snapshot(self) -> Snapshot:
        """The counters of this process; CPU times up to the last adjustment."""
        drops = self._log.drops if self._log is not None else 0
        logs = self._prediction_logs.by_endpoint
        found = self._meter.snapshot(
            in_flight=self.app.admission.in_flight,
            log_drops=drops,
            logged_rows={name: each.rows for name, each in logs.items()},
            unlogged={name: each.drops for name, each in logs.items()},
        )
        failures = 0 if self._checkpoints is None else self._checkpoints.failures
        return replace(found, checkpoint_failures=failures)

    def _open_recorder(self) -> UsageRecorder:
        options = self._options
        spool = UsageSpool(options.usage_folder)
        ledger, now = self._tools.ledger, time.time()
        return UsageRecorder(ledger, options.environment, options.prices, now, spool)

    def _open_prediction_logs(self) -> PredictionLogs:
        """The logs of the endpoints that have one; a token names the files of this process."""
        logs: dict[str, EndpointLog] = {}
        token = secrets.token_hex(6)
        for name, endpoint in self.endpoints.items():
            setting = endpoint.declared.log
            if setting is None:
                continue
            own = own_place(setting.folder, self._options.environment)
            options = LogOptions(
                folder=self._tools.root / own,
                token=token,
                key=self._options.personal_key,
                removes=self._options.control is None,
            )
            endpoint.log = logs[name] = EndpointLog(name, setting, options)
        return PredictionLogs(logs)

    def _status_reply(self, reader: DocumentReader) -> Reply:
        status = self._role.status()
        return Reply(status if reader.reads_server else opened_status(status, reader.opens))

    def own_faults(self) -> Sequence[str]:
        """The faults of this process and its endpoints."""
        found = [f"{each.name}: {each.fault}" for each in self.endpoints.values() if each.fault]
        own = (
            self._watch.fault,
            self._usage.fault,
            self._prediction_logs.fault,
            *self._source.faults,
        )
        return [*filter(None, own), *found]

    def own_status(self) -> dict[str, Any]:
        """The status of the endpoints of this process, as plain data."""
        return self.documents.status()

    def read_load(self) -> ProcessLoad:
        """How busy this process was since the last call."""
        return self._load.read(
            queued=self.app.queue.queued + sum(each.queued for each in self.endpoints.values()),
            connections=0 if self._http is None else len(self._http.server_state.connections),
        )

    def close_connections(self, count: int) -> None:
        """Have so many callers connect again, maybe to another process."""
        self.app.close_connections(count)

    def share_rates(self, processes: int) -> None:
        """Allow callers this process' share of their rates: so many processes answer."""
        self._access.share_rates(processes)

    def _snapshot(self) -> Snapshot:
        self._meter.adjust()
        return self._role.snapshot()

    def _is_judge(self) -> bool:
        return self._role.judges

    def _open_role(self) -> ServingRole:
        options = self._options
        if options.control is not None:
            return ServingFollower(self, self.endpoints, self._source, options.control)
        mail = options.evidence
        leader = ServingLeader(self, self.endpoints, self._source, options.rollouts, mail)
        if options.start_worker is not None:
            leader.use_workers(self._settings, options.start_worker)
        return leader

    async def _drain_others(self, http: HttpServer) -> None:
        await http.draining.wait()
        await self._role.drain()

    def _limits(self) -> HttpLimits:
        settings = self._settings
        return HttpLimits(
            head_s=settings.header_timeout,
            request_s=settings.header_timeout + settings.body_timeout,
            connections=settings.max_connections,
            body_bytes=settings.max_body,
            idle_s=settings.keep_alive,
            delay_s=settings.drain_delay,
            grace_s=settings.drain,
        )

    def _open_http(self) -> HttpServer:
        settings, root, http2 = self._settings, self._tools.root, self._options.http2
        if not settings.uses_tls:
            return HttpServer(self.app, self._limits(), http2=http2)
        files = TlsFiles(
            str(root / settings.certificate),
            str(root / settings.key),
            self._options.key_password,
        )
        try:
            return HttpServer(self.app, self._limits(), files, http2)
        except OSError as error:
            raise UsageError(
                f"TLS can't use certificate = {settings.certificate!r} and key = {settings.key!r}: "
                f"{error.strerror or error}; both are PEM files, relative to {root}"
            ) from error

    def _families(self) -> Sequence[Family]:
        """The metrics, for another thread: only that of the event loop reads the counters."""

        async def families() -> Sequence[Family]:
            # The first process exports the metrics of all.
            return self.documents.families() if self._options.control is None else ()

        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(families(), self._loop).result()

    def _read_tokens(self) -> Mapping[str, IssuedToken]:
        facts = self._tools.ledger.events(kinds=TOKEN_EVENTS)
        return issued_tokens(facts, self._options.environment)

    def _on_change(self, state: State) -> None:
        """In the thread of the watch: let the event loop follow what changed."""
        self._source.refresh(state)
        tokens, records = self._read_tokens(), self._options.rollouts.read(state)
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._access.update, tokens)
        self._loop.call_soon_threadsafe(self._role.follow, state, records)


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
