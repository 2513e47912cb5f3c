"""One server at a time judges; steps of rollouts are recorded in order, once, whatever fails meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tidemill.core.errors import ConflictError, ContractError, StorageError, TidemillError
from tidemill.ledger.rollout import RolloutAction, RolloutStep
from tidemill.ports.ledger import Lease, State
from tidemill.serving.endpoint_record import EndpointRecord
from tidemill.serving.io import rollout_judge
from tidemill.serving.io.rollout_judge import RolloutJudge, Takeover
from tidemill.testing.doubles import MemoryLedger
from tidemill.testing.records import rollout_step


class Records:
    """Records of one server that fail as long as they have an error for it."""

    def __init__(self, name: str = "a", ledger: MemoryLedger | None = None) -> None:
        self.steps: list[RolloutStep] = []
        self.moved: list[RolloutStep] = []
        self.errors: dict[str, TidemillError] = {}
        self.now = 0.0
        self.ledger = ledger or MemoryLedger()
        self._holder = {"host": "tern", "pid": name}

    def _fail(self, what: str) -> None:
        if what in self.errors:
            raise self.errors[what]

    def read(self, state: State) -> Mapping[str, EndpointRecord]:
        return {}

    def acquire(self) -> Lease:
        self._fail("acquire")
        return self.ledger.acquire(
            "serve:prod", self._holder, now=self.now, ttl=30.0, dead=lambda holder: False
        )

    def renew(self, lease: Lease) -> Lease:
        self._fail("renew")
        return self.ledger.renew(lease, now=self.now, ttl=30.0)

    def release(self, lease: Lease) -> None:
        self._fail("release")
        self.ledger.release(lease)

    def take_over(self, lease: Lease) -> Takeover:
        self._fail("take_over")
        return Takeover(state=self.ledger.state("prod"), endpoints={})

    def record(self, endpoint: str, steps: Sequence[RolloutStep], lease: Lease) -> None:
        self._fail("record")
        self.ledger.renew(lease, now=self.now, ttl=30.0)
        self.steps += steps

    def move_back(self, endpoint: str, step: RolloutStep, lease: Lease) -> object:
        self._fail("move_back")
        self.moved.append(step)
        return None


class Endpoint:
    """An endpoint that takes the steps which it is given."""

    name = "delays"
    serving = "old"

    def __init__(self, *steps: RolloutStep | Exception) -> None:
        self.steps = list(steps)
        self.suspended: list[RolloutStep] = []
        self.is_judged = False
        self.is_rolling = True
        self.looks = 0

    async def judge(self, now: float, others: object, record: object) -> Sequence[RolloutStep]:
        self.looks += 1
        if not self.is_judged:
            return []
        step = self.steps.pop(0) if self.steps else None
        if isinstance(step, Exception):
            raise step
        return [] if step is None else [step]

    def suspend(self, now: float) -> Sequence[RolloutStep]:
        return self.suspended


FIRST, BACK = rollout_step(), rollout_step(RolloutAction.ROLLED_BACK)


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JUDGE_EVERY_S", "RENEW_EVERY_S", "ASK_EVERY_S"):
        monkeypatch.setattr(rollout_judge, name, 0.0)


class Server:
    """A server with a judge, and what its judge told it."""

    def __init__(self, records: Records, *steps: RolloutStep | Exception) -> None:
        self.endpoint = Endpoint(*steps)
        self.records = records
        self.told: list[bool] = []
        endpoints: Any = {"delays": self.endpoint}
        self.judge = RolloutJudge(endpoints, records, self._note)

    def _note(self, taken: Takeover | None) -> None:
        self.endpoint.is_judged = taken is not None
        self.told.append(taken is not None)

    async def turn(self) -> None:
        """Look once."""
        await self.judge._take_turn()


def test_steps_are_recorded_in_order_and_the_evidence_at_the_end() -> None:
    async def play() -> Server:
        server = Server(Records())
        server.judge.record("delays", [FIRST])
        server.endpoint.steps = [BACK]
        server.endpoint.suspended = [rollout_step(RolloutAction.SUSPENDED)]
        await server.judge.start()
        await server.judge.close()
        assert not server.judge.is_judging
        assert server.judge.fault == ""
        return server

    server = asyncio.run(play())
    assert [step.action for step in server.records.steps] == [
        "promoted",
        "rolled_back",
        "suspended",
    ]
    assert server.records.moved == server.records.steps
    assert server.told == [True]
    # The lease is free again.
    assert server.records.acquire().token == 2


def test_a_step_forward_is_recorded_first_or_not_taken() -> None:
    async def play() -> None:
        server = Server(Records())
        records, judge = server.records, server.judge
        assert not await judge._record_first("delays", [FIRST])
        await judge.start()
        assert await judge._record_first("delays", [FIRST])
        assert records.steps == [FIRST]
        records.errors["record"] = StorageError("the ledger is away")
        assert not await judge._record_first("delays", [FIRST])
        assert judge.fault == "the ledger is away"
        # What waits comes before.
        judge.record("delays", [BACK])
        records.errors.clear()
        assert not await judge._record_first("delays", [FIRST])
        await server.turn()
        assert records.steps == [FIRST, BACK]
        assert await judge._record_first("delays", [FIRST])
        # Another server has the lease meanwhile.
        records.now = 100.0
        other = Server(Records("b", records.ledger))
        other.records.now = 100.0
        await other.judge.start()
        assert not await judge._record_first("delays", [FIRST])
        assert records.steps == [FIRST, BACK, FIRST]
        assert not judge.is_judging

    asyncio.run(play())


def test_what_cant_be_recorded_now_is_known_and_tried_again() -> None:
    async def play() -> None:
        server = Server(Records(), FIRST)
        await server.judge.start()
        server.records.errors["record"] = StorageError("the disk is full")
        await server.turn()
        assert server.judge.fault == "the disk is full"
        assert server.records.steps == []
        server.records.errors.clear()
        await server.turn()
        assert server.judge.fault == ""
        assert server.records.steps == [FIRST]
        # What is live moved meanwhile, but this server still has the lease.
        server.records.errors["move_back"] = ConflictError("something else is live")
        server.endpoint.steps = [BACK]
        await server.turn()
        assert server.judge.is_judging
        assert server.judge.fault == "something else is live"
        server.records.errors.clear()
        await server.turn()
        assert server.records.steps == [FIRST, BACK]
        await server.judge.close()

    asyncio.run(play())


def test_one_server_judges_until_it_stops() -> None:
    async def play() -> None:
        ledger = MemoryLedger()
        one, two = Server(Records("a", ledger)), Server(Records("b", ledger), FIRST)
        for server in (one, two):
            await server.judge.start()
        await two.turn()
        assert (one.judge.is_judging, two.judge.is_judging) == (True, False)
        assert two.judge.holder == {"host": "tern", "pid": "a"}
        assert two.judge.fault == ""
        # What it counts is taken, and judged by nobody.
        assert (two.endpoint.looks, two.endpoint.steps) == (1, [FIRST])
        await two.judge.close()
        await one.judge.close()
        await two.turn()
        assert (one.judge.is_judging, two.judge.is_judging) == (False, True)
        assert two.judge.holder == {}
        assert two.told == [True]
        assert two.records.steps == [FIRST]

    asyncio.run(play())


@pytest.mark.parametrize("notices_by", ["renewing", "recording"])
def test_a_server_that_slept_while_another_took_over_records_nothing(
    notices_by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play() -> None:
        ledger = MemoryLedger()
        one, two = Server(Records("a", ledger)), Server(Records("b", ledger))
        await one.judge.start()
        two.records.now = 31.0
        await two.turn()
        assert two.judge.is_judging
        one.endpoint.steps = [FIRST]
        if notices_by == "recording":
            one.judge._look_at = float("inf")
        await one.turn()
        assert not one.judge.is_judging
        assert one.told == [True, False]
        assert one.judge.holder["pid"] == "b"
        assert one.records.steps == []
        await one.judge.close()
        assert two.judge.is_judging

    asyncio.run(play())


def test_a_lease_that_cant_be_written_for_a_while_is_kept() -> None:
    async def play() -> None:
        server = Server(Records())
        server.records.errors["acquire"] = StorageError("the disk is full")
        await server.judge.start()
        assert (server.judge.is_judging, server.judge.fault) == (False, "the disk is full")
        server.records.errors = {"take_over": StorageError("the disk is still full")}
        await server.turn()
        assert (server.judge.is_judging, server.judge.fault) == (False, "the disk is still full")
        server.records.errors = {}
        await server.turn()
        assert (server.judge.is_judging, server.judge.fault) == (True, "")
        server.records.errors = {
            "renew": StorageError("the disk is full"),
            "release": StorageError("x"),
        }
        await server.turn()
        assert (server.judge.is_judging, server.judge.fault) == (True, "the disk is full")
        await server.judge.close()
        assert not server.judge.is_judging

    asyncio.run(play())


def test_a_version_that_cant_be_live_again_still_answers_at_its_endpoint(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def play() -> None:
        server = Server(Records(), BACK)
        server.records.errors["move_back"] = ContractError(
            "old can't go live: its inputs have changed"
        )
        await server.judge.start()
        await server.turn()
        assert server.judge.fault == ""
        assert server.records.steps == [BACK]

    asyncio.run(play())
    assert "delays went back to old alone: old can't go live" in caplog.text


def test_an_unexpected_error_does_not_end_the_judge(caplog: pytest.LogCaptureFixture) -> None:
    async def play() -> Server:
        server = Server(Records(), RuntimeError("a fault of ours"), FIRST)
        await server.judge.start()
        await server.turn()
        assert server.judge.fault == "rollouts can't be judged: RuntimeError"
        task = asyncio.create_task(server.judge.run())
        while not server.records.steps:
            await asyncio.sleep(0)
        task.cancel()
        await server.judge.close()
        return server

    assert asyncio.run(play()).records.steps == [FIRST]
    assert "a fault of ours" in caplog.text


def test_a_step_that_is_being_recorded_when_the_server_stops_is_recorded_once() -> None:
    async def play() -> Server:
        begun, goes_on = threading.Event(), threading.Event()

        class Slow(Records):
            def record(self, endpoint: str, steps: Sequence[RolloutStep], lease: Lease) -> None:
                begun.set()
                assert goes_on.wait(60)
                super().record(endpoint, steps, lease)

        server = Server(Slow(), FIRST)
        await server.judge.start()
        task = asyncio.create_task(server.judge.run())
        assert await asyncio.to_thread(begun.wait, 60)
        task.cancel()
        closing = asyncio.create_task(server.judge.close())
        await asyncio.sleep(0)
        goes_on.set()
        await closing
        return server

    assert asyncio.run(play()).records.steps == [FIRST]
