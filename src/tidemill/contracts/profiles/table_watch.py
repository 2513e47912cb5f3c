"""Derive from a drift alarm's declaration what is watched, and the reference of each partition."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from tidemill.contracts.drift_columns import watched_columns
from tidemill.contracts.profiles.column_evidence import kind_of
from tidemill.contracts.profiles.drift_history import Watch
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.table_rules import DriftAlarmRule
from tidemill.core.partition import PARTITIONS_A_YEAR, Grain, Span, parse_span, partition_start

_LENGTHS = {
    Grain.HOUR: timedelta(hours=1),
    Grain.DAY: timedelta(days=1),
    Grain.WEEK: timedelta(weeks=1),
    Grain.MONTH: timedelta(days=30),
}
# A reference of daily partitions covers a week, so that weekdays don't look like drift.
_LEAST = 7
_LEAST_PART = 4
_MOMENT = datetime(2000, 1, 1)


def table_watch(spec: ContractSpec, rule: DriftAlarmRule) -> Watch:
    """Return what a rule watches.

    A reference needs a quarter of the partitions of a whole one: at least 7, or all if it has fewer.
    """
    grain, whole = spec.partitioning.grain, rule.reference
    if isinstance(whole, str):
        length = _LENGTHS[grain or Grain.DAY]
        whole = max(1, (_MOMENT - parse_span(whole).before(_MOMENT)) // length)
    columns = watched_columns(spec, rule)
    return Watch(
        columns={name: kind_of(spec.column(name).dtype.name) for name in columns},
        needed=min(whole, max(_LEAST, whole // _LEAST_PART)),
        tolerance=rule.tolerance,
        # A year has at most one false alarm; partitions by value count like days.
        run_length=PARTITIONS_A_YEAR[grain or Grain.DAY],
    )


def reference_starts(keys: Sequence[str], reference: str | int, grain: Grain | None) -> list[int]:
    """Return for each of the sorted partitions the position of the first one in its reference.

    Partitions that are missing make a reference in time shorter.
    """
    if isinstance(reference, int) or grain is None:
        return [max(0, at - int(reference)) for at in range(len(keys))]
    return _starts_in_time(keys, parse_span(reference), grain)


def _starts_in_time(keys: Sequence[str], span: Span, grain: Grain) -> list[int]:
    starts = [partition_start(key, grain) for key in keys]
    found, first = list[int](), 0
    for start in starts:
        earliest = span.before(start)
        while starts[first] < earliest:
            first += 1
        found.append(first)
    return found
