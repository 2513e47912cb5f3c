"""The thread of a model goes on whatever its calls raise, and ends with its event loop."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.runners import BAD, SLOW, SumRunner
from tidemill.core.errors import TidemillError
from tidemill.serving.io.model_thread import ModelThread


def test_a_model_that_exits_does_not_end_its_thread() -> None:
    async def main() -> None:
        runner = SumRunner(SLOW)
        runner.error = SystemExit("bye")
        thread = ModelThread(runner)
        with pytest.raises(TidemillError, match="ended with SystemExit: bye"):
            await thread.predict_row([BAD, 0.0])
        assert (await thread.predict_row([1.0, 0.0]))[0] == 1.0
        await asyncio.gather(thread.close(), thread.close())
        assert len(runner.closed_in) == 1

    asyncio.run(main())


def test_a_loop_that_ends_does_not_wait_for_its_models() -> None:
    runner = SumRunner(SLOW)

    async def main() -> ModelThread:
        thread = ModelThread(runner)
        runner.gate.clear()
        asyncio.ensure_future(thread.predict_row([1.0, 0.0]))  # noqa: RUF006 - nobody awaits it
        await asyncio.to_thread(runner.entered.wait)
        assert thread.waiting == 1
        return thread

    thread = asyncio.run(main())
    runner.gate.set()
    thread._queue.put(None)
    thread._thread.join(60)
    assert not thread._thread.is_alive()
    assert len(runner.closed_in) == 1


def test_who_closes_a_model_gets_its_error() -> None:
    class Stuck(SumRunner):
        """Fails to close."""

        def close(self) -> None:
            super().close()
            raise OSError("stuck")

    async def main() -> None:
        thread = ModelThread(Stuck(SLOW))
        with pytest.raises(OSError, match="stuck"):
            await thread.close()

    asyncio.run(main())
