"""A row that was predicted before isn't predicted again, and gets the same answer."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LinearRegression  # type: ignore[import-untyped]

from tests.support.runners import SumRunner
from tests.support.served_models import golden_file, stored_artifact
from tidemill.adapters.model_formats.sklearn import SklearnSkops
from tidemill.serving.answer_cache import AnswerCache
from tidemill.serving.counters import Series
from tidemill.serving.io.batches import Predicted
from tidemill.serving.io.cached_calls import CachedCalls, is_repeatable
from tidemill.serving.io.dispatchers import InlineCalls, LoopBatches
from tidemill.serving.io.function_runner import FunctionRunner
from tidemill.serving.io.warm_up import golden_inputs


class Counted(InlineCalls):
    """A dispatcher that counts its calls, and can be held up."""

    def __init__(self, runner: Any) -> None:
        super().__init__(runner)
        self.calls = 0
        self.held: Awaitable[object] | None = None

    async def predict_row(self, values: list[float], deadline: float = 0.0) -> Predicted:
        self.calls += 1
        if self.held is not None:
            await self.held
        return await super().predict_row(values)

    async def predict(self, rows: Any, deadline: float = 0.0) -> Predicted:
        self.calls += 1
        if isinstance(rows, pl.DataFrame):
            return rows.sum_horizontal().to_numpy(), 0.0
        return await super().predict(rows)


def run(work: Callable[[CachedCalls, Counted, Series], Awaitable[None]], size: int = 10) -> None:
    async def main() -> None:
        inner, series = Counted(SumRunner()), Series("demand", "v1")
        cached = CachedCalls(inner, AnswerCache(size), "demand/v1", series)
        assert cached.waiting == 0
        await work(cached, inner, series)
        await cached.close()

    asyncio.run(main())


def test_a_known_row_is_not_predicted() -> None:
    async def work(cached: CachedCalls, inner: Counted, series: Series) -> None:
        # None: no CPU time, because the answer was known.
        for cpu_s in (0.0, None, None):
            assert await cached.predict_row([1.0, 2.0]) == (3.0, cpu_s)
        assert await cached.predict_row([2.0, 1.0]) == (3.0, 0.0)
        assert (inner.calls, series.cache_hits, series.cache_misses) == (2, 2, 2)

    run(work)


def test_a_row_of_an_array_or_a_frame() -> None:
    async def work(cached: CachedCalls, inner: Counted, series: Series) -> None:
        for rows in (np.array([[1.0, 2.0]]), pl.DataFrame({"a": [1.0], "b": [2.0]})):
            first, _ = await cached.predict(rows)
            again, _ = await cached.predict(rows)
            assert first.tolist() == again.tolist() == [3.0]
        # A number for one row alone, an array for a table of one row.
        assert await cached.predict_row([1.0, 2.0]) == (3.0, 0.0)
        assert (inner.calls, series.cache_hits) == (3, 2)
        many, _ = await cached.predict(np.ones((3, 2)))
        assert many.tolist() == [2.0, 2.0, 2.0]
        assert series.cache_misses == 3

    run(work)


def test_a_version_that_was_closed_while_it_answered_keeps_nothing() -> None:
    async def main() -> None:
        cache: AnswerCache[Any] = AnswerCache(10)
        inner = Counted(SumRunner())
        cached = CachedCalls(inner, cache, "demand/v1", Series("demand", "v1"))
        released: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        inner.held = released
        asked = asyncio.ensure_future(cached.predict_row([1.0, 2.0]))
        await asyncio.sleep(0)
        cache.remove("demand/v1")
        released.set_result(None)
        assert await asked == (3.0, 0.0)
        assert len(cache) == 0

    asyncio.run(main())


def test_an_answer_of_a_batch_keeps_its_own_row_only() -> None:
    async def main() -> None:
        cache: AnswerCache[Any] = AnswerCache(10)
        cached = CachedCalls(LoopBatches(SumRunner()), cache, "v1", Series("demand", "v1"))
        rows = [np.full((1, 2), number) for number in range(5)]
        await asyncio.gather(*map(cached.predict, rows))
        for row in rows:
            known, cpu_s = await cached.predict(row)
            # None of them is a view of the whole batch.
            assert (known.base, cpu_s) == (None, None)
        await cached.close()
        assert len(cache) == 0

    asyncio.run(main())


def test_a_cache_without_room_changes_nothing() -> None:
    async def work(cached: CachedCalls, inner: Counted, series: Series) -> None:
        for _ in range(2):
            assert await cached.predict_row([1.0, 2.0]) == (3.0, 0.0)
        assert inner.calls == 2

    run(work, size=0)


@pytest.mark.parametrize("noise", [0.0, 1e-9])
def test_a_model_that_varies_is_not_repeatable(noise: float) -> None:
    rows = pl.DataFrame({"a": [1.0, 2.0, 3.0], "y": [1.0, 2.0, 2.5]})
    model, form = LinearRegression().fit(rows[["a"]].to_numpy(), rows["y"]), SklearnSkops()
    artifact = stored_artifact(form, model, ["a"])
    stored = golden_file(form, model, artifact, rows[["a"]])
    predict = form.function(model)
    runner = FunctionRunner(artifact, lambda given: predict(given) + noise * random.random())
    golden = golden_inputs(runner, artifact, stored)
    assert golden is not None
    assert is_repeatable(runner, golden) == (noise == 0.0)
    assert not is_repeatable(runner, golden_inputs(runner, artifact, b""))
    runner.close()
    assert not is_repeatable(runner, golden)


def test_each_caller_knows_whether_its_answer_was_computed() -> None:
    async def work(cached: CachedCalls, inner: Counted, series: Series) -> None:
        async def is_known(*values: float) -> bool:
            return (await cached.predict_row([*values, 1.0]))[1] is None

        assert not await is_known(1.0)
        # Also when a row of the cache is answered while the model still computes another one.
        held = asyncio.Event()
        inner.held = held.wait()
        slow = asyncio.create_task(is_known(3.0))
        await asyncio.sleep(0)
        assert await is_known(1.0)
        held.set()
        assert not await slow
        one = np.array([[4.0, 1.0]])
        assert [(await cached.predict(one))[1] for _ in range(2)] == [0.0, None]
        assert (await cached.predict(np.ones((2, 2))))[1] == 0.0

    run(work)
