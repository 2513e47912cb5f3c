"""Choose the partitions of rows for which a case names none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import (
    PARTITIONS_A_YEAR,
    Grain,
    Partitioning,
    keys_between,
    partition_key,
    partition_start,
)
from tidemill.workflow.window import Window, select_partitions

# A Monday that begins a month, so that partitions of all lengths begin there.
DEFAULT_MOMENT = datetime(2024, 1, 1)
DEFAULT_VALUE = "a"
# A case that names more partitions than these has its rows for them.
_MOST = 62
# About so many partitions of a window have generated rows.
_IN_WINDOW = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """The beginnings of the partitions by time that a case names, and its partitions by value, in order."""

    times: tuple[datetime, ...] = ()
    values: tuple[str, ...] = ()


def partition_moments(
    named: Mapping[str, Sequence[str]], cuts: Mapping[str, Partitioning]
) -> Moments:
    """The partitions that stages are known to have, as moments and values."""
    times: dict[datetime, None] = {}
    values: dict[str, None] = {}
    for stage, keys in named.items():
        grain = cuts[stage].grain
        for key in keys:
            if grain is None:
                values[key] = None
            else:
                times[partition_start(key, grain)] = None
    return Moments(times=tuple(times)[:_MOST], values=tuple(values)[:_MOST])


def default_keys(cut: Partitioning, known: Moments) -> list[str]:
    """The partitions of a table of a case, if its rows don't tell: those of its other tables."""
    if cut.grain is None:
        return [*known.values] or [DEFAULT_VALUE]
    times = known.times or (DEFAULT_MOMENT,)
    return [*dict.fromkeys(partition_key(moment, cut.grain) for moment in times)]


def spread_moments(windows: Sequence[tuple[Window, Grain]]) -> tuple[datetime, ...]:
    """Beginnings of partitions such that each window has a few; the default moment, its end, comes first."""
    found: set[datetime] = set()
    for window, grain in windows:
        keys = _year_before(grain)
        chosen = select_partitions(window, keys, grain, keys[-1])
        every = max(1, len(chosen) // _IN_WINDOW)
        found.update(partition_start(key, grain) for key in chosen[::every])
    return (DEFAULT_MOMENT, *sorted(found - {DEFAULT_MOMENT}))


def _year_before(grain: Grain) -> list[str]:
    """The partitions of a year, the last of which begins with the default moment; not so many hours."""
    if PARTITIONS_A_YEAR[grain] > PARTITIONS_A_YEAR[Grain.DAY]:
        start = DEFAULT_MOMENT.replace(year=DEFAULT_MOMENT.year - 1, month=12)
    else:
        start = DEFAULT_MOMENT.replace(year=DEFAULT_MOMENT.year - 1)
    end = DEFAULT_MOMENT.replace(microsecond=1)
    return keys_between(start, end, grain, "")
