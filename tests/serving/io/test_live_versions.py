"""What answers follows what is live: decided and recorded by the judge, as recorded in other servers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tidemill.core.errors import StorageError
from tidemill.ledger.delivery import Delivery
from tidemill.ledger.rollout import RolloutAction, RolloutStep
from tidemill.ports.ledger import State
from tidemill.serving.endpoint_record import EndpointRecord
from tidemill.serving.endpoint_state import EndpointState
from tidemill.serving.io import endpoint_tasks
from tidemill.serving.io.live_versions import LiveVersions
from tidemill.testing.doubles import MemoryLedger
from tidemill.testing.records import model_artifact, rollout_step, scores
from tidemill.workflow.endpoint import Endpoint as Declared
from tidemill.workflow.endpoint import Rollout


class Endpoint:
    """An endpoint that notes what it is asked for."""

    name, model = "demand", "demand"
    declared = Declared(name="demand", model="demand", rollout=Rollout())

    def __init__(self) -> None:
        self.fault = ""
        self.live: str | None = None
        self.state = EndpointState()
        self.held: set[str] = set()
        self.is_judged = False

    @property
    def serving(self) -> str:
        return self.live or ""

    def holds(self, version: str) -> bool:
        return version in self.held

    def begin_judging(self) -> None:
        self.is_judged = True

    async def enter(self, state: EndpointState) -> None:
        self.state, self.live, self.fault = state, state.serving, ""

    async def close(self) -> None:
        """Nothing is open."""


class Source:
    """Loads versions, but for those that are missing."""

    def __init__(self) -> None:
        self.missing = {"gone"}

    async def load(self, endpoint: Any, version: str, known: object = None) -> None:
        await asyncio.sleep(0)
        if version in self.missing:
            raise StorageError(f"object {version} is missing")
        endpoint.held.add(version)


def live(version: str, *, rollback: bool = False) -> State:
    delivery = Delivery(
        name="demand",
        artifact=model_artifact(version),
        decision="d",
        scores=scores(),
        at=5.0,
        actor="gates",
        rollback=rollback,
    )
    return replace(MemoryLedger().state("prod"), live={"demand": delivery})


STARTED = rollout_step(RolloutAction.STARTED, candidate="v2", incumbent="v1")
DONE = rollout_step(RolloutAction.COMPLETED, candidate="v1", incumbent="")
ROLLING = {"demand": EndpointRecord(last=STARTED, since=1.0)}
SERVING = {"demand": EndpointRecord(last=DONE, since=1.0)}


class Server:
    def __init__(self) -> None:
        self.endpoint, self.source = Endpoint(), Source()
        self.recorded: list[RolloutStep] = []
        endpoints: Any = [self.endpoint]
        source: Any = self.source
        self.versions = LiveVersions(endpoints, source, self._record, self._prepare)

    def _record(self, endpoint: str, steps: Sequence[RolloutStep]) -> None:
        self.recorded += steps

    async def _prepare(self, endpoint: str, versions: Sequence[str]) -> bool:
        return False

    @property
    def does(self) -> tuple[str, str]:
        """What answers, and the candidate."""
        state = self.endpoint.state
        return state.serving, "" if state.rollout is None else state.rollout.course.candidate

    @property
    def actions(self) -> list[tuple[str, str]]:
        return [(step.action, step.candidate) for step in self.recorded]


async def passes(happened: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not happened():
            await asyncio.sleep(0)


def play(main: Callable[[Server], Any]) -> Server:
    server = Server()

    async def whole() -> None:
        await main(server)
        await server.versions.close()

    asyncio.run(whole())
    return server


NOTHING: Mapping[str, EndpointRecord] = {}


def test_the_judge_decides_and_records() -> None:
    async def main(server: Server) -> None:
        server.versions.take_over(live("v1"), {"demand": EndpointState()})
        await server.versions.start(live("old"), NOTHING)
        assert (*server.does, server.endpoint.is_judged) == ("v1", "", True)
        server.versions.follow(live("v2"), SERVING)
        await passes(lambda: server.does == ("v1", "v2"))
        # Another server took over before the step was recorded.
        server.versions.give_up()
        assert not server.endpoint.is_judged
        server.versions.follow(live("v2"), SERVING)
        await passes(lambda: server.does == ("v1", ""))

    assert play(main).actions == [("completed", "v1"), ("started", "v2")]


def test_a_server_that_follows_records_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tidemill.serving")

    async def main(server: Server) -> None:
        await server.versions.start(live("v1"), SERVING)
        server.versions.follow(live("v2"), ROLLING)
        await passes(lambda: server.does == ("v1", "v2"))
        server.versions.follow(live("v1", rollback=True), ROLLING)
        await passes(lambda: server.does == ("v1", ""))
        server.versions.follow(live("v2"), ROLLING)
        await passes(lambda: server.does == ("v1", "v2"))
        # It judges from now on.
        server.versions.take_over(live("v2"), {"demand": replace(server.endpoint.state, last=DONE)})
        await passes(lambda: server.endpoint.is_judged)

    assert play(main).recorded == []
    assert caplog.messages[:2] == [
        "demand: v1 answers",
        "demand: by the server that judges, v2 instead of v1 rollout started: canary 5 % (1,200 requests, "
        "1,200 of the version before; evidence 0.938: errors 0.5, outside 0.25, slow 1, shift 2)",
    ]


def test_a_version_that_cant_be_loaded_replaces_nothing_and_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tidemill.serving")
    monkeypatch.setattr(endpoint_tasks, "RETRY_S", 0.0)
    tries = 0

    async def main(server: Server) -> None:
        server.versions.take_over(live("v1"), {"demand": EndpointState()})
        await server.versions.start(live("v1"), NOTHING)
        load = server.source.load

        async def counted(endpoint: Any, version: str, known: object = None) -> None:
            nonlocal tries
            tries += 1
            await load(endpoint, version, known)

        monkeypatch.setattr(server.source, "load", counted)
        server.versions.follow(live("gone"), SERVING)
        await passes(lambda: tries > 2)
        assert server.endpoint.fault == "gone can't serve: object gone is missing"
        assert server.does == ("v1", "")

    play(main)
    assert caplog.messages == [
        "demand: v1 answers",
        "demand: gone can't serve: object gone is missing; v1 keeps answering",
    ]


@pytest.mark.parametrize("is_judge", [True, False])
def test_when_what_answered_before_is_gone_the_live_version_answers(is_judge: bool) -> None:
    gone = rollout_step(RolloutAction.STARTED, candidate="v2", incumbent="gone")
    record = EndpointRecord(last=gone)

    async def main(server: Server) -> None:
        if is_judge:
            rolling = EndpointState(serving="gone", last=gone)
            server.versions.take_over(live("v2"), {"demand": rolling})
        await server.versions.start(live("v2"), {"demand": record})
        assert server.endpoint.live == "v2"

    assert play(main).actions == ([("completed", "v2")] if is_judge else [])
