"""Take scored rows for a plot: labels and predictions as numbers, without rows that miss one of them."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.models.given_frames import given_frame
from tidemill.models.predictors import PREDICTION, PROBABILITY
from tidemill.models.scored_columns import require_greatest_class

LABEL, PREDICTED, DAY, SLICE = "_label", "_predicted", "_day", "_slice"
_TEXT = (pl.String, pl.Categorical, pl.Enum)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredRows:
    """Rows with a label and a prediction as Float64; `left_out` counts those that miss one.

    `frame` has the columns `_label`, `_predicted`, and `_day` and `_slice` as text if they are asked for.
    `positive` names the class whose probability is predicted; empty if the label is a number.
    """

    frame: pl.DataFrame
    positive: str
    left_out: int

    @property
    def is_binary(self) -> bool:
        """Whether labels are 0 and 1."""
        return bool(self.positive)


def scored_rows(
    scored: pl.DataFrame | pl.LazyFrame,
    label: str,
    taker: str,
    *,
    positive: object = None,
    day: str | None = None,
    by: str | None = None,
) -> ScoredRows:
    """Read the label, the prediction, the day and the slice of each row.

    The positive class is `positive`, or the greater of two labels. Its probability is the column
    `probability_CLASS` if there is one, else `prediction`. UsageError for a missing column, for more classes
    without `positive`, and for predictions that aren't numbers.
    """
    lazy = given_frame(scored, taker)
    known = lazy.collect_schema().names()
    own = f"{PROBABILITY}{positive}"
    predicted = own if positive is not None and own in known else PREDICTION
    for name in (label, predicted, *(each for each in (day, by) if each is not None)):
        if name not in known:
            advice = did_you_mean(name, known)
            raise UsageError(f"{taker}() needs the column {name!r} ({advice})")
    columns = {LABEL: pl.col(label), PREDICTED: pl.col(predicted)}
    if day is not None:
        columns[DAY] = _as_day(lazy.collect_schema()[day], day)
    if by is not None:
        _require_slices(lazy.collect_schema()[by], by, taker)
        columns[SLICE] = pl.col(by)
    frame = lazy.select(**columns).collect()
    if not (frame.schema[PREDICTED].is_numeric() or frame.schema[PREDICTED] == pl.Boolean):
        raise UsageError(
            f"{taker}() needs numbers in {predicted!r}, which is {frame.schema[PREDICTED]}; of more than two "
            f"classes, name one: positive=..."
        )
    if positive is not None and predicted == PREDICTION:
        require_greatest_class(frame.rename({LABEL: label}), (label, positive), f"{taker}()")
    numbers, name = _as_numbers(frame, label, taker, positive)
    numbers = numbers.with_columns(pl.col(PREDICTED).cast(pl.Float64))
    kept = numbers.filter(
        pl.col(LABEL).is_finite() & pl.col(PREDICTED).is_finite(),
        *([pl.col(DAY).is_not_null()] if day is not None else []),
    )
    return ScoredRows(frame=kept, positive=name, left_out=frame.height - kept.height)


def _require_slices(dtype: pl.DataType, by: str, taker: str) -> None:
    """Raise UsageError for a column whose values have no text."""
    if dtype.is_nested() or dtype in (pl.Binary, pl.Object):
        raise UsageError(
            f"{taker}(by={by!r}): the column is {dtype}; take one of text, numbers, days or Booleans"
        )


def binary_rows(
    scored: pl.DataFrame | pl.LazyFrame, label: str, taker: str, *, positive: object = None
) -> ScoredRows:
    """The same for a label of two classes; UsageError for another label, and for rows of one class only."""
    rows = scored_rows(scored, label, taker, positive=positive)
    if not rows.is_binary:
        raise UsageError(
            f"{taker}() needs a label of two classes, but {label!r} has other numbers than 0 and 1; "
            "name the positive class: positive=..."
        )
    found = rows.frame[LABEL].unique()
    if found.len() == 1:
        share = "no row is" if found[0] == 0 else "all rows are"
        raise UsageError(
            f"{taker}() needs rows of both classes, but {share} {rows.positive!r} in {label!r}"
        )
    return rows


def _as_day(dtype: pl.DataType, day: str) -> pl.Expr:
    column = pl.col(day)
    return (column.dt.date() if isinstance(dtype, pl.Datetime) else column).cast(pl.String)


def _as_numbers(
    frame: pl.DataFrame, label: str, taker: str, positive: object
) -> tuple[pl.DataFrame, str]:
    """The frame with the label as a number, and the name of the class that is 1."""
    dtype, column = frame.schema[LABEL], frame[LABEL]
    if positive is None and dtype == pl.Boolean:
        return frame.with_columns(pl.col(LABEL).cast(pl.Float64)), "True"
    is_text = isinstance(dtype, _TEXT)
    if not is_text and dtype != pl.Boolean and not dtype.is_numeric():
        raise UsageError(f"{taker}() needs a label of numbers or classes; {label!r} is {dtype}")
    if is_text:
        column = column.cast(pl.String)
        frame = frame.with_columns(column)
    if positive is None:
        classes = column.drop_nulls().unique().sort().head(3).to_list()
        if not is_text and not set(classes) <= {0, 1}:
            return frame.with_columns(pl.col(LABEL).cast(pl.Float64)), ""
        positive = _greater(classes, label, taker) if is_text else 1
    wanted = _of_type(positive, frame.schema[LABEL], label, taker)
    return frame.with_columns((pl.col(LABEL) == wanted).cast(pl.Float64)), str(positive)


def _greater(classes: Sequence[str], label: str, taker: str) -> str:
    if len(classes) == 2:
        return classes[1]
    if not classes:
        return ""
    shown = ", ".join(map(repr, classes)) + (", ..." if len(classes) > 2 else "")
    raise UsageError(
        f"{taker}() needs to know the positive class of {label!r}, which has {shown}: positive=..."
    )


def _of_type(positive: object, dtype: pl.DataType, label: str, taker: str) -> pl.Expr:
    fits = (
        isinstance(positive, str)
        if dtype == pl.String
        else isinstance(positive, bool)
        if dtype == pl.Boolean
        else isinstance(positive, int | float)
    )
    if not fits:
        raise UsageError(f"{taker}(positive={positive!r}): {label!r} is {dtype}")
    return pl.lit(positive)
