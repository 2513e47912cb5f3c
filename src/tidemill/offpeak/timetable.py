"""When jobs that can wait run: least slack first, each in the cheapest feasible time before its deadline.

A job never waits for a time whose price isn't known, nor for one that isn't cheaper than to begin at once,
and it begins at its latest start whatever that costs. Times are Unix seconds.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from itertools import pairwise
from math import floor

from tidemill.core.lazy_dataclass import dataclass
from tidemill.offpeak.price_curve import PriceCurve

# Jobs begin at multiples of a quarter of an hour.
SLOT_S = 900.0
# Differences below this share of a price are rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingJob:
    """Work of `seconds`, on a share `cpus` of the capacity, that has to end by its `deadline`.

    It may take longer by the `reserve`, in which the job doesn't plan to run. It begins at `release` at the
    earliest, and `after` other jobs, by id, have ended. The work of a `divisible` job may be interrupted at
    no cost.
    """

    id: str
    seconds: float
    deadline: float
    reserve: float = 0.0
    release: float = float("-inf")
    cpus: float = 1.0
    after: tuple[str, ...] = ()
    divisible: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTime:
    """When a job runs: in `spans` from a start to an end each, the first of which begins first.

    `price` is the mean price then, `price_now` that of doing the job at once; None if it isn't known. A
    `late` job can't end by its deadline; a `forced` one begins at the latest start whatever it costs. A job
    `lacks_prices` if nothing could be compared.
    """

    job: WaitingJob
    spans: tuple[tuple[float, float], ...]
    price: float | None = None
    price_now: float | None = None
    late: bool = False
    forced: bool = False
    lacks_prices: bool = False

    @property
    def start(self) -> float:
        return self.spans[0][0]

    @property
    def end(self) -> float:
        return self.spans[-1][1]


class _Usage:
    """How much of the capacity is used over time."""

    def __init__(self, capacity: float) -> None:
        self._capacity = capacity
        self._times: list[float] = [float("-inf")]
        self._used: list[float] = [0.0]

    def take(self, start: float, end: float, cpus: float) -> None:
        first, last = self._cut(start), self._cut(end)
        for place in range(first, last):
            self._used[place] += cpus

    def busy_until(self, start: float, end: float, cpus: float) -> float | None:
        """When the last time within `start` and `end` ends that has no room; None if all of it has."""
        free = self._capacity - cpus * (1 - _ROUNDING)
        found = None
        for place in range(bisect_right(self._times, start) - 1, len(self._times)):
            if self._times[place] >= end:
                break
            if self._used[place] > free:
                found = self._times[place + 1]
        return found

    def edges(self, start: float, end: float) -> Iterator[float]:
        """The times between `start` and `end` at which usage changes."""
        for place in range(bisect_right(self._times, start), len(self._times)):
            if self._times[place] >= end:
                return
            yield self._times[place]

    def _cut(self, at: float) -> int:
        """The place of the time `at`, which begins a stretch of usage from now on."""
        place = bisect_right(self._times, at) - 1
        if self._times[place] == at:
            return place
        self._times.insert(place + 1, at)
        self._used.insert(place + 1, self._used[place])
        return place + 1


def make_timetable(
    jobs: Iterable[WaitingJob], curve: PriceCurve, *, now: float, capacity: float = 1.0
) -> Mapping[str, PlannedTime]:
    """When each job runs, by id; jobs that need more than the `capacity` use all of it.

    ValueError if jobs wait for each other, or for one that isn't given.
    """
    given = {job.id: job for job in jobs}
    deadlines = _effective_deadlines(given, now)
    usage, found = _Usage(capacity), dict[str, PlannedTime]()
    for job in _by_slack(given, deadlines, now):
        ended = [found[other].end for other in job.after]
        opens = max(now, job.release, *ended) if ended else max(now, job.release)
        need = min(job.cpus, capacity)
        found[job.id] = planned = _Search(job, curve, usage, opens, deadlines[job.id], need).place()
        for start, end in planned.spans:
            usage.take(start, end, need)
    return found


def _effective_deadlines(jobs: Mapping[str, WaitingJob], now: float) -> dict[str, float]:
    """When each job must have ended, so that those which wait for it can end in time, too."""
    found = {job.id: job.deadline for job in jobs.values()}
    for job in reversed(_upstream_first(jobs)):
        for other in job.after:
            found[other] = min(found[other], found[job.id] - job.seconds - job.reserve)
    return found


def _upstream_first(jobs: Mapping[str, WaitingJob]) -> Sequence[WaitingJob]:
    ordered: list[WaitingJob] = []
    entered: dict[str, bool] = {}

    def visit(name: str) -> None:
        if name not in jobs:
            raise ValueError(f"there is no job {name!r} to wait for")
        if (done := entered.get(name)) is not None:
            if not done:
                raise ValueError(f"jobs wait for each other: {name}")
            return
        entered[name] = False
        for other in jobs[name].after:
            visit(other)
        entered[name] = True
        ordered.append(jobs[name])

    for name in jobs:
        visit(name)
    return ordered


def _by_slack(
    jobs: Mapping[str, WaitingJob], deadlines: Mapping[str, float], now: float
) -> Iterator[WaitingJob]:
    """The jobs in the order in which they choose their times: least slack first, upstream ones before all."""
    waits = {job.id: len(set(job.after)) for job in jobs.values()}
    readers: dict[str, list[str]] = {}
    for job in jobs.values():
        for other in set(job.after):
            readers.setdefault(other, []).append(job.id)
    heap: list[tuple[float, str]] = []

    def push(name: str) -> None:
        job = jobs[name]
        slack = deadlines[name] - job.reserve - job.seconds - max(now, job.release)
        heappush(heap, (slack, name))

    for name, count in waits.items():
        if not count:
            push(name)
    while heap:
        name = heappop(heap)[1]
        yield jobs[name]
        for other in readers.get(name, ()):
            waits[other] -= 1
            if not waits[other]:
                push(other)


class _Search:
    """The search for the time of one job, given what is taken already."""

    def __init__(
        self,
        job: WaitingJob,
        curve: PriceCurve,
        usage: _Usage,
        opens: float,
        deadline: float,
        need: float,
    ) -> None:
        self._job, self._curve, self._usage, self._need = job, curve, usage, need
        self._opens, self._deadline = opens, deadline - job.reserve
        self._latest = self._deadline - job.seconds

    def place(self) -> PlannedTime:
        """The time of the job."""
        at_once = self._first_free(self._opens)
        price_now = self._mean(at_once)
        if at_once >= self._latest:
            return self._whole(at_once, price_now, forced=True)
        if not self._curve.knows_any(self._opens, self._deadline):
            return self._whole(at_once, price_now, lacks_prices=True)
        if self._job.divisible and (spans := self._cheapest_slots()):
            return self._better(spans, at_once, price_now)
        best = self._cheapest_start(at_once, price_now)
        return self._whole(best, price_now, lacks_prices=self._mean(best) is None)

    def _whole(
        self,
        start: float,
        price_now: float | None,
        *,
        forced: bool = False,
        lacks_prices: bool = False,
    ) -> PlannedTime:
        end = start + self._job.seconds
        return PlannedTime(
            job=self._job,
            spans=((start, end),),
            price=self._mean(start),
            price_now=price_now,
            late=end > self._job.deadline + _ROUNDING * abs(self._job.deadline),
            forced=forced,
            lacks_prices=lacks_prices,
        )

    def _mean(self, start: float) -> float | None:
        return self._curve.mean(start, start + self._job.seconds)

    def _first_free(self, start: float) -> float:
        """The first time from `start` on at which the job has room as a whole."""
        while (
            until := self._usage.busy_until(start, start + self._job.seconds, self._need)
        ) is not None:
            start = until
        return start

    def _cheapest_start(self, at_once: float, price_now: float | None) -> float:
        """The cheapest start up to the latest; the earliest of equals. That at once if no price is known."""
        best, least = at_once, price_now
        for start in self._starts(at_once):
            price = self._mean(start)
            if price is None or (least is not None and not _is_below(price, least)):
                continue
            if self._usage.busy_until(start, start + self._job.seconds, self._need) is None:
                best, least = start, price
        return best

    def _starts(self, first: float) -> Sequence[float]:
        """When the job might begin, in order: slots, what follows other jobs, and the latest start."""
        found = {*_slots(first, self._latest), *self._usage.edges(first, self._latest)}
        for edge in self._curve.starts_in(first, self._deadline):
            found.update(at for at in (edge, edge - self._job.seconds) if first < at < self._latest)
        found.add(self._latest)
        return sorted(found)

    def _cheapest_slots(self) -> tuple[tuple[float, float], ...]:
        """The cheapest slots that have room for the work; none if there aren't enough with a known price."""
        edges = sorted(
            {
                self._opens,
                self._deadline,
                *_slots(self._opens, self._deadline),
                *self._usage.edges(self._opens, self._deadline),
                *self._curve.starts_in(self._opens, self._deadline),
            }
        )
        offered = [
            (price, start, end)
            for start, end in pairwise(edges)
            if (price := self._curve.mean(start, end)) is not None
            and self._usage.busy_until(start, end, self._need) is None
        ]
        left, chosen = self._job.seconds, list[tuple[float, float]]()
        for _, start, end in sorted(offered):
            length = min(left, end - start)
            chosen.append((start, start + length))
            left -= length
            if left <= _ROUNDING * self._job.seconds:
                return _joined(sorted(chosen))
        return ()

    def _better(
        self, spans: tuple[tuple[float, float], ...], at_once: float, price_now: float | None
    ) -> PlannedTime:
        """The divided job, unless it is no cheaper than to do it at once."""
        cost = sum((self._curve.mean(start, end) or 0.0) * (end - start) for start, end in spans)
        price = cost / self._job.seconds
        if price_now is not None and not _is_below(price, price_now):
            return self._whole(at_once, price_now)
        return PlannedTime(job=self._job, spans=spans, price=price, price_now=price_now)


def _is_below(price: float, other: float) -> bool:
    return price < other - _ROUNDING * max(abs(price), abs(other))


def _slots(first: float, last: float) -> Iterator[float]:
    """The multiples of a slot between two times."""
    number = floor(first / SLOT_S) + 1
    while number * SLOT_S < last:
        yield number * SLOT_S
        number += 1


def _joined(spans: Iterable[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Spans in order, of which those that touch are one."""
    found: list[tuple[float, float]] = []
    for start, end in spans:
        if found and found[-1][1] == start:
            found[-1] = found[-1][0], end
        else:
            found.append((start, end))
    return tuple(found)
