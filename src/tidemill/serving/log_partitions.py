"""Decide which hours and days of a prediction log are over its retention."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from tidemill.core.errors import UsageError
from tidemill.core.partition import Grain, partition_instants
from tidemill.workflow.prediction_log import RequestLog


def expired_partitions(names: Iterable[str], setting: RequestLog, now: datetime) -> Iterator[str]:
    """Yield those of a log's folders, oldest first, that ended longer ago than its `keep`.

    Folders with other names aren't partitions. `now` has a time zone.
    """
    if setting.keep is None:
        return
    limit = setting.keep.before(now.astimezone(UTC).replace(tzinfo=None))
    for name in sorted(names):
        end = _end(name, setting)
        if end is not None and end <= limit:
            yield name


def _end(name: str, setting: RequestLog) -> datetime | None:
    """When a partition ended, in UTC; a log may have hours and days, if its setting was changed."""
    for grain, zone in ((Grain.DAY, setting.zone), (Grain.HOUR, "UTC")):
        try:
            return partition_instants(name, grain, zone)[1]
        except UsageError:
            continue
    return None
