"""Serve the endpoints of an environment in this process, until it is asked to stop."""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tidemill.core.errors import StorageError, TidemillError
from tidemill.ledger.event import Delivered, RolloutStepped
from tidemill.ledger.rollout import RolloutStep
from tidemill.models.input_compatibility import incompatibility, input_contract
from tidemill.ports.ledger import State
from tidemill.ports.runtime import Runtime
from tidemill.runs.totals import Price
from tidemill.serving.access import Access
from tidemill.serving.answer_cache import AnswerCache
from tidemill.serving.counters import Snapshot
from tidemill.serving.endpoint_state import after_restart
from tidemill.serving.input_schema import InputSchema
from tidemill.serving.io.access_log import AccessLine, AccessLog
from tidemill.serving.io.app import ServingApp
from tidemill.serving.io.documents import ServerDocuments
from tidemill.serving.io.endpoint_features import EndpointFeatures
from tidemill.serving.io.endpoint_service import EndpointService
from tidemill.serving.io.http_server import HttpLimits, HttpServer
from tidemill.serving.io.live_versions import LiveVersions
from tidemill.serving.io.live_watch import LiveWatch
from tidemill.serving.io.loaded_version import LoadedVersion, PreparedVersion, prepare_version
from tidemill.serving.io.meter import ADJUST_EVERY_S, Meter, UsageRecorder, resident_memory
from tidemill.serving.issued_tokens import TOKEN_EVENTS, IssuedToken, issued_tokens
from tidemill.serving.metric_families import Family
from tidemill.serving.rows import RequestLimits
from tidemill.serving.serve_settings import ServeSettings
from tidemill.workflow.model import Artifact
from tidemill.workflow.stage import Flow

JUDGE_EVERY_S = 1.0
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


class RolloutRecords(Protocol):
    """Where the steps of rollouts are recorded."""

    def last(self) -> Mapping[str, RolloutStep]:
        """The last recorded step of each endpoint."""

    def record(self, endpoint: str, steps: Sequence[RolloutStep]) -> None:
        """Record steps of an endpoint, all or none."""

    def move_back(self, endpoint: str, step: RolloutStep) -> object:
        """Make the version before live again, if the step rolled the live one back."""


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
        self._limits = RequestLimits(bytes=self._settings.max_body, rows=self._settings.max_rows)
        self.endpoints: dict[str, EndpointService] = {}
        self._records: deque[tuple[str, RolloutStep]] = deque()
        cached = self._settings.cached_answers
        self._cache: AnswerCache[Any] | None = AnswerCache(cached) if cached else None
        self._features = {
            each.name: EndpointFeatures(each, options.flow, tools.artifacts)
            for each in options.flow.endpoints
            if each.features
        }
        self._tokens: Mapping[str, IssuedToken] = self._read_tokens()
        self._access = Access(self._settings, self._tokens)
        self._watch = LiveWatch(
            tools.ledger,
            options.environment,
            (
                Delivered.__name__,
                RolloutStepped.__name__,
                *TOKEN_EVENTS,
                *(_PUBLICATIONS if self._features else ()),
            ),
            self._on_change,
        )
        self.documents = ServerDocuments(
            self.endpoints,
            self.snapshot,
            lambda: self._watch.fault,
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
        self._open_endpoints()
        self._versions = LiveVersions(self.endpoints.values(), self, self._meter.add_background)
        for features in self._features.values():
            features.refresh(state)
        await self._versions.start(state)
        settings = self._settings
        self._http = HttpServer(
            self.app,
            HttpLimits(
                request_s=max(settings.header_timeout, settings.body_timeout),
                idle_s=settings.keep_alive,
                grace_s=settings.drain,
            ),
            self._tls(),
        )
        loops = [
            asyncio.create_task(self._record_usage()),
            asyncio.create_task(self._judge_rollouts()),
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
            await asyncio.gather(*(each.close() for each in self._features.values()))
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
        drops = self._log.drops if self._log is not None else 0
        return self._meter.snapshot(in_flight=self.app.admission.in_flight, log_drops=drops)

    def _families(self) -> Sequence[Family]:
        """The metrics, for another thread: only that of the event loop reads the counters."""

        async def families() -> Sequence[Family]:
            return self.documents.families()

        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(families(), self._loop).result()

    def _tls(self) -> tuple[str, str] | None:
        if not self._settings.uses_tls:
            return None
        root = self._tools.root
        return str(root / self._settings.certificate), str(root / self._settings.key)

    def _read_tokens(self) -> Mapping[str, IssuedToken]:
        facts = self._tools.ledger.events(kinds=TOKEN_EVENTS)
        return issued_tokens(facts, self._options.environment)

    def _on_change(self, state: State) -> None:
        """In the thread of the watch: hand what changed to the event loop."""
        for features in self._features.values():
            features.refresh(state)
        tokens = self._read_tokens()
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._access.update, tokens)
        self._loop.call_soon_threadsafe(self._follow, state, self._options.rollouts.last())

    def _follow(self, state: State, last: Mapping[str, RolloutStep]) -> None:
        for endpoint in self.endpoints.values():
            if endpoint.name in last:
                endpoint.follow_people(last[endpoint.name])
        self._versions.follow(state)

    def _open_endpoints(self) -> None:
        """Continue what each endpoint did before its server was stopped."""
        options = self._options
        last = options.rollouts.last()
        for declared in options.flow.endpoints:
            before = after_restart(last.get(declared.name), declared.rollout)
            self.endpoints[declared.name] = EndpointService(
                declared, options.flow[declared.model], before
            )

    def find(self, model: str, version: str) -> Artifact:
        """A version that was delivered before; StorageError if there is none."""
        for fact in self._tools.ledger.events(kinds=(Delivered.__name__,)):
            event = fact.event
            assert isinstance(event, Delivered)
            if event.delivery.name == model and event.delivery.artifact.id == version:
                return event.delivery.artifact
        raise StorageError(f"{model} {version} was never delivered here")

    def record(self, endpoint: str, steps: Sequence[RolloutStep]) -> None:
        """Record steps of an endpoint's rollout soon."""
        self._records.extend((endpoint, step) for step in steps)

    async def _judge_rollouts(self) -> None:
        """Judge the rollouts every second, and record their steps."""
        try:
            while True:
                await asyncio.sleep(JUDGE_EVERY_S)
                for endpoint in self.endpoints.values():
                    self.record(endpoint.name, [*await endpoint.judge(time.time())])
                await self._record_steps()
        finally:
            await asyncio.shield(self._record_steps())

    async def _record_steps(self) -> None:
        """Append the steps that aren't recorded yet, in order; what fails is tried again later."""
        while self._records:
            endpoint, step = self._records[0]
            try:
                await asyncio.to_thread(self._record_step, endpoint, step)
            except TidemillError as error:
                self.documents.rollout_fault = str(error)
                return
            self._records.popleft()
        self.documents.rollout_fault = ""

    def _record_step(self, endpoint: str, step: RolloutStep) -> None:
        """Record a step; where a rollout went back, what is live goes back, too."""
        rollouts = self._options.rollouts
        # Moving first: if the server dies in between, it judges the candidate again.
        rollouts.move_back(endpoint, step)
        rollouts.record(endpoint, [step])

    def prepare(self, endpoint: EndpointService, artifact: Artifact) -> PreparedVersion:
        """Load a version in a thread; StorageError if requests can't feed it."""
        stage = self._options.flow[endpoint.model]
        contracts = [item.contract for item in stage.inputs]
        if endpoint.name in self._features:
            contracts = [self._features[endpoint.name].contract]
        reason = incompatibility(artifact, stage, contracts)
        contract = input_contract(artifact, contracts)
        if reason or contract is None:
            raise StorageError(reason or f"no input of {stage.name} has the columns that it reads")
        tools = self._tools
        return prepare_version(
            artifact,
            contract,
            tools.artifacts,
            tools.formats,
            tools.model_probe,
            is_caching=self._cache is not None,
        )

    def open(self, endpoint: EndpointService, prepared: PreparedVersion) -> LoadedVersion:
        artifact = prepared.artifact
        features = self._features.get(endpoint.name)
        inputs = None if features is None else features.inputs(artifact, self._limits)
        schema = (
            InputSchema(prepared.contract, artifact.inputs, limits=self._limits)
            if inputs is None
            else inputs.schema
        )
        series = self._meter.series(endpoint.name, artifact.id)
        return LoadedVersion(endpoint.name, prepared, schema, series, inputs, self._cache)

    async def _record_usage(self) -> None:
        """Adjust the measured CPU times every few seconds, and record them in the ledger now and then."""
        options = self._options
        recorder = UsageRecorder(
            self._tools.ledger, options.environment, options.price, time.time()
        )
        try:
            while True:
                await asyncio.sleep(ADJUST_EVERY_S)
                self._meter.adjust(await asyncio.to_thread(resident_memory))
                await self._record(recorder, only_if_due=True)
        finally:
            self._meter.adjust(resident_memory())
            await asyncio.shield(self._record(recorder, only_if_due=False))

    async def _record(self, recorder: UsageRecorder, *, only_if_due: bool) -> None:
        snapshot, now = self.snapshot(), time.time()
        if only_if_due and not recorder.is_due(snapshot, now):
            return
        try:
            await asyncio.to_thread(recorder.record, snapshot, now)
            self.documents.usage_fault = ""
        except TidemillError as error:
            # It is part of the next record.
            self.documents.usage_fault = str(error)


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
