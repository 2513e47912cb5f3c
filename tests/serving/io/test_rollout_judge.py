"""Steps of rollouts are recorded in order, whatever fails meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tidemill.core.errors import ContractError, StorageError, TidemillError
from tidemill.ledger.rollout import RolloutAction, RolloutStep
from tidemill.serving.io import rollout_judge
from tidemill.serving.io.rollout_judge import RolloutJudge
from tidemill.testing.records import rollout_step


class Records:
    """Records that fail as long as they have an error for it."""

    def __init__(self) -> None:
        self.steps: list[RolloutStep] = []
        self.moved: list[RolloutStep] = []
        self.move_error: TidemillError | None = None
        self.record_error: TidemillError | None = None

    def last(self) -> Mapping[str, RolloutStep]:
        return {}

    def record(self, endpoint: str, steps: Sequence[RolloutStep]) -> None:
        if self.record_error is not None:
            raise self.record_error
        self.steps += steps

    def move_back(self, endpoint: str, step: RolloutStep) -> object:
        if self.move_error is not None:
            raise self.move_error
        self.moved.append(step)
        return None


FIRST, BACK = rollout_step(), rollout_step(RolloutAction.ROLLED_BACK)


def recorded(records: Records) -> RolloutJudge:
    """Record two steps, and stop."""

    async def main() -> RolloutJudge:
        judge = RolloutJudge({}, records)
        judge.record("delays", [FIRST, BACK])
        task = asyncio.create_task(judge.run())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return judge

    return asyncio.run(main())


def test_steps_are_recorded_in_order() -> None:
    records = Records()
    assert recorded(records).fault == ""
    assert records.steps == records.moved == [FIRST, BACK]


def test_what_cant_be_recorded_now_is_known_and_tried_again() -> None:
    records = Records()
    records.record_error = StorageError("the disk is full")
    assert recorded(records).fault == "the disk is full"
    assert records.steps == []

    async def again() -> None:
        judge = RolloutJudge({}, records)
        judge.record("delays", [FIRST])
        await judge._record_waiting()
        assert judge.fault
        records.record_error = None
        await judge._record_waiting()
        assert not judge.fault

    asyncio.run(again())
    assert records.steps == [FIRST]


def test_a_version_that_cant_be_live_again_still_answers_at_its_endpoint(
    caplog: pytest.LogCaptureFixture,
) -> None:
    records = Records()
    records.move_error = ContractError("old can't go live: its inputs have changed")
    assert recorded(records).fault == ""
    assert records.steps == [FIRST, BACK]
    assert "delays went back to old alone: old can't go live" in caplog.text


def test_an_unexpected_error_does_not_end_the_judge(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(rollout_judge, "JUDGE_EVERY_S", 0.0)
    calls: list[float] = []
    faults: list[str] = []

    class Endpoint:
        name = "delays"

        async def judge(self, now: float, others: object) -> Sequence[RolloutStep]:
            calls.append(now)
            faults.append(judge.fault)
            if len(calls) == 1:
                raise RuntimeError("a fault of ours")
            return [FIRST]

    records = Records()
    endpoints: Any = {"delays": Endpoint()}
    judge = RolloutJudge(endpoints, records)

    async def main() -> None:
        task = asyncio.create_task(judge.run())
        while not records.steps:
            await asyncio.sleep(0)
        task.cancel()

    asyncio.run(main())
    assert faults[:2] == ["", "rollouts can't be judged: RuntimeError"]
    assert "a fault of ours" in caplog.text
