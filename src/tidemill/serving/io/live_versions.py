"""Keep the endpoints of a server at the versions that are live in the ledger, at once or by a rollout.

One server of an environment decides what that is; the others follow what it records.
"""

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
from tidemill.serving.endpoint_record import EndpointRecord
from tidemill.serving.endpoint_state import EndpointState, follow_live, followed_state
from tidemill.serving.io.endpoint_service import EndpointService
from tidemill.serving.io.endpoint_tasks import EndpointTasks
from tidemill.serving.io.rollout_log import log_step, log_swap
from tidemill.serving.io.version_source import VersionSource

_log = logging.getLogger("tidemill.serving")


class LiveVersions:
    """Loads the versions that endpoints need in a thread, and lets them answer when they are warm.

    Where this server judges, it decides what follows from what is live, and passes the steps to `record`.
    Elsewhere it follows what is recorded. While a version can't be loaded, the version before keeps
    answering, the endpoint has a fault, and the version is tried again later. Before versions answer,
    `prepare` waits until other processes have loaded them; it returns whether it waited.
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
        self._records: Mapping[str, EndpointRecord] = {}
        # What endpoints do that this server judges but that don't do it yet.
        self._taken: dict[str, EndpointState] = {}
        self._is_judging = self._is_started = False
        self._tasks = EndpointTasks(endpoints, self._advance)

    async def start(self, state: State, records: Mapping[str, EndpointRecord]) -> None:
        """Load what answers by a state and its records, once; what can't be loaded is tried again later."""
        if not self._is_judging:
            self._live, self._records = state.live, records
        await asyncio.gather(*map(self._advance, self._tasks.endpoints))
        self._is_started = True
        self._tasks.follow()

    def follow(self, state: State, records: Mapping[str, EndpointRecord]) -> None:
        """Begin to bring all endpoints to a state and its records; only the newest call counts."""
        self._live, self._records = state.live, records
        self._tasks.follow()

    def take_over(self, state: State, endpoints: Mapping[str, EndpointState]) -> None:
        """Judge from now on; begin with a state, and with what each of the endpoints does."""
        self._live, self._taken, self._is_judging = state.live, dict(endpoints), True
        if self._is_started:
            self._tasks.follow()

    def give_up(self) -> None:
        """Follow what another server records from now on."""
        self._taken, self._is_judging = {}, False
        for endpoint in self._tasks.endpoints:
            endpoint.is_judged = False
        self._tasks.follow()

    async def close(self) -> None:
        """Stop following, and close all versions."""
        await self._tasks.close()

    async def _advance(self, endpoint: EndpointService) -> bool:
        """Try to follow what is live; return whether there is nothing left to do."""
        prepared: list[str] = []
        while (live := self._live.get(endpoint.model)) is not None:
            records, target = self._records, self._target(endpoint, live)
            needed = _needed(target)
            missing = [name for name in needed if not endpoint.holds(name)]
            if not missing:
                is_new = endpoint.live is None or target.course != endpoint.state.course
                if is_new and needed != prepared and await self._prepare(endpoint.name, needed):
                    # What is live, or the rollout, may have changed meanwhile.
                    prepared = needed
                    continue
                await self._enter(endpoint, target, is_new=is_new)
                endpoint.fault = ""
                return self._live.get(endpoint.model) is live and self._records is records
            known = live.artifact if live.artifact.id == missing[0] else None
            try:
                await self._source.load(endpoint, missing[0], known)
            except TidemillError as error:
                fault = f"{missing[0]} can't serve: {error}"
                if fault != endpoint.fault:
                    # Once, although it is tried again and again.
                    kept = f"; {endpoint.serving} keeps answering" if endpoint.serving else ""
                    _log.error("%s: %s%s", endpoint.name, fault, kept)
                endpoint.fault = fault
                if endpoint.live is None and missing[0] != live.artifact.id:
                    # What answered before the restart is gone: then the live version answers at once.
                    known_here = "" if self._is_judging else live.artifact.id
                    self._taken[endpoint.name] = EndpointState(serving=known_here, last=target.last)
                    continue
                return False
        return True

    def _target(self, endpoint: EndpointService, live: Delivery) -> EndpointState:
        """What an endpoint is to do now."""
        plan, taken = endpoint.declared.rollout, self._taken.get(endpoint.name)
        if self._is_judging:
            return follow_live(taken or endpoint.state, live, plan, time.time())
        return taken or followed_state(self._records.get(endpoint.name), live, plan)

    async def _enter(
        self, endpoint: EndpointService, target: EndpointState, *, is_new: bool
    ) -> None:
        self._taken.pop(endpoint.name, None)
        before, last = endpoint.serving, endpoint.state.last
        if is_new:
            await endpoint.enter(replace(target, records=()))
            log_swap(endpoint.name, before, target.serving)
            self._log_followed(endpoint.name, last, target.last)
        # Another server may have begun to judge meanwhile, or this one.
        if self._is_judging and endpoint.name not in self._taken:
            self._record(endpoint.name, target.records)
            endpoint.begin_judging()

    def _log_followed(
        self, endpoint: str, before: RolloutStep | None, last: RolloutStep | None
    ) -> None:
        """Log a step that another server has just recorded; the judge logs its own."""
        record = self._records.get(endpoint)
        is_recorded = record is not None and record.last is last
        if not self._is_judging and is_recorded and last is not None and before not in (None, last):
            log_step(endpoint, last, by="by the server that judges, ")


def _needed(state: EndpointState) -> list[str]:
    """The versions that must be loaded to answer as a state says."""
    candidate = [] if state.rollout is None else [state.rollout.course.candidate]
    return [state.serving, *candidate]
