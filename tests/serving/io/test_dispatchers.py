"""A model is called where its cost says, and closed after its last call."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.support.runners import BAD, BATCHED, QUICK, SLOW, SumRunner
from tidemill.core.errors import ConflictError
from tidemill.serving.call_cost import UNKNOWN_COST, CallCost, rows_at_once
from tidemill.serving.io.dispatchers import (
    Dispatcher,
    InlineCalls,
    LoopBatches,
    open_dispatcher,
)
from tidemill.serving.io.model_thread import ModelThread

KINDS = [InlineCalls, LoopBatches, ModelThread]
kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


@pytest.mark.parametrize(
    ("cost", "kind"),
    [
        (QUICK, InlineCalls),
        (BATCHED, LoopBatches),
        (SLOW, ModelThread),
        (UNKNOWN_COST, ModelThread),
    ],
)
def test_the_cost_of_a_call_says_where_it_is_made(cost: CallCost, kind: type) -> None:
    async def main() -> None:
        dispatcher = open_dispatcher(SumRunner(cost))
        assert type(dispatcher) is kind
        await dispatcher.close()

    asyncio.run(main())


@kinds
def test_rows_are_predicted_and_fail_as_the_model_does(kind: Callable[[Any], Dispatcher]) -> None:
    async def main() -> None:
        runner = SumRunner()
        dispatcher = kind(runner)
        value, cpu_s = await dispatcher.predict_row([1.0, 2.0])
        assert value == 3.0
        assert (cpu_s == 0.0) == (kind is InlineCalls)
        found, _ = await dispatcher.predict(np.array([[1.0, 1.0], [2.0, 2.0]]))
        assert found.tolist() == [2.0, 4.0]
        with pytest.raises(ValueError, match="the row has -1"):
            await dispatcher.predict_row([BAD, 0.0])
        own = threading.get_ident()
        assert (own in runner.threads) == (kind is not ModelThread)
        await dispatcher.close()
        # In the thread that calls the model.
        assert runner.closed_in == [*runner.threads]
        with pytest.raises(ConflictError, match="another version replaced it"):
            await dispatcher.predict_row([1.0, 2.0])
        with pytest.raises(ConflictError, match="another version replaced it"):
            await dispatcher.predict(np.ones((1, 2)))

    asyncio.run(main())


@kinds
@pytest.mark.parametrize("thread_safe", [False, True])
def test_rows_are_explained_off_the_event_loop_where_that_is_safe(
    kind: Callable[[Any], Dispatcher], thread_safe: bool
) -> None:
    async def main() -> None:
        runner = SumRunner()
        runner.thread_safe = thread_safe
        dispatcher = kind(runner)
        rows = np.array([[1.0, 2.0], [3.0, 4.0]])
        explained, predicted = await asyncio.gather(
            dispatcher.contributions(rows), dispatcher.predict(rows)
        )
        assert explained[0].tolist() == [[1.0, 2.0, 0.0], [3.0, 4.0, 0.0]]
        assert explained[1]
        assert predicted[0].tolist() == [3.0, 7.0]
        own = threading.get_ident()
        assert (own in runner.explained_in) == (kind is not ModelThread and not thread_safe)
        with pytest.raises(TimeoutError, match="deadline passed"):
            await dispatcher.contributions(rows, time.monotonic() - 1)
        assert dispatcher.waiting == 0
        await dispatcher.close()
        with pytest.raises(ConflictError, match="another version replaced it"):
            await dispatcher.contributions(rows)

    asyncio.run(main())


@pytest.mark.parametrize("kind", [LoopBatches, ModelThread])
def test_tasks_of_the_same_turn_share_a_call(kind: Callable[[Any], Dispatcher]) -> None:
    async def main() -> None:
        runner = SumRunner(BATCHED)
        dispatcher = kind(runner)
        runner.gate.clear()
        first = asyncio.ensure_future(dispatcher.predict_row([0.0, 0.0]))
        if kind is ModelThread:
            # It is in its first call while the others come.
            await asyncio.to_thread(runner.entered.wait)
            asyncio.get_running_loop().call_soon(runner.gate.set)
        else:
            runner.gate.set()
        others = [asyncio.create_task(_predict(dispatcher, [float(at), 1.0])) for at in range(20)]
        assert (await first)[0] == 0.0
        assert [await other for other in others] == [at + 1.0 for at in range(20)]
        assert sorted(runner.calls) in ([1, 20], [21])
        assert dispatcher.waiting == 0
        await dispatcher.close()

    asyncio.run(main())


@kinds
def test_a_model_is_closed_after_the_requests_that_wait(
    kind: Callable[[Any], Dispatcher],
) -> None:
    async def main() -> None:
        runner = SumRunner(CallCost(call_s=9e-4, row_s=1e-4))
        dispatcher = kind(runner)
        rows = np.arange(40.0).reshape(20, 2)
        asked = [asyncio.ensure_future(dispatcher.predict(rows)) for _ in range(5)]
        await asyncio.sleep(0)
        await dispatcher.close()
        for each in asked:
            found, cpu_s = await each
            assert found.tolist() == rows.sum(axis=1).tolist()
            assert cpu_s is not None
        assert len(runner.closed_in) == 1
        assert dispatcher.waiting == 0

    asyncio.run(main())


@pytest.mark.parametrize("kind", [InlineCalls, LoopBatches])
def test_many_rows_leave_turns_to_other_tasks(kind: Callable[[Any], Dispatcher]) -> None:
    async def main() -> None:
        runner = SumRunner(CallCost(call_s=5e-4, row_s=1e-4))
        runner.thread_safe = False
        limit = rows_at_once(runner.cost)
        assert limit == 6
        dispatcher = kind(runner)
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        busy = asyncio.create_task(other())
        rows = np.arange(100.0).reshape(50, 2)
        found, _ = await dispatcher.predict(rows)
        assert found.tolist() == rows.sum(axis=1).tolist()
        assert runner.calls == [6] * 8 + [2]
        assert turns >= 8
        with pytest.raises(TimeoutError, match="deadline passed"):
            await dispatcher.predict(rows, time.monotonic() - 1)
        assert dispatcher.waiting == 0
        busy.cancel()
        await dispatcher.close()

    asyncio.run(main())


def test_many_rows_of_a_model_that_is_thread_safe_are_predicted_in_a_thread() -> None:
    async def main() -> None:
        runner = SumRunner(CallCost(call_s=5e-4, row_s=1e-4))
        dispatcher = InlineCalls(runner)
        rows = np.arange(100.0).reshape(50, 2)
        found, cpu_s = await dispatcher.predict(rows)
        assert found.tolist() == rows.sum(axis=1).tolist()
        assert runner.calls == [50]
        assert threading.get_ident() not in runner.threads
        assert cpu_s
        with pytest.raises(TimeoutError, match="deadline passed"):
            await dispatcher.predict(rows, time.monotonic() - 1)
        # The caller gives up during the call; the model is closed after it.
        runner.gate.clear()
        runner.entered.clear()
        left = asyncio.create_task(_predict_rows(dispatcher, rows))
        await asyncio.to_thread(runner.entered.wait)
        left.cancel()
        closing = asyncio.create_task(dispatcher.close())
        await asyncio.wait([left])
        assert left.cancelled()
        assert runner.closed_in == []
        assert dispatcher.waiting == 1
        runner.gate.set()
        await closing
        assert runner.calls == [50, 50]
        assert len(runner.closed_in) == 1

    asyncio.run(main())


def test_what_waits_beyond_a_batch_is_predicted_in_the_next_turn() -> None:
    async def main() -> None:
        runner = SumRunner(CallCost(call_s=9e-4, row_s=1e-4))
        dispatcher = LoopBatches(runner)
        assert rows_at_once(runner.cost) == 2
        asked = [asyncio.create_task(_predict(dispatcher, [1.0, float(at)])) for at in range(5)]
        assert [await each for each in asked] == [1.0, 2.0, 3.0, 4.0, 5.0]
        assert runner.calls == [2, 2, 1]
        await dispatcher.close()

    asyncio.run(main())


@pytest.mark.parametrize("kind", [LoopBatches, ModelThread])
def test_a_request_whose_deadline_passed_or_whose_caller_left_is_not_computed(
    kind: Callable[[Any], Dispatcher],
) -> None:
    async def main() -> None:
        runner = SumRunner()
        dispatcher = kind(runner)
        late = asyncio.ensure_future(dispatcher.predict_row([1.0, 1.0], time.monotonic() - 1))
        left = asyncio.ensure_future(dispatcher.predict_row([2.0, 2.0]))
        left.cancel()
        with pytest.raises(TimeoutError, match="deadline passed while it waited"):
            await late
        value, _ = await dispatcher.predict_row([3.0, 3.0], math.inf)
        assert value == 6.0
        assert sum(runner.calls) <= 2
        assert left.cancelled()
        await dispatcher.close()

    asyncio.run(main())


async def _predict(dispatcher: Dispatcher, values: list[float]) -> Any:
    value, _ = await dispatcher.predict_row(values)
    return value


async def _predict_rows(dispatcher: Dispatcher, rows: Any) -> Any:
    found, _ = await dispatcher.predict(rows)
    return found


@pytest.mark.parametrize("cost", [BATCHED, SLOW])
def test_the_requests_of_batches_are_recorded(cost: CallCost) -> None:
    async def main() -> None:
        batches: list[int] = []
        dispatcher = open_dispatcher(SumRunner(cost), batches.append)
        for together in (1, 3):
            await asyncio.gather(*(dispatcher.predict_row([1.0, 2.0]) for _ in range(together)))
        await dispatcher.close()
        assert sum(batches) == 4
        # A thread may begin with the first request that it sees.
        assert cost is SLOW or batches == [1, 3]

    asyncio.run(main())
