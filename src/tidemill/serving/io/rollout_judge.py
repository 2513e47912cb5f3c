"""Judge the rollouts of an environment every second, and record their steps, in one server at a time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from tidemill.core.errors import (
    ConflictError,
    ContractError,
    GateError,
    TidemillError,
    UsageError,
)
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.rollout import RolloutStep
from tidemill.ports.ledger import Lease, State
from tidemill.serving.endpoint_record import EndpointRecord
from tidemill.serving.endpoint_state import EndpointState
from tidemill.serving.io.endpoint_service import EndpointService
from tidemill.serving.io.rollout_log import log_step, log_swap
from tidemill.serving.rollout_counts import Observed

JUDGE_EVERY_S = 1.0
# Seconds between two renewals of the lease, and between two looks whether the server that has it is gone.
RENEW_EVERY_S = 10.0
ASK_EVERY_S = 2.0

_log = logging.getLogger("tidemill.serving")


@dataclass(frozen=True, slots=True, kw_only=True)
class Takeover:
    """What a server takes over that begins to judge: what is live, and what each endpoint does."""

    state: State
    endpoints: Mapping[str, EndpointState]


class RolloutRecords(Protocol):
    """The recorded steps of rollouts, and the lease of the server that records them."""

    def read(self, state: State) -> Mapping[str, EndpointRecord]:
        """The record of each endpoint up to a state of the ledger."""

    def acquire(self) -> Lease:
        """Take the lease; ConflictError with its holder if another server has it."""

    def renew(self, lease: Lease) -> Lease:
        """Keep the lease; ConflictError if another server took it."""

    def release(self, lease: Lease) -> None:
        """Give the lease back."""

    def take_over(self, lease: Lease) -> Takeover:
        """Record that rollouts continue, and return them; ConflictError without the lease."""

    def record(self, endpoint: str, steps: Sequence[RolloutStep], lease: Lease) -> None:
        """Record steps of an endpoint, all or none; ConflictError without the lease."""

    def move_back(self, endpoint: str, step: RolloutStep, lease: Lease) -> object:
        """Make the version before live again, if the step rolled the live one back; as `record`."""


class OthersEvidence(Protocol):
    """What other processes and servers count of rollouts."""

    async def exchange(self, endpoints: Sequence[EndpointService], *, judges: bool) -> None:
        """Receive what other servers counted if this one `judges`; else send what it counted."""

    def observed(self, endpoint: str, since: float) -> Observed:
        """Take what others counted at an endpoint in the step that began at a time."""


class RolloutJudge:
    """Takes the steps of rollouts when they are due, while this server has the lease of the environment.

    `changed` is called with what it takes over when it begins to judge, and with None when another server
    has begun. `evidence` is what other processes and servers counted. `holder` is the process that judges
    instead.
    """

    def __init__(
        self,
        endpoints: Mapping[str, EndpointService],
        records: RolloutRecords,
        changed: Callable[[Takeover | None], None],
        evidence: OthersEvidence | None = None,
    ) -> None:
        self._fault = self._lease_fault = ""
        self.holder: Mapping[str, str] = {}
        self._endpoints = endpoints
        self._records = records
        self._changed = changed
        self._evidence = evidence
        self._waiting: deque[tuple[str, RolloutStep]] = deque()
        self._lease: Lease | None = None
        self._look_at = 0.0
        self._turn: asyncio.Task[None] | None = None

    @property
    def fault(self) -> str:
        """Why a step can't be recorded now, or the lease can't be kept; "" if all is well."""
        return self._fault or self._lease_fault

    @property
    def is_judging(self) -> bool:
        """Whether this server judges the rollouts of the environment."""
        return self._lease is not None

    def record(self, endpoint: str, steps: Sequence[RolloutStep]) -> None:
        """Record steps soon, and log them."""
        for step in steps:
            log_step(endpoint, step)
            self._waiting.append((endpoint, step))

    async def start(self) -> None:
        """Begin to judge, unless another server does."""
        await self._look_at_lease()

    async def run(self) -> None:
        """Judge until this task is cancelled."""
        while True:
            await asyncio.sleep(JUDGE_EVERY_S)
            # What is being recorded, or the lease that is being taken, must be known when this is cancelled.
            self._turn = asyncio.create_task(self._take_turn())
            await asyncio.shield(self._turn)

    async def close(self) -> None:
        """Record the evidence up to now, and let another server judge; `run` is cancelled before."""
        await asyncio.shield(self._close())

    async def _take_turn(self) -> None:
        try:
            if time.monotonic() >= self._look_at:
                await self._look_at_lease()
            # Where another server judges, what was counted is dropped.
            await self._judge()
            if self._lease is not None:
                await self._record_waiting()
        # Nothing else would send a bad version back: the judge goes on.
        except Exception as error:  # noqa: BLE001
            _log.exception("rollouts can't be judged")
            self._fault = f"rollouts can't be judged: {type(error).__name__}"

    async def _close(self) -> None:
        if self._turn is not None:
            await self._turn
        if self._lease is None:
            return
        await self._judge()
        for endpoint in self._endpoints.values():
            self.record(endpoint.name, endpoint.suspend(time.time()))
        await self._record_waiting()
        lease, self._lease = self._lease, None
        if lease is not None:
            try:
                await asyncio.to_thread(self._records.release, lease)
            except TidemillError as error:
                _log.warning("another server judges rollouts only later: %s", error)

    async def _look_at_lease(self) -> None:
        """Keep the lease, or take it if nobody has it any more."""
        self._look_at = time.monotonic() + (ASK_EVERY_S if self._lease is None else RENEW_EVERY_S)
        try:
            if self._lease is None:
                await self._acquire()
            else:
                self._lease = await asyncio.to_thread(self._records.renew, self._lease)
        except ConflictError as error:
            self._lose(error)
        except TidemillError as error:
            # The lease outlasts a ledger that can't be written for a while.
            self._lease_fault = str(error)
        else:
            self._lease_fault = ""

    async def _acquire(self) -> None:
        lease = await asyncio.to_thread(self._records.acquire)
        try:
            taken = await asyncio.to_thread(self._records.take_over, lease)
        except TidemillError:
            await asyncio.to_thread(self._records.release, lease)
            raise
        self._lease, self.holder = lease, {}
        self._look_at = time.monotonic() + RENEW_EVERY_S
        _log.info("this server judges the rollouts of the environment")
        for name, endpoint in taken.endpoints.items():
            for step in endpoint.records:
                log_step(name, step)
        self._changed(taken)

    def _lose(self, error: ConflictError) -> None:
        """Follow another server from now on; what it didn't record never happened."""
        if self._lease is not None or self.holder != error.holder:
            _log.info(
                "process %s judges the rollouts", error.holder.get("pid", "of another server")
            )
        self.holder, self._lease_fault = error.holder, ""
        if self._lease is None:
            return
        self._lease = None
        self._waiting.clear()
        self._changed(None)

    async def _judge(self) -> None:
        if self._evidence is not None:
            rolling = [each for each in self._endpoints.values() if each.is_rolling]
            await self._evidence.exchange(rolling, judges=self._lease is not None)
        for endpoint in self._endpoints.values():
            before = endpoint.serving
            taken = await endpoint.judge(time.time(), self._observed, self._record_first)
            self.record(endpoint.name, [*taken])
            log_swap(endpoint.name, before, endpoint.serving)

    async def _record_first(self, endpoint: str, steps: Sequence[RolloutStep]) -> bool:
        """Record steps now, after those that wait, and log them; whether that was possible."""
        lease = self._lease
        if lease is None or self._waiting:
            return False
        try:
            await asyncio.to_thread(self._records.record, endpoint, steps, lease)
        except TidemillError as error:
            self._fault = str(error)
            if isinstance(error, ConflictError):
                await self._look_at_lease()
            return False
        for step in steps:
            log_step(endpoint, step)
        return True

    def _observed(self, endpoint: str, since: float) -> Observed:
        return Observed() if self._evidence is None else self._evidence.observed(endpoint, since)

    async def _record_waiting(self) -> None:
        """Record the steps in order; what fails is tried again later."""
        while self._waiting and self._lease is not None:
            try:
                await asyncio.to_thread(self._record_step, *self._waiting[0], self._lease)
            except TidemillError as error:
                self._fault = str(error)
                if isinstance(error, ConflictError):
                    # Another server may have taken the lease.
                    await self._look_at_lease()
                return
            self._waiting.popleft()
        self._fault = ""

    def _record_step(self, endpoint: str, step: RolloutStep, lease: Lease) -> None:
        # What is live moves first: if the server dies in between, it judges the candidate again.
        try:
            self._records.move_back(endpoint, step, lease)
        except (ContractError, GateError, UsageError) as error:
            # It never will: the step is recorded, so that this endpoint stays with the version before.
            _log.error("%s went back to %s alone: %s", endpoint, step.incumbent, error)
        self._records.record(endpoint, [step], lease)
