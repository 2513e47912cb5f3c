"""Take frames that users give to models and metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from tidemill.core.errors import UsageError
from tidemill.core.other_frames import describe_other_frame

_NOT_NUMBERS = (pl.String, pl.Categorical, pl.Enum, pl.Binary, pl.Object)


def given_frame(value: object, taker: str) -> pl.LazyFrame:
    """Return a Polars frame as a LazyFrame; UsageError for anything else, named with what takes it."""
    if isinstance(value, pl.DataFrame | pl.LazyFrame):
        return value.lazy()
    raise UsageError(f"{taker} takes a Polars frame, not {describe_other_frame(value)}")


def require_numbers(schema: Mapping[str, pl.DataType], inputs: Sequence[str]) -> None:
    """Raise UsageError for inputs of a model whose values can't be numbers, with their types."""
    refused = {
        name: dtype
        for name in inputs
        if (dtype := schema.get(name)) is not None
        and (dtype.is_nested() or isinstance(dtype, _NOT_NUMBERS))
    }
    if refused:
        shown = ", ".join(f"{name} is {dtype}" for name, dtype in refused.items())
        raise UsageError(
            f"a model predicts from numbers, but {shown}: cast it, or encode it as numbers"
        )
