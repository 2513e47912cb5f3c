"""How new the data is that a version was trained on, as answers say it."""

from __future__ import annotations

from datetime import UTC, datetime

from tidemill.core.errors import UsageError
from tidemill.core.partition import time_bounds
from tidemill.workflow.model import Artifact


def data_watermark(artifact: Artifact) -> str:
    """Return the newest partition in training, or without times when the newest data was published.

    That is a time in UTC, such as 2026-01-31T12:00:00Z; "" if it wasn't recorded.
    """
    try:
        time_bounds(artifact.anchor)
    except UsageError:
        # All rows are one partition, or one for each value of a column.
        if not artifact.data_at:
            return ""
        published = datetime.fromtimestamp(artifact.data_at, UTC)
        return f"{published:%Y-%m-%dT%H:%M:%SZ}"
    return artifact.anchor
