"""A process loads what the first one names, keeps what it has while it can't, and enters each state once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tidemill.core.errors import StorageError
from tidemill.serving.endpoint_state import EndpointCourse, EndpointState
from tidemill.serving.io import endpoint_tasks
from tidemill.serving.io.followed_versions import FollowedVersions
from tidemill.serving.worker_messages import EndpointView


class Endpoint:
    """An endpoint that notes what it is asked for."""

    name = "demand"

    def __init__(self) -> None:
        self.fault = ""
        self.held: list[str] = []
        self.entered: list[str] = []
        self.is_closed = False

    def holds(self, version: str) -> bool:
        return version in self.held

    def take_observed(self) -> None:
        """Nothing was observed."""

    async def enter(self, state: EndpointState) -> None:
        self.entered.append(state.serving)
        self.fault = ""

    async def close(self) -> None:
        self.is_closed = True


class Source:
    """Loads versions, but for those that are `missing`."""

    def __init__(self) -> None:
        self.missing = {"v9"}

    async def load(self, endpoint: Any, version: str) -> None:
        await asyncio.sleep(0)
        if version in self.missing:
            raise StorageError(f"{version} is gone")
        endpoint.held.append(version)


def view(serving: str, *prepare: str) -> dict[str, EndpointView]:
    return {"demand": EndpointView(course=EndpointCourse(serving=serving), prepare=prepare)}


async def passes(happened: Callable[[], object]) -> None:
    async with asyncio.timeout(120):
        while not happened():
            await asyncio.sleep(0.001)


def run(scenario: Callable[[FollowedVersions, Endpoint, Source], Any]) -> Endpoint:
    endpoint, source = Endpoint(), Source()
    services: Any = [endpoint]
    loader: Any = source

    async def follow() -> None:
        versions = FollowedVersions(services, loader, lambda: None)
        await scenario(versions, endpoint, source)
        await versions.close()

    asyncio.run(follow())
    assert endpoint.is_closed
    return endpoint


def test_each_state_is_entered_once_when_its_versions_are_loaded() -> None:
    async def scenario(versions: FollowedVersions, endpoint: Endpoint, source: Source) -> None:
        await versions.start(view("v1"))
        versions.follow(view("v1", "v2"))
        versions.follow(view("v1", "v2"))
        await passes(lambda: "v2" in endpoint.held)
        assert endpoint.entered == ["v1"]
        versions.follow(view("v2"))
        await passes(lambda: endpoint.entered == ["v1", "v2"])

    assert run(scenario).held == ["v1", "v2"]


def test_only_the_newest_view_counts() -> None:
    async def scenario(versions: FollowedVersions, endpoint: Endpoint, source: Source) -> None:
        await versions.start({})
        for serving in ("v1", "v2", "v3"):
            versions.follow(view(serving))
        await passes(lambda: endpoint.entered == ["v3"])

    run(scenario)


def test_a_version_that_cannot_be_loaded_replaces_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_tasks, "RETRY_S", 0.001)

    async def scenario(versions: FollowedVersions, endpoint: Endpoint, source: Source) -> None:
        await versions.start(view("v1"))
        versions.follow(view("v9"))
        await passes(lambda: endpoint.fault == "v9 is gone")
        assert endpoint.entered == ["v1"]
        source.missing.clear()
        await passes(lambda: endpoint.entered == ["v1", "v9"])
        assert endpoint.fault == ""

    run(scenario)


def test_a_process_does_not_begin_without_what_answers() -> None:
    async def scenario(versions: FollowedVersions, endpoint: Endpoint, source: Source) -> None:
        with pytest.raises(StorageError, match="v9 is gone"):
            await versions.start(view("v9"))

    run(scenario)
