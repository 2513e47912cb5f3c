"""Keep the endpoints of a server at the versions that are live in the ledger, at once or by a rollout."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from tidemill.core.errors import TidemillError
from tidemill.ledger.delivery import Delivery
from tidemill.ledger.rollout import RolloutStep
from tidemill.ports.ledger import State
from tidemill.serving.endpoint_state import EndpointState, follow_live
from tidemill.serving.io.endpoint_service import EndpointService
from tidemill.serving.io.loaded_version import PreparedVersion
from tidemill.serving.io.version_source import VersionSource

# Seconds until a version that couldn't be loaded is tried again, at first and at most.
RETRY_S = 1.0
MOST_RETRY_S = 60.0

_log = logging.getLogger("tidemill.serving")


class LiveVersions:
    """Loads the versions that endpoints need in a thread, and lets them answer when they are warm.

    While a version can't be loaded, the version before keeps answering, the endpoint has a fault, and the
    version is tried again later. Steps that an endpoint takes at once are passed to `record`.
    """

    def __init__(
        self,
        endpoints: Iterable[EndpointService],
        source: VersionSource,
        record: Callable[[str, Sequence[RolloutStep]], None],
        add_background: Callable[[int], None],
    ) -> None:
        self._endpoints = list(endpoints)
        self._source = source
        self._record = record
        self._add_background = add_background
        self._live: Mapping[str, Delivery] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()

    async def start(self, state: State) -> None:
        """Load what is live in a state, once; what can't be loaded is tried again later."""
        self._live = state.live
        await asyncio.gather(*map(self._advance, self._endpoints))
        self.follow(state)

    def follow(self, state: State) -> None:
        """Begin to bring all endpoints to what is live in a state; only the newest call counts."""
        self._live = state.live
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
        """Bring an endpoint to what is live, however often that changes meanwhile."""
        delay = RETRY_S
        while not await self._advance(endpoint):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), delay)
            delay = min(2 * delay, MOST_RETRY_S)

    async def _advance(self, endpoint: EndpointService) -> bool:
        """Try to follow what is live; return whether there is nothing left to do."""
        while (live := self._live.get(endpoint.model)) is not None:
            target = follow_live(endpoint.state, live, endpoint.declared.rollout, time.time())
            missing = [name for name in _needed(target) if not endpoint.holds(name)]
            if not missing:
                if target.records or endpoint.live is None:
                    await endpoint.enter(replace(target, records=()))
                    self._record(endpoint.name, target.records)
                endpoint.fault = ""
                return self._live.get(endpoint.model) is live
            try:
                await self._load(endpoint, missing[0], live)
            except TidemillError as error:
                _log.error("%s: %s can't serve: %s", endpoint.name, missing[0], error)
                endpoint.fault = f"{missing[0]} can't serve: {error}"
                if endpoint.live is None and missing[0] != live.artifact.id:
                    # What answered before the restart is gone: then the live version answers at once.
                    endpoint.state = EndpointState(last=endpoint.state.last)
                    continue
                return False
        return True

    async def _load(self, endpoint: EndpointService, version: str, live: Delivery) -> None:
        started = time.monotonic()
        known = live.artifact if live.artifact.id == version else None

        def prepare() -> tuple[PreparedVersion, int]:
            begun = time.thread_time_ns()
            artifact = known or self._source.find(endpoint.model, version)
            return self._source.prepare(endpoint, artifact), time.thread_time_ns() - begun

        prepared, cpu_ns = await asyncio.to_thread(prepare)
        self._add_background(cpu_ns)
        endpoint.add(self._source.open(endpoint, prepared))
        took = time.monotonic() - started
        _log.info("%s: %s is warm, loaded in %.2f s", endpoint.name, version, took)


def _needed(state: EndpointState) -> list[str]:
    """The versions that must be loaded to answer as a state says."""
    candidate = [] if state.rollout is None else [state.rollout.candidate]
    return [state.serving, *candidate]
