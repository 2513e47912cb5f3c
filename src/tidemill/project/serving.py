"""Serve the endpoints of a workspace online. Importing it needs the extra `serve`."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import polars as pl
from polars.exceptions import PolarsError

from tidemill.contracts.column import Column
from tidemill.contracts.io.synthetic import sample
from tidemill.core.errors import StorageError, UnknownNameError, UsageError, did_you_mean
from tidemill.core.extras import install_command
from tidemill.core.lazy_dataclass import dataclass
from tidemill.costs.io.recorded_prices import price_events
from tidemill.governance.permissions import Permission
from tidemill.project.arrow_files import arrow_stream, stream_of
from tidemill.project.audit import Audit
from tidemill.project.served_evidence import ServedEvidence
from tidemill.project.served_rollouts import ServedRollouts
from tidemill.project.server_statuses import status_folder
from tidemill.project.serving_secrets import read_key_password, read_proxy_trust
from tidemill.project.workspace import Workspace
from tidemill.serving.io.checkpoint_watch import CheckpointOptions
from tidemill.serving.io.endpoint_service import EndpointService
from tidemill.serving.io.meter import Meter
from tidemill.serving.metric_families import Family
from tidemill.serving.oip import JSON
from tidemill.serving.predictions import ARROW, CSV
from tidemill.serving.proxied_user import ProxyTrust
from tidemill.serving.serve_settings import ServeSettings, require_safe_place, with_options
from tidemill.workflow.model import Artifact
from tidemill.workflow.stage import Flow

try:
    import uvloop

    from tidemill.serving.io.http_server import Http2, listening_socket
    from tidemill.serving.io.server import RequestExport, Server, ServerOptions
    from tidemill.serving.io.serving_pool import StartWorker
    from tidemill.serving.io.single_answer import explained_answer, single_answer
    from tidemill.serving.io.unix_listener import unix_listener
    from tidemill.serving.io.version_source import VersionSource
except ModuleNotFoundError as error:
    if error.name not in ("uvicorn", "httptools", "uvloop"):
        raise
    raise UsageError(f"serving needs {error.name}: {install_command(error.name)}") from error

if TYPE_CHECKING:
    from tidemill.adapters.postgres.ledger import PostgresLedger

_log = logging.getLogger("tidemill.serving")
_PERSONAL_KEY = "TIDEMILL_PII_KEY"
_UNLIMITED = 1 << 62
# How often a server looks whether a checkpoint is due, in seconds.
_LOOK_EVERY_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningServer:
    """A server that answers requests at `url`; `stop` ends it, from any thread.

    `live` maps each endpoint to the version that answers, "" if none does; `faults` says why.
    """

    url: str
    live: Mapping[str, str]
    faults: Mapping[str, str]
    stop: Callable[[], None]


class Serving:
    """Serves the endpoints of an environment in this process."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    @property
    def settings(self) -> ServeSettings:
        """The settings of servers, from `[tool.tidemill.serve]`."""
        return self._workspace.settings.serve

    def settings_with(self, **options: Any) -> ServeSettings:
        """The settings with some options in their place, such as a port; UsageError for a bad one."""
        return with_options(self.settings, options)

    def serve(
        self,
        settings: ServeSettings | None = None,
        started: Callable[[RunningServer], None] = lambda server: None,
    ) -> None:
        """Serve until SIGINT or SIGTERM in the main thread, or `stop` of the server that `started` gets.

        `started` is called when requests are answered. UsageError if there is nothing to serve, the address
        can't be used, others can reach it and nobody has to say who they are, or a secret is missing;
        AccessError if the actor may not serve.
        """
        follow = self._begin_with_copy()
        try:
            self._serve(settings or self.settings, started, follow)
        finally:
            # What else is done with the project reads what is recorded.
            follow()

    def _serve(
        self,
        settings: ServeSettings,
        started: Callable[[RunningServer], None],
        follow: Callable[[], None],
    ) -> None:
        space = self._workspace
        space.require(Permission.SERVE)
        if not space.flow.endpoints:
            raise UsageError(
                f"workflow {space.flow.name} has no endpoints to serve: declare one with "
                'flow.endpoint("NAME", model=flow.approve(...))'
            )
        proxy = read_proxy_trust(space, settings)
        starter = self._worker_starter(settings, proxy) if settings.workers > 1 else None
        server = self._server(
            settings,
            proxy=proxy,
            start_worker=starter,
            status_folder=status_folder(space),
            checkpoints=self._checkpoints(),
        )
        require_safe_place(settings, server.valid_tokens)
        self._record_prices()
        with (
            _listen(settings, space.root) as listener,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            url = _url(settings, space.root, listener)

            def begin() -> None:
                follow()
                started(_running_server(server, url))

            runner.run(server.run(listener, space.state(), begin))

    def _begin_with_copy(self) -> Callable[[], None]:
        """Read the copy of a shared ledger as it is if its server is away, until the result is called."""
        space = self._workspace
        if not space.settings.home_url:
            return lambda: None
        if "tools" not in vars(space):
            space.tools = space.open_tools(when_used=True)
        shared: PostgresLedger = cast("Any", space.tools.ledger).shared
        shared.read_copy(while_away=True)
        return partial(shared.read_copy, while_away=False)

    def _record_prices(self) -> None:
        """Record the prices of the settings, if they are new."""
        space = self._workspace
        ledger, book = space.tools.ledger, space.settings.price_book
        if events := price_events(ledger, space.environment, book):
            try:
                ledger.append(events, now=space.tools.clock())
            except StorageError as error:
                # What is used has the prices in its own records.
                _log.warning("new prices aren't recorded: %s", error)

    def serve_shared(
        self,
        settings: ServeSettings,
        listener: socket.socket,
        control: socket.socket,
        proxy: ProxyTrust | None = None,
    ) -> None:
        """Serve a socket together with another process, which `control` reaches, until that says so or ends.

        Raises TidemillError if what is live can't be loaded here.
        """
        follow = self._begin_with_copy()
        server = self._server(settings, proxy=proxy, control=control)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(server.run(listener, self._workspace.state(), follow))

    def _server(self, settings: ServeSettings, **shared: Any) -> Server:
        space = self._workspace
        options = ServerOptions(
            flow=space.flow,
            environment=space.environment,
            settings=settings,
            prices=space.settings.price_book,
            export=_telemetry(space.flow.name) if settings.telemetry else None,
            http2=_grpc() if settings.grpc else None,
            rollouts=ServedRollouts(space),
            evidence=ServedEvidence(space),
            usage_folder=status_folder(space) / "usage",
            # A proxy states who is in a group, as an identity provider does.
            grants=replace(space.settings.grants, has_logins=settings.proxy is not None),
            key_password=read_key_password(space, settings),
            personal_key=_personal_key(space.flow),
            **shared,
        )
        return Server(space.tools, options)

    def _checkpoints(self) -> CheckpointOptions | None:
        """What makes checkpoints while a server runs, if the settings have a key that signs them."""
        audit = self._workspace.settings.audit
        if not audit.is_on:
            return None
        every_s = min(audit.terms.every_s, _LOOK_EVERY_S)
        return CheckpointOptions(Audit(self._workspace).seal, every_s)

    def _worker_starter(self, settings: ServeSettings, proxy: ProxyTrust | None) -> StartWorker:
        if ":" not in self._workspace.settings.workflow:
            raise UsageError(
                f"{settings.workers} processes can't serve a workflow that only this one knows: open it as "
                'module:name, such as tm.open(workflow="flights:flow"), or set workers to 1'
            )
        # Imported when it is needed: it imports what opens projects, which imports this module.
        starter: Callable[..., StartWorker] = import_module(
            "tidemill.project.serving_worker"
        ).WorkerStarter
        return starter(self._workspace, settings, proxy)

    def predict(
        self,
        endpoint: str,
        payload: bytes,
        *,
        media: str = JSON,
        accept: str = JSON,
        version: str = "",
        partial: bool = False,
    ) -> bytes:
        """Answer named rows, as many as there are, as a server does; return the body of the reply.

        `version` is the id of a version that was delivered before; by default the live one answers. Raises
        UsageError for an unknown endpoint, and RequestError as a server refuses a request.
        """
        source, chosen, artifact = self._version(endpoint, version)
        headers = {b"content-type": media.encode(), b"accept": accept.encode()}
        answer = single_answer(source, chosen, artifact, payload, headers=headers, partial=partial)
        # In another thread, because a notebook has an event loop in its own.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, answer).result().body

    def try_row(
        self, endpoint: str, row: Mapping[str, object], *, version: str = ""
    ) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Answer one row as `predict` does; return the document of the reply, and the row's features."""
        source, chosen, artifact = self._version(endpoint, version)
        payload = json.dumps([row], default=str).encode()
        answer = explained_answer(source, chosen, artifact, payload)
        with ThreadPoolExecutor(1) as thread:
            reply, features = thread.submit(asyncio.run, answer).result()
        return json.loads(reply.body), features[0] if features else {}

    def request_columns(self, endpoint: str, *, version: str = "") -> tuple[Column, ...]:
        """The columns of the rows of requests; UsageError for an unknown endpoint."""
        source, chosen, artifact = self._version(endpoint, version)
        return source.request_contract(chosen, artifact).columns

    def sample_requests(self, endpoint: str, rows: int, *, seed: int = 0) -> pl.DataFrame:
        """Draw rows that the contract of an endpoint accepts; UsageError for an unknown endpoint."""
        source, chosen, artifact = self._version(endpoint)
        return sample(source.request_contract(chosen, artifact), rows, seed=seed)

    def _version(
        self, endpoint: str, version: str = ""
    ) -> tuple[VersionSource, EndpointService, Artifact]:
        """An endpoint without a server, and a version of its model: the live one by default."""
        space = self._workspace
        # Limits protect a server; here the caller waits for its own rows.
        settings = replace(
            self.settings, cached_answers=0, max_rows=_UNLIMITED, max_body=_UNLIMITED
        )
        source = VersionSource(space.tools, space.flow, settings, Meter())
        endpoints = source.endpoints()
        if endpoint not in endpoints:
            raise UnknownNameError(
                f"there is no endpoint {endpoint!r} ({did_you_mean(endpoint, endpoints)})"
            )
        chosen, state = endpoints[endpoint], space.state()
        live = state.live.get(chosen.model)
        if live is None and not version:
            raise UsageError(
                f"{chosen.model} has no live version yet: none passed its gates; `tidemill run` trains and "
                "judges one, `tidemill models list` shows those that were judged"
            )
        source.refresh(state)
        if live is not None and version in ("", live.artifact.id):
            return source, chosen, live.artifact
        return source, chosen, source.find(chosen.model, version)


def rows_of_file(path: Path) -> tuple[bytes, str]:
    """Read rows from a file, by its suffix: the body of a request, and its media type.

    .json, .csv and IPC streams are sent as they are; IPC files and .parquet become an IPC stream. UsageError
    for other files, and for one that can't be read.
    """
    try:
        match path.suffix.lower():
            case ".json":
                return path.read_bytes(), JSON
            case ".csv":
                return path.read_bytes(), CSV
            case ".arrow" | ".arrows":
                return arrow_stream(path), ARROW
            case ".parquet":
                return stream_of(pl.read_parquet(path)), ARROW
    except (OSError, PolarsError) as error:
        raise UsageError(f"{path} can't be read: {error}") from error
    raise UsageError(f"{path}: rows are read from .json, .csv, .arrow and .parquet files")


def _personal_key(flow: Flow) -> bytes:
    """The key that hashes personal data in logs; UsageError if one is needed and there is none."""
    hashing = [each.name for each in flow.endpoints if each.log and each.log.personal == "hash"]
    key = os.environ.get(_PERSONAL_KEY, "").encode()
    if hashing and not 16 <= len(key) <= 64:
        raise UsageError(
            f"endpoint {hashing[0]!r} hashes personal data in its log: set the environment variable "
            f"{_PERSONAL_KEY} to a secret of 16 to 64 bytes, and keep it: other keys give other hashes"
        )
    return key if hashing else b""


def _telemetry(service: str) -> Callable[[Callable[[], Sequence[Family]]], RequestExport]:
    """Open the export through OpenTelemetry, which most servers don't import."""
    try:
        kind = import_module("tidemill.serving.io.otel").Telemetry
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        raise UsageError(f"telemetry needs {install_command('opentelemetry')}") from error
    return partial(kind, service=service)


def _grpc() -> Http2:
    """What serves calls over gRPC, which most servers don't import."""
    try:
        found: Http2 = import_module("tidemill.serving.io.grpc_connection").GrpcConnection
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("h2", "hyperframe", "google"):
            raise
        raise UsageError(f"grpc needs {install_command('h2')}") from error
    return found


def _running_server(server: Server, url: str) -> RunningServer:
    endpoints = server.endpoints.values()
    return RunningServer(
        url=url,
        live={each.name: each.live.id if each.live is not None else "" for each in endpoints},
        faults={each.name: each.fault for each in endpoints},
        stop=server.stop,
    )


@contextmanager
def _listen(settings: ServeSettings, root: Path) -> Iterator[socket.socket]:
    if not settings.socket:
        with _listen_on_address(settings) as found:
            yield found
        return
    with ExitStack() as stack:
        try:
            path = root / settings.socket
            found = stack.enter_context(unix_listener(path, settings.socket_group))
        except OSError as error:
            raise UsageError(
                f"socket = {settings.socket!r} can't be used: {error.strerror or error}; its folder "
                f"has to be there, and you may write it (relative to {root})"
            ) from error
        yield found


def _listen_on_address(settings: ServeSettings) -> socket.socket:
    try:
        return listening_socket(
            settings.host, settings.port, for_others=settings.needs_authentication
        )
    except OSError as error:
        raise UsageError(
            f"{settings.host}:{settings.port} can't be used: {error.strerror or error}; choose another "
            "address with --host and --port, or port 0 for a free one"
        ) from error


def _url(settings: ServeSettings, root: Path, listener: socket.socket) -> str:
    if settings.socket:
        # As nginx writes it, with the path of a request after it.
        return f"http://unix:{root / settings.socket}:"
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if settings.uses_tls else 'http'}://{shown}:{port}"
