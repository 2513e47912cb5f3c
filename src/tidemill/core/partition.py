"""Partitions: the addressable slices of a stage's output, and the unit of reuse, retry and freshness.

Keys are text that sorts by time: `2013-03-07T05`, `2013-03-07`, `2013-W10`, `2013-03`.
An unpartitioned output has the single key WHOLE. Rows without a partition value go to UNPLACED, which
no downstream stage reads. A value that spells one of these names gets another key (`value_key`).
"""

from __future__ import annotations

import re
from bisect import bisect_left
from calendar import monthrange
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.printable import printable

WHOLE = "all"
UNPLACED = "(none)"
# The key of the empty text, since some callers read "" as "no partition given".
EMPTY = "(empty)"
RESERVED = (WHOLE, UNPLACED, EMPTY)
_RESERVED_VALUE = re.compile(r"\\*(?:" + "|".join(map(re.escape, RESERVED)) + ")")


class Grain(StrEnum):
    """The length of a time partition."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


# The grains as users declare them.
GRAINS = {"1h": Grain.HOUR, "1d": Grain.DAY, "1w": Grain.WEEK, "1mo": Grain.MONTH}
_FORMATS = {
    Grain.HOUR: "%Y-%m-%dT%H",
    Grain.DAY: "%Y-%m-%d",
    Grain.WEEK: "%G-W%V",
    Grain.MONTH: "%Y-%m",
}
_EXAMPLES = {
    Grain.HOUR: "2013-03-07T05",
    Grain.DAY: "2013-03-07",
    Grain.WEEK: "2013-W10",
    Grain.MONTH: "2013-03",
}
# The partitions in a year of 365 days.
PARTITIONS_A_YEAR = {Grain.HOUR: 8_760, Grain.DAY: 365, Grain.WEEK: 52, Grain.MONTH: 12}
_LENGTHS = {
    "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1),
    Grain.HOUR: timedelta(hours=1), Grain.DAY: timedelta(days=1), Grain.WEEK: timedelta(weeks=1),
}  # fmt: skip
_TICK = timedelta(microseconds=1)
_SPAN = re.compile(r"([1-9]\d*)(h|d|w|mo)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Partitioning:
    """How an output is partitioned: by time (column and grain), by a column's value, or not at all.

    `zone` is the time zone of the column, `clock` that of the keys ("" if unknown): hours of a column with a
    zone are UTC hours.
    """

    column: str = ""
    grain: Grain | None = None
    zone: str = ""
    clock: str = ""

    @property
    def is_time(self) -> bool:
        return self.grain is not None

    @property
    def is_whole(self) -> bool:
        return not self.column

    def __str__(self) -> str:
        if self.is_whole:
            return "unpartitioned"
        return f"by {self.grain} of {self.column}" if self.grain else f"by value of {self.column}"


def parse_grain(text: str) -> Grain:
    """Parse `1h`, `1d`, `1w` or `1mo`; ValueError for anything else."""
    if text not in GRAINS:
        raise ValueError(f"partition {text!r} is not one of {', '.join(GRAINS)}")
    return GRAINS[text]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A length of time in whole units: hours, days, weeks or calendar months."""

    count: int
    unit: str

    def before(self, moment: datetime) -> datetime:
        """Subtract this span from `moment`; months are calendar months, clamped to the month's last day.

        A span that reaches beyond the calendar gives the calendar's first moment.
        """
        try:
            if self.unit == "mo":
                return add_months(moment, -self.count)
            return moment - self.count * _LENGTHS[self.unit]
        except (OverflowError, ValueError):
            return datetime.min

    def __str__(self) -> str:
        return f"{self.count}{self.unit}"


def parse_span(text: str) -> Span:
    """Parse `36h`, `60d`, `8w` or `3mo`; ValueError for anything else."""
    match = _SPAN.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a length of time such as '36h', '60d', '8w' or '3mo'")
    return Span(count=int(match[1]), unit=match[2])


def add_months(moment: datetime, months: int) -> datetime:
    """Shift `moment` by calendar months, clamped to the target month's last day."""
    index = moment.year * 12 + moment.month - 1 + months
    year, month = index // 12, index % 12 + 1
    first = moment.replace(year=year, month=month, day=1)
    return first.replace(day=min(moment.day, monthrange(year, month)[1]))


def partition_key(moment: datetime, grain: Grain) -> str:
    """The key of the partition that holds `moment`."""
    # Not every platform writes years before 1000 with four digits.
    return moment.strftime(_FORMATS[grain]).zfill(len(_EXAMPLES[grain]))


def value_key(text: str) -> str:
    r"""The key of the partition for the value `text`: the text itself, unless it spells a reserved name.

    Such a value gets a leading backslash (`\(none)`), and so does one that begins with backslashes and
    goes on like that, so that no two values share a key.
    """
    if not text:
        return EMPTY
    return f"\\{text}" if _RESERVED_VALUE.fullmatch(text) else text


# Plans ask for the same keys many times.
@lru_cache(maxsize=100_000)
def partition_start(key: str, grain: Grain) -> datetime:
    """The first moment of a partition; UsageError if `key` isn't a key of this grain."""
    try:
        start = datetime.fromisoformat(f"{key}-01" if grain is Grain.MONTH else key)
    except ValueError:
        start = None
    # `fromisoformat` accepts more than one spelling; only the canonical one is a key.
    if start is None or partition_key(start, grain) != key:
        raise UsageError(
            f"{key!r} is not a {grain} partition; write it as {_EXAMPLES[grain]}"
        ) from None
    return start


def partition_end(key: str, grain: Grain) -> datetime:
    """The first moment after a partition; the end of the calendar for the last partition (9999-12-31)."""
    start = partition_start(key, grain)
    try:
        return add_months(start, 1) if grain is Grain.MONTH else start + _LENGTHS[grain]
    except (OverflowError, ValueError):
        return datetime.max


@lru_cache(maxsize=100_000)
def partition_instants(key: str, grain: Grain, clock: str) -> tuple[datetime, datetime]:
    """The first moment of a partition and the first after it, in UTC without a zone.

    `clock` is the time zone of the key; without one (or beyond the calendar of UTC) the key's own times.
    """
    start, end = partition_start(key, grain), partition_end(key, grain)
    if not clock:
        return start, end
    zone = _zone(clock)
    try:
        return _instant(start, zone), _instant(end, zone, last=True)
    except OverflowError:
        return start, end


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise UsageError(
            f"this machine doesn't know the time zone {name!r}; install its time zone data, "
            "or the package tzdata"
        ) from error


def _instant(wall: datetime, zone: ZoneInfo, *, last: bool = False) -> datetime:
    """The first instant at which a clock shows `wall` or more.

    With `last` it is the one from which on the clock never shows less, where it was put back over `wall`.
    """
    first, again = (
        wall.replace(tzinfo=zone, fold=fold).astimezone(UTC).replace(tzinfo=None) for fold in (0, 1)
    )
    if again < first:
        # The clock skipped `wall`: find when.
        seconds = range(int((first - again).total_seconds()) + 1)
        skipped = bisect_left(
            seconds, wall, key=lambda count: _shown(again + timedelta(seconds=count), zone)
        )
        return again + timedelta(seconds=skipped)
    return again if last and again > first and _shown(again - _TICK, zone) < wall else first


def _shown(instant: datetime, zone: ZoneInfo) -> datetime:
    return instant.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None)


def keys_between(start: datetime, end: datetime, grain: Grain, clock: str) -> list[str]:
    """The partitions of a grain that overlap a span of time, in order.

    Both moments are those of `partition_instants`.
    """
    first, last = _wall(start, clock), _wall(end - _TICK, clock)
    key = partition_key(min(first, last), grain)
    # A clock that is put back can show times of the partition before or after in between.
    found = [_neighbour(key, grain, -1), key]
    while found[-1] and partition_start(found[-1], grain) <= max(first, last):
        found.append(_neighbour(found[-1], grain, 1))
    return [key for key in found if key and _overlaps(key, grain, clock, start, end)]


def _overlaps(key: str, grain: Grain, clock: str, start: datetime, end: datetime) -> bool:
    begins, ends = partition_instants(key, grain, clock)
    # A clock can skip a whole partition.
    return begins < ends and begins < end and start < ends


def _neighbour(key: str, grain: Grain, step: int) -> str:
    """The key of the next partition (1) or the one before (-1); empty at the end of the calendar."""
    try:
        if step < 0:
            return partition_key(partition_start(key, grain) - _TICK, grain)
        end = partition_end(key, grain)
        return partition_key(end, grain) if end != datetime.max else ""
    except OverflowError:
        return ""


def _wall(instant: datetime, clock: str) -> datetime:
    """What a clock shows at an instant of UTC."""
    try:
        return _shown(instant, _zone(clock)) if clock else instant
    except OverflowError:
        return instant


def time_bounds(text: str) -> tuple[datetime, datetime]:
    """Parse an hour, day, week or month: its first moment, and the first moment after it."""
    for grain in Grain:
        try:
            return partition_start(text, grain), partition_end(text, grain)
        except UsageError:
            continue
    raise UsageError(f"{text!r} is not a time; write it as {', '.join(_EXAMPLES.values())}")


def is_valid_key(key: str, partitioning: Partitioning) -> bool:
    """Whether `key` can be a partition of this partitioning; a key of an earlier partitioning can't."""
    if partitioning.is_whole:
        return key == WHOLE
    if partitioning.grain is None or key == UNPLACED:
        return True
    try:
        partition_start(key, partitioning.grain)
    except UsageError:
        return False
    return True


def readable_keys(keys: Iterable[str]) -> list[str]:
    """The keys that downstream stages may read, sorted."""
    return sorted(key for key in keys if key != UNPLACED)


def summarize_keys(keys: Iterable[str]) -> str:
    """Summarize partition keys, to be printed: `2013-01-01`, or `2013-01-01 .. 2013-12-31 (365)`."""
    ordered = sorted(keys)
    if len(ordered) <= 1:
        return "".join(map(shown_key, ordered))
    return f"{shown_key(ordered[0])} .. {shown_key(ordered[-1])} ({len(ordered)})"


def shown_key(key: str) -> str:
    """A partition key in one line, in quotes if it begins or ends with a blank."""
    text = printable(key)
    return f"'{text}'" if key != key.strip() else text


def place_name(stage: str, partition: str = "") -> str:
    """Name a partition of a stage, to be printed; an unpartitioned output by its stage alone."""
    return stage if partition in ("", WHOLE) else f"{stage} {shown_key(partition)}"
