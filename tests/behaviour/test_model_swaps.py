"""Models are replaced while requests and threads call them: no request is lost, no memory either."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import polars as pl
import pytest

from tests.support.served_models import any_threads, golden_file, stored_artifact
from tidemill.adapters.model_formats.lightgbm import LightGBMText
from tidemill.core.errors import ConflictError
from tidemill.serving.io.dispatchers import Dispatcher, InlineCalls, LoopBatches
from tidemill.serving.io.lightgbm_runner import LightGBMRunner
from tidemill.serving.io.model_thread import ModelThread
from tidemill.serving.io.open_runner import open_runner
from tidemill.serving.io.warm_up import warm_up

__all__ = ["any_threads"]

pytestmark = pytest.mark.usefixtures("any_threads")

FORM = LightGBMText()
NAMES = [f"x{at}" for at in range(8)]
RANDOM = np.random.default_rng(4)
TABLE = RANDOM.normal(size=(400, len(NAMES)))
ROW = TABLE[0].tolist()


class Versions:
    """Two versions of a model, which are live in turns."""

    def __init__(self) -> None:
        params = {"verbosity": -1, "num_threads": 1, "seed": 1}
        label = TABLE @ RANDOM.normal(size=len(NAMES))
        self.boosters = [
            lightgbm.train(params, lightgbm.Dataset(TABLE, sign * label), 40) for sign in (1, -1)
        ]
        self.artifact = stored_artifact(FORM, self.boosters[0], NAMES)
        self.payloads = [FORM.dump(booster) for booster in self.boosters]
        rows = pl.DataFrame(TABLE[:20], schema=NAMES, orient="row")
        self.golden = [golden_file(FORM, each, self.artifact, rows) for each in self.boosters]
        self.expected = [float(np.asarray(each.predict(TABLE[:1]))[0]) for each in self.boosters]

    def open(self, number: int) -> Any:
        """Load a version, and warm it up."""
        runner = open_runner(self.artifact, self.payloads[number % 2], [FORM])
        assert warm_up(runner, self.artifact, self.golden[number % 2]) == 0.0
        return runner


@pytest.fixture(scope="module")
def versions() -> Versions:
    return Versions()


class Live:
    """The version that serves, in a slot of an instance: replacing a class attribute can crash."""

    __slots__ = ("dispatcher", "number")

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.dispatcher = dispatcher
        self.number = 0


@pytest.mark.parametrize("kind", [InlineCalls, LoopBatches, ModelThread])
@pytest.mark.parametrize(
    "swaps", [5, pytest.param(60, marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_no_request_is_lost_while_versions_are_swapped(
    kind: Callable[[Any], Dispatcher], swaps: int, versions: Versions
) -> None:
    async def main() -> None:
        live = Live(kind(versions.open(0)))
        answered, ended = 0, False

        async def ask() -> None:
            nonlocal answered
            while not ended:
                number = live.number
                value, _ = await live.dispatcher.predict_row(ROW)
                assert value == versions.expected[number % 2]
                answered += 1
                await asyncio.sleep(0)

        clients = [asyncio.create_task(ask()) for _ in range(8)]
        for number in range(1, swaps + 1):
            runner = await asyncio.to_thread(versions.open, number)
            before, live.dispatcher, live.number = live.dispatcher, kind(runner), number
            await before.close()
            with pytest.raises(ConflictError):
                await before.predict_row(ROW)
        ended = True
        await asyncio.gather(*clients)
        assert answered >= swaps
        await live.dispatcher.close()

    asyncio.run(main())


@pytest.mark.slow
def test_four_threads_call_a_model_that_is_swapped_and_memory_does_not_grow(
    versions: Versions,
) -> None:
    live = [LightGBMRunner(versions.artifact, versions.payloads[0])]
    ended, wrong, batch = threading.Event(), list[Any](), np.repeat(TABLE[:1], 50, axis=0)

    def ask() -> None:
        while not ended.is_set():
            runner = live[0]
            try:
                found = {float(runner.predict_row(ROW)), *runner.predict(batch).tolist()}  # type: ignore[arg-type]
            except ConflictError:
                continue
            if len(found) != 1 or not found <= {*versions.expected}:
                wrong.append(found)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    sizes = []
    for swap in range(240):
        before = live[0]
        live[0] = LightGBMRunner(versions.artifact, versions.payloads[swap % 2])
        before.close()
        if swap in (39, 239):
            gc.collect()
            sizes.append(_resident())
    ended.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    # A model takes more memory than its text: 200 that are kept would take more than twice as much.
    assert sizes[1] - sizes[0] < 100 * len(versions.payloads[0])


def _resident() -> int:
    statm = Path("/proc/self/statm")
    if not statm.exists():
        pytest.skip("the memory of a process is read from /proc")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
