"""Profile what a model predicted in its evaluation, so that later predictions can be compared with it."""

from __future__ import annotations

import polars as pl

from tidemill.contracts.profiles.partition_profile import profile_frame
from tidemill.models.predictors import PREDICTION
from tidemill.workflow.gate import PredictionProfile


def prediction_profile(scored: pl.DataFrame) -> PredictionProfile | None:
    """Profile the column `prediction` of scored rows; None without one, or if its type has no shares."""
    if PREDICTION not in scored.columns:
        return None
    found = profile_frame(scored.select(PREDICTION)).columns[0]
    if found.histogram is None and found.categories is None:
        return None
    return PredictionProfile(
        rows=found.present_count,
        mean=found.mean,
        histogram=found.histogram,
        categories=None if found.histogram is not None else found.categories,
    )
