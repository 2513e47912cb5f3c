"""Take frames that users give to models and metrics."""

from __future__ import annotations

import polars as pl

from tidemill.core.errors import UsageError
from tidemill.core.other_frames import describe_other_frame


def given_frame(value: object, taker: str) -> pl.LazyFrame:
    """Return a Polars frame as a LazyFrame; UsageError for anything else, named with what takes it."""
    if isinstance(value, pl.DataFrame | pl.LazyFrame):
        return value.lazy()
    raise UsageError(f"{taker} takes a Polars frame, not {describe_other_frame(value)}")
