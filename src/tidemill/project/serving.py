"""Serve the endpoints of a workspace online. Importing it needs the extra `serve`."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module

from tidemill.core.errors import UsageError
from tidemill.core.extras import install_command
from tidemill.project.rollouts import Rollouts
from tidemill.project.workspace import Workspace
from tidemill.serving.metric_families import Family
from tidemill.serving.serve_settings import ServeSettings, require_safe_place

try:
    import uvloop

    from tidemill.serving.io.http_server import listening_socket
    from tidemill.serving.io.server import RequestExport, Server, ServerOptions
except ModuleNotFoundError as error:
    if error.name not in ("uvicorn", "httptools", "uvloop"):
        raise
    raise UsageError(f"serving needs {error.name}: {install_command(error.name)}") from error


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

    def serve(
        self,
        settings: ServeSettings | None = None,
        started: Callable[[RunningServer], None] = lambda server: None,
    ) -> None:
        """Serve until SIGINT or SIGTERM in the main thread, or `stop` of the server that `started` gets.

        `started` is called when requests are answered. UsageError if there is nothing to serve, the address
        can't be used, or others can reach it and no token is valid.
        """
        settings = settings or self.settings
        space = self._workspace
        if not space.flow.endpoints:
            raise UsageError(
                f"workflow {space.flow.name} has no endpoints to serve: declare one with "
                'flow.endpoint("name", model=...)'
            )
        options = ServerOptions(
            flow=space.flow,
            environment=space.environment,
            settings=settings,
            price=space.price,
            export=_telemetry(space.flow.name) if settings.telemetry else None,
            rollouts=Rollouts(space),
        )
        server = Server(space.tools, options)
        require_safe_place(settings, server.valid_tokens)
        listener = _listen(settings)

        def announce() -> None:
            started(_running(server, _url(settings, listener)))

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(server.run(listener, space.state(), announce))


def _telemetry(service: str) -> Callable[[Callable[[], Sequence[Family]]], RequestExport]:
    """What exports through OpenTelemetry, which most servers don't import."""
    try:
        kind = import_module("tidemill.serving.io.otel").Telemetry
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        raise UsageError(f"telemetry needs {install_command('opentelemetry')}") from error
    return partial(kind, service=service)


def _running(server: Server, url: str) -> RunningServer:
    endpoints = server.endpoints.values()
    return RunningServer(
        url=url,
        live={each.name: each.live.id if each.live is not None else "" for each in endpoints},
        faults={each.name: each.fault for each in endpoints},
        stop=server.stop,
    )


def _listen(settings: ServeSettings) -> socket.socket:
    try:
        return listening_socket(settings.host, settings.port)
    except OSError as error:
        raise UsageError(
            f"{settings.host}:{settings.port} can't be used: {error.strerror or error}; choose another "
            "address with --host and --port, or port 0 for a free one"
        ) from error


def _url(settings: ServeSettings, listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if settings.uses_tls else 'http'}://{shown}:{port}"
