"""What is wanted of an endpoint is tried until it is done, and a change is followed at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tidemill.core.errors import StorageError
from tidemill.serving.io import endpoint_tasks
from tidemill.serving.io.endpoint_tasks import EndpointTasks


class Advance:
    """Fails with each of `errors` in turn, and then succeeds; `gate` holds it up while it is cleared."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.faults: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.calls = 0

    async def __call__(self, endpoint: Any) -> bool:
        self.calls += 1
        self.faults.append(endpoint.fault)
        await self.gate.wait()
        if self.errors:
            raise self.errors.pop(0)
        return True


async def follow(advance: Advance, scenario: Callable[[EndpointTasks], Any]) -> None:
    async def close() -> None:
        """Close nothing."""

    endpoint: Any = SimpleNamespace(name="demand", fault="", close=close)
    tasks = EndpointTasks([endpoint], advance)
    async with asyncio.timeout(120):
        tasks.follow()
        await scenario(tasks)
        await tasks.close()


async def calls(advance: Advance, number: int) -> None:
    while advance.calls < number:
        await asyncio.sleep(0)


@pytest.mark.parametrize("error", [StorageError("it is gone"), KeyError("odd")])
def test_whatever_failed_is_tried_again(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_tasks, "RETRY_S", 0.001)

    async def main() -> None:
        advance = Advance(error, error)
        await follow(advance, lambda tasks: calls(advance, 3))
        assert all(str(error) in fault for fault in advance.faults[1:])

    asyncio.run(main())


@pytest.mark.parametrize("is_running", [True, False])
def test_a_change_is_followed_without_a_pause(
    is_running: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Longer than the test may take.
    monkeypatch.setattr(endpoint_tasks, "RETRY_S", 600.0)

    async def main() -> None:
        advance = Advance(StorageError("it is gone"))

        async def change(tasks: EndpointTasks) -> None:
            await calls(advance, 1)
            if is_running:
                tasks.follow()
            advance.gate.set()
            if not is_running:
                while advance.errors:
                    await asyncio.sleep(0)
                tasks.follow()
            await calls(advance, 2)

        advance.gate.clear()
        await follow(advance, change)

    asyncio.run(main())
