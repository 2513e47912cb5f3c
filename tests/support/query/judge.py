"""When two columns of results hold the same data."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Literal

import polars as pl

from tests.support.query import drawn
from tidemill.analysis.query.column_digests import QueryDigests, query_digests
from tidemill.analysis.query.placeholders import placeholder_frame

MARKED = {name: placeholder_frame(name, schema) for name, schema in drawn.INPUTS.items()}


def number(stage: drawn.Drawn) -> QueryDigests:
    """The numbers of a drawn stage; what Polars warns of is the stage's own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return query_digests(stage(MARKED))


def result(
    stage: drawn.Drawn,
    tables: Mapping[str, pl.DataFrame],
    engine: Literal["in-memory", "streaming"] = "in-memory",
) -> pl.DataFrame | None:
    """What a drawn stage makes of data; None if Polars refuses to."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return stage(drawn.lazy(tables)).collect(engine=engine)
        except drawn.RAISED:
            return None


# repr() tells -0.0 from 0.0 and 1 from 1.0 and True, also inside of lists and structs; NaN is NaN.
def same(left: pl.Series, right: pl.Series, *, ordered: bool, exact: bool = True) -> bool:
    """Whether two columns hold the same values, in order if they are `ordered`, else as a bag of values.

    Ordered ones are compared to the bit if `exact`. In another order, or by another engine, sums of floats
    differ in the last digits, so those don't count then.
    """
    if left.dtype != right.dtype or len(left) != len(right):
        return False
    if ordered:
        spelled = repr if exact else _near
        return list(map(spelled, left.to_list())) == list(map(spelled, right.to_list()))
    return sorted(map(_bag, left.to_list())) == sorted(map(_bag, right.to_list()))


def _near(value: Any) -> str:
    if isinstance(value, float):
        return repr(round(float(f"{value:.10g}"), 6) + 0.0)
    if isinstance(value, list):
        return repr(list(map(_near, value)))
    if isinstance(value, dict):
        return repr([(name, _near(part)) for name, part in value.items()])
    return repr(value)


def _bag(value: Any) -> str:
    return repr(sorted(map(_near, value))) if isinstance(value, list) else _near(value)
