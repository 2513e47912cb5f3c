from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.serving.standing_queue import LATE_S, STANDS_S, StandingQueue, Taken

ALLOWED = 10
TAKES = st.lists(
    st.tuples(st.integers(0, 5), st.floats(0, 0.05), st.integers(1, 4)), min_size=1, max_size=80
)


class Load:
    """Requests that arrive at equal distances at one worker, which takes one at a time for `each_s`."""

    def __init__(self, each_s: float, rate: float) -> None:
        self.queue: StandingQueue[float] = StandingQueue(ALLOWED)
        self.waits: list[float] = []
        self.refused: list[float] = []
        self.idle_s = self.now = 0.0
        self._each, self._rate, self._next = each_s, rate, 0.0

    def run(self, seconds: float, rate: float | None = None) -> Load:
        self._rate = self._rate if rate is None else rate
        end = self.now + seconds
        while self.now < end:
            while self._next <= self.now:
                self.queue.add(self._next, self._next)
                self._next += 1 / self._rate
            if not self.queue:
                self.idle_s += self._next - self.now
                self.now = self._next
                continue
            taken = self.queue.take(self.now, 1)
            self.refused += [self.now - arrived for arrived in taken.refused]
            self.now += self._each
            self.waits += [self.now - arrived for arrived in taken.begun]
        return self


def test_less_than_the_capacity_is_answered_in_order() -> None:
    load = Load(0.001, rate=900).run(2.0)
    assert not load.refused
    assert max(load.waits) <= 0.002


def test_an_overload_is_refused_and_the_worker_stays_busy() -> None:
    load = Load(0.001, rate=3000).run(1.0)
    assert load.queue.is_overloaded
    load.waits.clear()
    load.refused.clear()
    load.idle_s = 0
    load.run(5.0)
    # Two thirds are refused, each soon, and those that are answered waited for hardly more than a call.
    assert 0.6 < len(load.refused) / (len(load.refused) + len(load.waits)) < 0.7
    assert load.idle_s == 0
    assert max(load.refused) < 2 * load.queue.late_after
    assert sorted(load.waits)[int(0.99 * len(load.waits))] < 0.003


@given(st.integers(1, 64), st.floats(1e-5, 0.05))
@settings(max_examples=20)
def test_callers_who_wait_for_their_replies_are_not_refused(callers: int, each_s: float) -> None:
    queue: StandingQueue[int] = StandingQueue(64)
    now = 0.0
    for caller in range(callers):
        queue.add(caller, now)
    for _ in range(int(3 / each_s) if each_s > 0.01 else 300):
        begun, refused = queue.take(now, 1)
        assert not refused
        now += each_s
        queue.add(begun[0], now)


def test_the_overload_ends_when_the_queue_has_drained() -> None:
    load = Load(0.001, rate=3000).run(1.0)
    load.run(1.0, rate=500)
    assert not load.queue.is_overloaded
    load.refused.clear()
    load.run(1.0)
    assert not load.refused


def test_a_burst_is_answered_in_order() -> None:
    queue: StandingQueue[int] = StandingQueue(ALLOWED)
    for number in range(90):
        queue.add(number, 0.0)
    taken = [queue.take(number / 1000, 1) for number in range(90)]
    assert [each.begun for each in taken] == [[number] for number in range(90)]
    assert not any(each.refused for each in taken)


def test_what_waits_for_slow_requests_is_late_later() -> None:
    queue: StandingQueue[int] = StandingQueue(ALLOWED)
    assert (queue.late_after, queue.stands_after) == (LATE_S, STANDS_S)
    for number in range(100):
        queue.add(number, 0.0)
    for number in range(60):
        queue.take(number * 0.1, 2)
        if not queue:
            break
    # Each request took 50 ms.
    assert 0.4 < queue.late_after <= 0.5
    assert 2.0 < queue.stands_after <= 2.5


def test_an_empty_queue_has_nothing_to_take() -> None:
    queue: StandingQueue[int] = StandingQueue(ALLOWED)
    assert queue.take(1.0, 3) == Taken([], [])
    queue.add(1, 1.0)
    assert len(queue) == 1
    assert queue.take(1.0, 3) == Taken([1], [])


def test_the_newest_go_first_in_an_overload() -> None:
    queue: StandingQueue[int] = StandingQueue(ALLOWED)
    for number in range(1000):
        queue.add(number, 0.0)
    now = 0.0
    while not queue.is_overloaded:
        now += 0.001
        taken = queue.take(now, 1)
    assert taken.begun == [999]
    assert len(taken.refused) == len(range(1000)) - round(now / 0.001)
    for number in (1000, 1001, 1002):
        queue.add(number, now)
    assert queue.take(now, 2) == Taken([1002, 1001], [])
    assert queue.is_overloaded
    assert queue.take(now, 2) == Taken([1000], [])
    assert not queue.is_overloaded


@given(TAKES)
def test_each_request_leaves_once_and_none_is_refused_for_which_there_is_room(
    takes: list[tuple[int, float, int]],
) -> None:
    queue: StandingQueue[int] = StandingQueue(ALLOWED)
    arrived: dict[int, float] = {}
    left: list[int] = []
    for now, (count, limit) in zip(_times(takes), [(a, b) for a, _, b in takes], strict=True):
        for _ in range(count):
            arrived[len(arrived)] = now
            queue.add(len(arrived) - 1, now)
        before, was_overloaded = len(queue), queue.is_overloaded
        found = queue.take(now, limit)
        left += [*found.begun, *found.refused]
        assert len(found.begun) == min(limit, before)
        assert len(queue) == before - len(found.begun) - len(found.refused)
        assert all(now - arrived[number] > queue.late_after for number in found.refused)
        if found.refused and not was_overloaded:
            assert now - min(arrived[number] for number in left[-before:]) > STANDS_S
    while queue:
        found = queue.take(now, 5)
        left += [*found.begun, *found.refused]
    assert sorted(left) == list(arrived)


def _times(takes: list[tuple[int, float, int]]) -> Iterator[float]:
    now = 0.0
    for _, passed, _ in takes:
        now += passed
        yield now
