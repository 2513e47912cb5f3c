"""A queue that answers a burst in order, and refuses requests once they would only wait.

The rule is that of CoDel (Nichols and Jacobson, 2012, https://queue.acm.org/detail.cfm?id=2209336) for
requests (Maurer, 2015, https://queue.acm.org/detail.cfm?id=2839461): in a queue that stands, every request
waits, and the callers of the newest are the likeliest to still do so.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, NamedTuple, TypeVar

# No request is late before; `bench/queue_delay.py` compares other values.
LATE_S = 0.005
# The queue stands if the oldest request was late for so long, or for so many requests.
STANDS_S, STANDS_REQUESTS = 0.1, 50
# The weight of a measured time in the average.
_WEIGHT = 1 / 8

Item = TypeVar("Item")


class Taken(NamedTuple, Generic[Item]):
    """The requests that leave a queue: those to answer now, and those to refuse."""

    begun: list[Item]
    refused: list[Item]


class StandingQueue(Generic[Item]):
    """Requests that wait for one worker, which takes some at a time. Times are in seconds of any clock.

    A request is late once it waited for as long as `allowed` requests take, and for 5 ms: so as many callers
    who each wait for a reply before they ask again are never refused. The oldest are taken first. After the
    oldest was late at each take for a while, the queue is overloaded: then the newest are taken first, and
    the late ones among the others are refused, until a take leaves nothing behind and refuses nothing. No
    request is refused for which there is room, so the worker is as busy as it would be without refusals.
    """

    __slots__ = ("_allowed", "_each_s", "_late_since", "_taken", "_waiting", "is_overloaded")

    def __init__(self, allowed: int) -> None:
        self.is_overloaded = False
        self._allowed = allowed
        # With the times at which they arrived.
        self._waiting: deque[tuple[float, Item]] = deque()
        self._late_since: float | None = None
        # What the worker takes for a request; when it took how many, if others still waited then.
        self._each_s = 0.0
        self._taken: tuple[float, int] | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def late_after(self) -> float:
        """The seconds after which a request is late."""
        return max(LATE_S, self._allowed * self._each_s)

    @property
    def stands_after(self) -> float:
        """The seconds of late requests after which the queue is overloaded."""
        return max(STANDS_S, STANDS_REQUESTS * self._each_s)

    def add(self, item: Item, arrived: float) -> None:
        """Append a request that arrived at a time."""
        self._waiting.append((arrived, item))

    def take(self, now: float, limit: int) -> Taken[Item]:
        """Remove up to `limit` requests, 1 or more, to answer them now, and those to refuse."""
        waiting = self._waiting
        if not waiting:
            return Taken([], [])
        self._measure(now)
        self._judge(now)
        remove = waiting.pop if self.is_overloaded else waiting.popleft
        begun = [remove()[1] for _ in range(min(limit, len(waiting)))]
        refused = self._remove_late(now) if self.is_overloaded else []
        if not waiting and not refused:
            self.is_overloaded, self._late_since = False, None
        self._taken = (now, len(begun)) if waiting else None
        return Taken(begun, refused)

    def _measure(self, now: float) -> None:
        if self._taken is not None:
            since, count = self._taken
            self._each_s += _WEIGHT * ((now - since) / count - self._each_s)

    def _judge(self, now: float) -> None:
        """Note whether the oldest request is late, and since when."""
        if now - self._waiting[0][0] <= self.late_after:
            self._late_since = None
        elif self._late_since is None:
            self._late_since = now
        elif now - self._late_since >= self.stands_after:
            self.is_overloaded = True

    def _remove_late(self, now: float) -> list[Item]:
        late = []
        while self._waiting and now - self._waiting[0][0] > self.late_after:
            late.append(self._waiting.popleft()[1])
        return late
