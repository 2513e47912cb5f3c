"""Answer callers who ask for the same at the same time with one call."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

from tidemill.console.resource import PageAction, Resource
from tidemill.console.view_calls import ViewAnswer

_Key: TypeAlias = tuple[str, str, str, tuple[tuple[str, Any], ...]]
# What depends on the time of day is this old at most (seconds); and so many answers of so many characters
# are kept.
_KNOWN_S, _MOST, _MOST_TEXT = 1.0, 200, 4_000_000


class ViewCalls(Protocol):
    """Calls views of a project, in whatever process."""

    async def call(
        self, resource: Resource, arguments: Mapping[str, Any], environment: str, token: str
    ) -> ViewAnswer:
        """Call the view of a resource for the holder of a token, or this process's user without one."""

    def forget(self) -> None:
        """Look at everything again."""

    def end_idle(self) -> None:
        """End what nobody needs now."""

    def close(self) -> None:
        """Close everything."""


class SharedAnswers:
    """Calls views once for all who ask for the same before anything is recorded, which `seq` tells.

    After an action everything is looked at again.
    """

    def __init__(self, calls: ViewCalls, seq: Callable[[], int]) -> None:
        self._calls, self._seq = calls, seq
        self._known: dict[_Key, tuple[int, float, asyncio.Task[ViewAnswer]]] = {}

    async def call(
        self, resource: Resource, arguments: Mapping[str, Any], environment: str, token: str
    ) -> ViewAnswer:
        """Call the view of a resource, or wait for the answer to somebody else's call."""
        if isinstance(resource, PageAction):
            try:
                return await self._calls.call(resource, arguments, environment, token)
            finally:
                self.forget()
        key = resource.name, environment, token, tuple(sorted(arguments.items()))
        seq, now = self._seq(), time.monotonic()
        known = self._known.get(key)
        if known is None or known[0] != seq or now - known[1] > _KNOWN_S:
            self._drop_old(now)
            call = self._calls.call(resource, arguments, environment, token)
            known = self._known[key] = seq, now, asyncio.ensure_future(call)
        # Whoever goes away doesn't end the call of the others.
        return await asyncio.shield(known[2])

    def _drop_old(self, now: float) -> None:
        """Drop the answers that are too old, and of the others those before the last ones."""
        room = _MOST_TEXT
        for number, (key, (_, at, answer)) in enumerate([*self._known.items()][::-1], 1):
            # What is still asked for goes on.
            if answer.done():
                failed = answer.cancelled() or answer.exception() is not None
                room -= 0 if failed else len(answer.result().body)
                if now - at > _KNOWN_S or number > _MOST or room < 0:
                    del self._known[key]

    def forget(self) -> None:
        """Look at everything again."""
        self._known.clear()

    def end_idle(self) -> None:
        """End what nobody needs now."""
        self._drop_old(time.monotonic())
        self._calls.end_idle()

    def close(self) -> None:
        """Close everything."""
        self._calls.close()
