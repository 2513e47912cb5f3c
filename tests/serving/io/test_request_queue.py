from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tidemill.serving.io import request_queue
from tidemill.serving.io.request_queue import RequestQueue


class Clock:
    """A clock that only work moves on."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(request_queue, "time", found)
    return found


class Worker:
    """Requests whose tasks take `each_s` of a turn, and then a thread that `release` ends."""

    def __init__(self, clock: Clock, each_s: float, *, in_thread: bool = False) -> None:
        self.queue = RequestQueue(10)
        self.clock, self.each_s, self.in_thread = clock, each_s, in_thread
        self.answered: list[str] = []
        self.refused: list[str] = []
        self.running: list[str] = []

    def add_all(self, names: Sequence[str]) -> None:
        for name in names:
            self.add(name)

    def add(self, name: str, endpoint: str = "a", *, is_gone: bool = False) -> None:
        self.queue.add(_Request(self, name, endpoint, is_gone))

    def work(self, name: str, endpoint: str) -> None:
        self.clock.now += self.each_s
        if self.in_thread:
            self.running.append(name)
        else:
            self.finish(name, endpoint)

    def finish(self, name: str, endpoint: str = "a") -> None:
        self.answered.append(name)
        self.queue.end(endpoint)


class _Request:
    def __init__(self, worker: Worker, name: str, endpoint: str, is_gone: bool) -> None:
        self.worker, self.name, self.endpoint, self.is_gone = worker, name, endpoint, is_gone
        self.arrived = worker.queue.arrival()

    def begin(self) -> bool:
        if self.is_gone:
            return False
        asyncio.get_running_loop().call_soon(self.worker.work, self.name, self.endpoint)
        return True

    def refuse(self) -> None:
        self.worker.refused.append(self.name)


def played(act: Callable[[], Any], turns: int = 3000) -> None:
    """Act in an event loop, and give it so many turns."""

    async def run() -> None:
        act()
        for _ in range(turns):
            await asyncio.sleep(0)

    asyncio.run(run())


def test_a_burst_is_answered_in_order(clock: Clock) -> None:
    worker = Worker(clock, 0.001)
    names = [str(number) for number in range(60)]
    played(lambda: worker.add_all(names))
    assert worker.answered == names
    assert worker.queue.queued == 0


def test_what_waits_too_long_is_refused_and_all_else_answered(clock: Clock) -> None:
    worker = Worker(clock, 0.001)
    names = [str(number) for number in range(400)]
    played(lambda: worker.add_all(names))
    assert sorted(worker.answered + worker.refused, key=int) == names
    # Until it is clear that the queue stands, the oldest are answered.
    assert worker.answered[:90] == names[:90]
    assert len(worker.refused) > 200
    assert worker.queue.queued == 1, "some were refused in the last turn"
    played(lambda: worker.add("later"))
    assert worker.answered[-1] == "later"
    assert worker.queue.queued == 0


def test_a_flood_to_one_endpoint_does_not_delay_another(clock: Clock) -> None:
    worker = Worker(clock, 0.002)

    def flood() -> None:
        for number in range(300):
            worker.add(str(number))
        worker.add("other", "b")

    played(flood)
    assert worker.answered.index("other") < 15


def test_what_arrives_in_a_long_turn_waited_for_its_end(clock: Clock) -> None:
    worker, seen = Worker(clock, 0.05), []

    async def run() -> None:
        before = clock.now
        worker.add("first")
        await asyncio.sleep(0)
        seen.append(worker.queue.arrival() == before < clock.now)
        await asyncio.sleep(0)
        seen.append(worker.queue.arrival() == clock.now)

    asyncio.run(run())
    assert seen == [True, True]


def test_requests_wait_while_threads_answer_others(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_queue, "_MOST_IN_THREADS", 2)
    worker = Worker(clock, 0.0001, in_thread=True)

    async def run() -> None:
        for number in range(3):
            worker.add(str(number))
            for _ in range(10):
                await asyncio.sleep(0)
        assert worker.running == ["0", "1"]
        assert worker.queue.queued == 1
        worker.finish("0")
        for _ in range(10):
            await asyncio.sleep(0)
        assert worker.running == ["0", "1", "2"]

    asyncio.run(run())


def test_callers_that_are_gone_take_no_turn(clock: Clock) -> None:
    worker = Worker(clock, 0.01)

    def add() -> None:
        for number in range(20):
            worker.add(str(number))
        for _ in range(50):
            worker.add("gone", is_gone=True)
        worker.add("last")

    played(add)
    assert len(worker.answered) == 21
    assert "gone" not in worker.answered
