"""Charts of one model, or of several with their names and colours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias, TypeVar

import polars as pl

from tidemill.core.errors import UsageError
from tidemill.workflow.score_charts import HUES

OneFrame: TypeAlias = pl.DataFrame | pl.LazyFrame
Frames: TypeAlias = OneFrame | Mapping[str, OneFrame]
_Each = TypeVar("_Each")


def named_frames(given: Frames, taker: str) -> Mapping[str, OneFrame]:
    """The frames by name; one frame alone has an empty name. UsageError for none, and for too many."""
    if not isinstance(given, Mapping):
        return {"": given}
    return limited(given, taker)


def limited(given: Mapping[str, _Each], taker: str) -> Mapping[str, _Each]:
    """The models by name; UsageError for none, and for more than there are colours."""
    if not 1 <= len(given) <= len(HUES):
        raise UsageError(f"{taker}() draws 1 to {len(HUES)} models, not {len(given)}")
    return {str(name): each for name, each in given.items()}
