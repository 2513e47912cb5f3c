"""Keep the endpoints of a server at the versions that are live in the ledger."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from tidemill.core.errors import TidemillError
from tidemill.ports.ledger import State
from tidemill.serving.io.endpoint_service import EndpointService
from tidemill.serving.io.loaded_version import LoadedVersion, PreparedVersion
from tidemill.workflow.model import Artifact

# Seconds until a version that couldn't be loaded is tried again, at first and at most.
RETRY_S = 1.0
MOST_RETRY_S = 60.0

_log = logging.getLogger("tidemill.serving")


class LiveVersions:
    """Loads the live version of each endpoint in a thread, and installs it when it is warm.

    `prepare` loads and tries a version; TidemillError if it can't serve. Then the version before keeps
    answering, the endpoint has a fault, and the version is tried again later.
    """

    def __init__(
        self,
        endpoints: Iterable[EndpointService],
        prepare: Callable[[EndpointService, Artifact], PreparedVersion],
        open_version: Callable[[EndpointService, PreparedVersion], LoadedVersion],
        add_background: Callable[[int], None],
    ) -> None:
        self._endpoints = list(endpoints)
        self._prepare = prepare
        self._open = open_version
        self._add_background = add_background
        self._wanted: Mapping[str, Artifact] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()

    async def start(self, state: State) -> None:
        """Load what is live in a state, once; what can't be loaded is tried again later."""
        self._wanted = _live_artifacts(state)
        await asyncio.gather(*map(self._advance, self._endpoints))
        self.follow(state)

    def follow(self, state: State) -> None:
        """Begin to bring all endpoints to what is live in a state; only the newest call counts."""
        self._wanted = _live_artifacts(state)
        for endpoint in self._endpoints:
            running = self._tasks.get(endpoint.name)
            if running is None or running.done():
                self._tasks[endpoint.name] = asyncio.create_task(self._follow(endpoint))
        # Whoever waits to try again looks at once: another version may be wanted now.
        self._changed.set()
        self._changed = asyncio.Event()

    async def close(self) -> None:
        """Stop following, and close all versions."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        for endpoint in self._endpoints:
            await endpoint.close()

    async def _follow(self, endpoint: EndpointService) -> None:
        """Bring an endpoint to its wanted version, however often that changes meanwhile."""
        delay = RETRY_S
        while not await self._advance(endpoint):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), delay)
            delay = min(2 * delay, MOST_RETRY_S)

    async def _advance(self, endpoint: EndpointService) -> bool:
        """Try to install the wanted version of an endpoint; return whether there is nothing left to do."""
        wanted = self._wanted.get(endpoint.model)
        if wanted is None:
            return True
        if not endpoint.reinstall(wanted.id):
            started = time.monotonic()
            try:
                prepared, cpu_ns = await asyncio.to_thread(self._prepare_timed, endpoint, wanted)
            except TidemillError as error:
                _log.error("%s: %s can't serve: %s", endpoint.name, wanted.id, error)
                endpoint.fault = f"{wanted.id} can't serve: {error}"
                return False
            self._add_background(cpu_ns)
            await endpoint.install(self._open(endpoint, prepared))
            took = time.monotonic() - started
            _log.info("%s: serves %s, loaded in %.2f s", endpoint.name, wanted.id, took)
        current = self._wanted.get(endpoint.model)
        return current is None or current.id == wanted.id

    def _prepare_timed(
        self, endpoint: EndpointService, wanted: Artifact
    ) -> tuple[PreparedVersion, int]:
        started = time.thread_time_ns()
        prepared = self._prepare(endpoint, wanted)
        return prepared, time.thread_time_ns() - started


def _live_artifacts(state: State) -> Mapping[str, Artifact]:
    return {name: delivery.artifact for name, delivery in state.live.items()}
