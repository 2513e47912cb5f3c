"""Predict the golden rows of live versions now and then: a model that has gone wrong isn't healthy."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from tidemill.serving.io.endpoint_service import EndpointService

CHECK_EVERY_S = 60.0


class GoldenWatch:
    """Checks the live version of each endpoint, one after the other."""

    def __init__(
        self, endpoints: Mapping[str, EndpointService], every_s: float = CHECK_EVERY_S
    ) -> None:
        self._endpoints = endpoints
        self._every_s = every_s

    async def run(self) -> None:
        """Check until this task is cancelled."""
        while True:
            await asyncio.sleep(self._every_s)
            for endpoint in self._endpoints.values():
                await endpoint.check_health()
