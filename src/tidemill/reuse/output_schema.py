"""The output columns of a transform that has published nothing yet."""

from __future__ import annotations

import polars as pl

from tidemill.contracts.checks.schema import schema_of
from tidemill.core.errors import UsageError
from tidemill.workflow.stage import Kind, Stage


def empty_output(stage: Stage) -> pl.DataFrame:
    """A frame without rows that has the columns of a transform's query, which its contract may not match.

    Raises UsageError for a stage of another kind, and for a query that fails on frames without rows.
    """
    if stage.kind is not Kind.TRANSFORM or stage.function is None:
        raise UsageError(
            f"{stage.name} has nothing published yet; run `tidemill run {stage.name}`, or name its files"
        )
    frames = {
        item.name: pl.LazyFrame(schema=schema_of(item.contract))
        for item in stage.frames
        if item.contract is not None
    }
    try:
        return pl.DataFrame(schema=stage.function(**frames).lazy().collect_schema())
    except Exception as error:
        raise UsageError(
            f"{stage.name} ({stage.place}) has nothing published yet, and without rows it raises "
            f"{type(error).__name__}: {error}; run `tidemill run {stage.name}`"
        ) from error
