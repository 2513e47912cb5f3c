"""Keep the endpoints of a server at the versions that are live in the ledger, at once or by a rollout."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from tidemill.core.errors import TidemillError
from tidemill.ledger.delivery import Delivery
from tidemill.ledger.rollout import RolloutStep
from tidemill.ports.ledger import State
from tidemill.serving.endpoint_state import EndpointState, follow_live
from tidemill.serving.io.endpoint_service import EndpointService
from tidemill.serving.io.endpoint_tasks import EndpointTasks
from tidemill.serving.io.version_source import VersionSource

_log = logging.getLogger("tidemill.serving")


class LiveVersions:
    """Loads the versions that endpoints need in a thread, and lets them answer when they are warm.

    While a version can't be loaded, the version before keeps answering, the endpoint has a fault, and the
    version is tried again later. Steps that an endpoint takes at once are passed to `record`. Before versions
    answer, `prepare` waits until other processes have loaded them; it returns whether it waited.
    """

    def __init__(
        self,
        endpoints: Iterable[EndpointService],
        source: VersionSource,
        record: Callable[[str, Sequence[RolloutStep]], None],
        prepare: Callable[[str, Sequence[str]], Awaitable[bool]],
    ) -> None:
        self._source = source
        self._record = record
        self._prepare = prepare
        self._live: Mapping[str, Delivery] = {}
        self._tasks = EndpointTasks(endpoints, self._advance)

    async def start(self, state: State) -> None:
        """Load what is live in a state, once; what can't be loaded is tried again later."""
        self._live = state.live
        await asyncio.gather(*map(self._advance, self._tasks.endpoints))
        self.follow(state)

    def follow(self, state: State) -> None:
        """Begin to bring all endpoints to what is live in a state; only the newest call counts."""
        self._live = state.live
        self._tasks.follow()

    async def close(self) -> None:
        """Stop following, and close all versions."""
        await self._tasks.close()

    async def _advance(self, endpoint: EndpointService) -> bool:
        """Try to follow what is live; return whether there is nothing left to do."""
        prepared: list[str] = []
        while (live := self._live.get(endpoint.model)) is not None:
            target = follow_live(endpoint.state, live, endpoint.declared.rollout, time.time())
            needed = _needed(target)
            missing = [name for name in needed if not endpoint.holds(name)]
            if not missing:
                is_new = bool(target.records) or endpoint.live is None
                if is_new and needed != prepared and await self._prepare(endpoint.name, needed):
                    # What is live, or the rollout, may have changed meanwhile.
                    prepared = needed
                    continue
                if is_new:
                    await endpoint.enter(replace(target, records=()))
                    self._record(endpoint.name, target.records)
                endpoint.fault = ""
                return self._live.get(endpoint.model) is live
            known = live.artifact if live.artifact.id == missing[0] else None
            try:
                await self._source.load(endpoint, missing[0], known)
            except TidemillError as error:
                _log.error("%s: %s can't serve: %s", endpoint.name, missing[0], error)
                endpoint.fault = f"{missing[0]} can't serve: {error}"
                if endpoint.live is None and missing[0] != live.artifact.id:
                    # What answered before the restart is gone: then the live version answers at once.
                    endpoint.state = EndpointState(last=endpoint.state.last)
                    continue
                return False
        return True


def _needed(state: EndpointState) -> list[str]:
    """The versions that must be loaded to answer as a state says."""
    candidate = [] if state.rollout is None else [state.rollout.candidate]
    return [state.serving, *candidate]
