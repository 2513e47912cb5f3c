"""Judge the rollouts of a server every second, and record their steps."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from tidemill.core.errors import ContractError, GateError, TidemillError, UsageError
from tidemill.ledger.rollout import RolloutStep
from tidemill.serving.io.endpoint_service import EndpointService
from tidemill.serving.rollout_counts import Observed

JUDGE_EVERY_S = 1.0

_log = logging.getLogger("tidemill.serving")


class RolloutRecords(Protocol):
    """Where the steps of rollouts are recorded."""

    def last(self) -> Mapping[str, RolloutStep]:
        """The last recorded step of each endpoint."""

    def record(self, endpoint: str, steps: Sequence[RolloutStep]) -> None:
        """Record steps of an endpoint, all or none."""

    def move_back(self, endpoint: str, step: RolloutStep) -> object:
        """Make the version before live again, if the step rolled the live one back."""


class RolloutJudge:
    """Takes the steps of rollouts when they are due; `fault` says why one can't be recorded now.

    `others` returns what other processes counted at an endpoint in the step that began at a time.
    """

    def __init__(
        self,
        endpoints: Mapping[str, EndpointService],
        records: RolloutRecords,
        others: Callable[[str, float], Observed] = lambda endpoint, since: Observed(),
    ) -> None:
        self._endpoints = endpoints
        self._records = records
        self._others = others
        self._waiting: deque[tuple[str, RolloutStep]] = deque()
        self.fault = ""

    def record(self, endpoint: str, steps: Sequence[RolloutStep]) -> None:
        """Record steps soon."""
        self._waiting.extend((endpoint, step) for step in steps)

    async def run(self) -> None:
        """Judge until this task is cancelled."""
        try:
            while True:
                await asyncio.sleep(JUDGE_EVERY_S)
                try:
                    for endpoint in self._endpoints.values():
                        self.record(
                            endpoint.name, [*await endpoint.judge(time.time(), self._others)]
                        )
                    await self._record_waiting()
                # Nothing else would send a bad version back: the judge goes on.
                except Exception as error:  # noqa: BLE001
                    _log.exception("rollouts can't be judged")
                    self.fault = f"rollouts can't be judged: {type(error).__name__}"
        finally:
            await asyncio.shield(self._record_waiting())

    async def _record_waiting(self) -> None:
        """Record the steps in order; what fails is tried again later."""
        while self._waiting:
            try:
                await asyncio.to_thread(self._record_step, *self._waiting[0])
            except TidemillError as error:
                self.fault = str(error)
                return
            self._waiting.popleft()
        self.fault = ""

    def _record_step(self, endpoint: str, step: RolloutStep) -> None:
        # What is live moves first: if the server dies in between, it judges the candidate again.
        try:
            self._records.move_back(endpoint, step)
        except (ContractError, GateError, UsageError) as error:
            # It never will: the step is recorded, so that this endpoint stays with the version before.
            _log.error("%s went back to %s alone: %s", endpoint, step.incumbent, error)
        self._records.record(endpoint, [step])
