"""Metrics and curves as data: what `tm.scores` computes of scored rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING

from tidemill.core.lazy_dataclass import dataclass
from tidemill.workflow.gate import Bounds, Curve, Goal, Threshold

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric of scored rows: an aggregate, with the value that is best.

    `columns` are computed first, per row over all scored rows; `expression` may read them. `threshold` is
    the one that it judges, if it was chosen on other days. `group` is the column of groups of rows that it
    is the mean over. `positive` is the label, and the class that the user named, of which the
    column `prediction` must be the probability. `is_standard` is false for an expression of a user.
    `bounds` are the least and the greatest value that it can have.
    """

    name: str
    expression: pl.Expr
    goal: Goal = Goal.LOW
    columns: Mapping[str, pl.Expr] = field(default_factory=dict)
    threshold: Threshold | None = None
    group: str = ""
    positive: tuple[str, object] | None = None
    is_standard: bool = True
    bounds: Bounds = (None, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveMetric:
    """A curve of scored rows, such as a calibration curve: computed from the rows, stored as columns."""

    name: str
    compute: Callable[[pl.DataFrame], Curve]
