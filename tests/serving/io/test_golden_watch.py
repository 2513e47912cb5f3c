"""An endpoint whose model predicts its golden rows differently isn't ready."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.serving import sales_project
from tidemill.core.errors import ConflictError
from tidemill.serving.endpoint_state import EndpointState
from tidemill.serving.io.endpoint_service import EndpointService
from tidemill.serving.io.golden_watch import GoldenWatch
from tidemill.serving.io.meter import Meter
from tidemill.serving.io.version_source import VersionSource
from tidemill.serving.serve_settings import ServeSettings


class Calls:
    """Answers in place of a model."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    async def predict(self, values: Any, deadline: float = 0.0) -> tuple[Any, float]:
        if isinstance(self.answer, Exception):
            raise self.answer
        return np.full(len(values), self.answer), 0.0


async def endpoint_of(folder: Path) -> EndpointService:
    project = sales_project(folder)
    source = VersionSource(project.tools, project.flow, ServeSettings(), Meter())
    endpoint = source.endpoints()["demand"]
    artifact = project.state().live["demand"].artifact
    endpoint.add(source.open(endpoint, source.prepare(endpoint, artifact)))
    await endpoint.enter(EndpointState(serving=artifact.id))
    return endpoint


def is_ready(endpoint: EndpointService) -> bool:
    return endpoint.is_ready


def test_health_follows_the_golden_rows(tmp_path: Path) -> None:
    async def play() -> None:
        endpoint = await endpoint_of(tmp_path)
        live = endpoint.live
        assert live is not None
        await endpoint.check_health()
        assert is_ready(endpoint)
        calls = live._calls
        for answer in (1e9, ValueError("no device")):
            live._calls = Calls(answer)  # type: ignore[assignment]
            await endpoint.check_health()
            assert not is_ready(endpoint)
            assert "golden" in endpoint.status()["problem"]
        # A version that is being replaced says nothing about the next.
        live._calls = Calls(ConflictError("closed"))  # type: ignore[assignment]
        await endpoint.check_health()
        assert is_ready(endpoint)
        live._calls = calls
        await endpoint.close()

    asyncio.run(play())


def test_the_watch_checks_every_endpoint(tmp_path: Path) -> None:
    checked: list[str] = []

    class Endpoint:
        def __init__(self, name: str) -> None:
            self.name = name

        async def check_health(self) -> None:
            checked.append(self.name)

    async def play() -> None:
        endpoints: Any = {name: Endpoint(name) for name in "ab"}
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(GoldenWatch(endpoints, 0.001).run(), 1.0)

    asyncio.run(play())
    assert checked[:4] == ["a", "b", "a", "b"]
