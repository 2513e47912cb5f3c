"""Cut the power of a run at an append to its ledger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tidemill.ledger.event import Event
from tidemill.ports.runtime import Runtime


class Cut(BaseException):
    """The power is cut."""


class Failing:
    """A ledger that cuts the power at an append, before or after it is durable."""

    def __init__(self, tools: Runtime, at: int, *, after: bool) -> None:
        self._ledger = tools.ledger
        self._left = at
        self._after = after

    def append(self, events: Sequence[Event], **more: Any) -> int:
        self._left -= 1
        if self._left == 0 and not self._after:
            raise Cut
        last = self._ledger.append(events, **more)
        if self._left == 0:
            raise Cut
        return last

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)
