"""An endpoint does what a state says from the moment on that it enters it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from tidemill.ledger.rollout import RolloutAction, RolloutStep
from tidemill.serving.endpoint_state import EndpointState
from tidemill.serving.io import endpoint_service
from tidemill.serving.io.endpoint_service import EndpointService
from tidemill.serving.rollout import RolloutCourse, RolloutState
from tidemill.serving.rollout_counts import Observed
from tidemill.testing.records import rollout_step
from tidemill.workflow.endpoint import Endpoint, Rollout

PLAN = Rollout(shadow_s=60.0, canary=(0.999999, 1.0))
STAGE: Any = SimpleNamespace(frames=())


class Version:
    """A loaded version that is closed when `gate` is set."""

    def __init__(self, name: str) -> None:
        self.id = name
        self.artifact = SimpleNamespace(output="sold")
        self.gate = asyncio.Event()
        self.is_closed = False

    async def close(self) -> None:
        await self.gate.wait()
        self.is_closed = True


def rolling_out(candidate: str, step: int) -> EndpointState:
    course = RolloutCourse(
        model="demand", candidate=candidate, incumbent="v1", step=step, since=float(step)
    )
    return EndpointState(serving="v1", rollout=RolloutState(course=course))


def test_a_state_holds_before_what_it_ends_is_closed() -> None:
    async def main() -> None:
        endpoint = Endpoint(name="demand", model="demand", rollout=PLAN)
        service = EndpointService(endpoint, STAGE)
        versions: dict[str, Any] = {name: Version(name) for name in ("v1", "v2", "v3")}
        for version in versions.values():
            service.add(version)
        versions["v3"].gate.set()
        # The shadow phase ends, and nothing needs v3.
        await service.enter(rolling_out("v2", 0))
        assert versions["v3"].is_closed
        assert [(role, found.id) for role, found in service.roles.items()] == [
            ("live", "v1"),
            ("shadow", "v2"),
        ]
        entering = asyncio.create_task(service.enter(rolling_out("v2", 1)))
        await asyncio.sleep(0)
        assert not entering.done()
        assert service.choose("", {b"tidemill-key": b"a"}).id == "v2"
        assert [*service.roles] == ["live", "canary"]
        await entering
        # A version that is still closing answers nothing more.
        leaving = asyncio.create_task(service.enter(EndpointState(serving="v1")))
        await asyncio.sleep(0)
        assert not leaving.done()
        assert [version.id for version in service.versions] == ["v1"]
        for version in versions.values():
            version.gate.set()
        await leaving
        await service.close()
        assert versions["v1"].is_closed

    asyncio.run(main())


@pytest.mark.parametrize(
    ("action", "is_recorded", "entered", "left"),
    [
        # A step forward is that of all servers, or of none.
        (RolloutAction.PROMOTED, True, True, 0),
        (RolloutAction.PROMOTED, False, False, 0),
        # A bad version goes back at once, and that is recorded later.
        (RolloutAction.ROLLED_BACK, False, True, 1),
    ],
)
def test_a_step_forward_is_taken_once_it_is_recorded(
    monkeypatch: pytest.MonkeyPatch,
    action: RolloutAction,
    is_recorded: bool,
    entered: bool,
    left: int,
) -> None:
    step = rollout_step(action)
    after = replace(rolling_out("v2", 1), records=(step,))
    asked: list[tuple[str, Sequence[RolloutStep], int]] = []

    async def main() -> None:
        service = EndpointService(Endpoint(name="demand", model="demand", rollout=PLAN), STAGE)
        for name in ("v1", "v2"):
            version: Any = Version(name)
            version.gate.set()
            service.add(version)
        before = rolling_out("v2", 0)
        await service.enter(before)
        service.begin_judging()

        async def record(endpoint: str, steps: Sequence[RolloutStep]) -> bool:
            asked.append((endpoint, steps, service.state.rollout.course.step))  # type: ignore[union-attr]
            return is_recorded

        monkeypatch.setattr(endpoint_service, "judge", lambda *_: after)
        found = await service.judge(100.0, lambda name, since: Observed(), record)
        assert len([*found]) == left
        assert service.state is (after if entered else before)
        await service.close()

    asyncio.run(main())
    forward = action is RolloutAction.PROMOTED
    assert asked == ([("demand", (step,), 0)] if forward else [])
