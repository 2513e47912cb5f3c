"""Run the parts of a server that work beside the requests."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

# Seconds until a part that failed begins again.
AGAIN_S = 1.0

_log = logging.getLogger("tidemill.serving")


def spawn(run: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
    """Run a part until its task is cancelled; if it fails, begin again: nobody else does its work."""

    async def run_again() -> None:
        while True:
            try:
                return await run()
            except Exception:  # noqa: BLE001
                _log.exception("%s failed; it begins again", run.__qualname__)
            await asyncio.sleep(AGAIN_S)

    return asyncio.create_task(run_again())


async def cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel tasks, and wait until they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
