"""Render which partitions are kept although their source lost rows."""

from __future__ import annotations

from tidemill.cli.render.figures import local_time
from tidemill.core.partition import WHOLE, summarize_keys
from tidemill.core.printable import printable
from tidemill.project.lineage import Frozen

_NAMED = 3


def frozen_line(item: Frozen) -> str:
    """`sales 2026-01-01 is kept as it is: data/1.csv is missing in its source since ...`."""
    keys = summarize_keys({*item.partitions} - {WHOLE})
    are = "are" if len(item.partitions) > 1 else "is"
    more = len(item.paths) - _NAMED
    named = ", ".join(item.paths[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")
    lost = "are missing or lost rows" if len(item.paths) > 1 else "is missing or lost rows"
    place = f"{item.stage} {keys}".strip()
    return (
        f"{place} {are} kept as published: {printable(named)} {lost} since {local_time(item.since)}"
    )
