"""Work that waits for a cheaper time, and what its waiting saved."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import WHOLE, summarize_keys

# What is left at least before a deadline, when work is interrupted.
_MARGIN_S = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeferredWork:
    """Steps of a stage that wait: since when they are due, by when they have to end, when they are to run.

    Times are Unix seconds. `price` is the mean price then, `price_at_once` that of doing the work when it
    became due; None if it isn't known. `because` says where the deadline is from. What runs `at_once` was to
    begin when this was planned. What is `late` can't be sure to end by its deadline.
    """

    stage: str
    action: str
    partitions: tuple[str, ...]
    since: float
    deadline: float
    start: float
    end: float
    because: str = ""
    price: float | None = None
    price_at_once: float | None = None
    cpu_s: float = 0.0
    at_once: bool = False
    late: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """What names the work as long as it waits."""
        return self.stage, self.action

    @property
    def name(self) -> str:
        """What waits, in words."""
        if self.partitions in (("",), (WHOLE,)):
            return f"{self.action} {self.stage}"
        return f"{self.action} {self.stage} {summarize_keys({*self.partitions})}"

    def has_to_begin(self, now: float) -> bool:
        """Whether the work would be late if it began much later than now."""
        length = self.end - self.start
        return now + length + max(length, _MARGIN_S) >= self.deadline

    @property
    def share(self) -> float | None:
        """The share of the price that waiting saves; None if a price isn't known, or at once not above 0."""
        if self.price is None or self.price_at_once is None or self.price_at_once <= 0:
            return None
        return 1 - self.price / self.price_at_once


@dataclass(frozen=True, slots=True, kw_only=True)
class OffPeakSaving:
    """What waiting saved in a run, by `stages` that had waited; those in `late` ended after their deadline.

    `share` is that of the price at once, weighted by CPU time; None if a price isn't known. The `amount` is
    in the numerator of the `unit`; None if it isn't known how much of it a CPU hour takes. The longest wait
    took `waited_s` seconds.
    """

    stages: tuple[str, ...]
    waited_s: float = 0.0
    share: float | None = None
    amount: float | None = None
    unit: str = ""
    late: tuple[str, ...] = ()


def held_partitions(works: Iterable[DeferredWork]) -> dict[str, frozenset[str]]:
    """What a plan leaves as it is while some work waits, by stage."""
    found: dict[str, frozenset[str]] = {}
    for work in works:
        found[work.stage] = found.get(work.stage, frozenset()) | {*work.partitions}
    return found


def describe_waiting(work: DeferredWork) -> str:
    """What waits until when, what that saves, and by when it has to end; times are in UTC."""
    deadline = f"{_utc(work.deadline)} ({work.because})"
    if work.late:
        return f"{work.name} can't wait: its deadline is {deadline}, and it will probably be LATE"
    if work.at_once:
        why = "no prices are known until" if work.price is None else "it doesn't get cheaper before"
        return f"{work.name} doesn't wait: {why} its deadline, {deadline}"
    return f"{work.name} waits until {_utc(work.start)}{_saves(work)}; it has to end by {deadline}"


def _saves(work: DeferredWork) -> str:
    share = work.share or 0.0
    if share > 1:
        return ", when the price is below 0"
    return f", which saves {100 * share:.0f} %" if share >= 0.005 else ""


def describe_late(work: DeferredWork, now: float) -> str:
    """That waiting work is late, or will be."""
    is_over = now > work.deadline
    word = "should have ended" if is_over else "has to end"
    how = "isn't done" if is_over else "will probably take longer"
    return f"{work.name} {word} by {_utc(work.deadline)} ({work.because}), and {how}: run it now"


def _utc(at: float) -> str:
    try:
        return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
    except (OverflowError, ValueError, OSError):
        return f"{at:g} s"
