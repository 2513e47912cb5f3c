"""Choose the rows on which a stored model is compared with the one in memory, and compare predictions.

Golden rows are a sample of the training rows with the extremes, the nulls and all categories of each
column that the model reads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl

from tidemill.core.lazy_dataclass import dataclass
from tidemill.models.predictors import as_predictions, model_input
from tidemill.workflow.model import Artifact

# Rows that are evenly spaced over the training rows, and the most rows in all.
SPACED_ROWS = 100
MAX_ROWS = 1_000
# A prediction may differ by this share of its size, or by this much below 1.
TOLERANCE = 1e-6
# The columns beside the inputs that hold predictions of the model in memory.
ORIGINAL = "~original"

_AT = "~at"


def golden_rows(table: pl.LazyFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Choose at most 1,000 rows of a table, in its order, with the given columns."""
    numbered = table.select(columns).with_row_index(_AT)
    schema = table.select(columns).collect_schema()
    wanted = [_spaced().implode().alias("~spaced")]
    wanted += [_of_interest(name, schema[name]).implode().alias(name) for name in columns]
    found = numbered.select(wanted).collect().row(0)
    spaced, *special = (list(positions or ()) for positions in found)
    # Each column gets its share of the room that spaced rows leave.
    share = max(4, (MAX_ROWS - len(spaced)) // max(1, len(special)))
    chosen = dict.fromkeys(spaced)
    for positions in special:
        chosen |= dict.fromkeys(at for at in positions[:share] if at is not None)
    kept = pl.Series(sorted([*chosen][:MAX_ROWS]), dtype=pl.UInt32)
    return numbered.filter(pl.col(_AT).is_in(kept.implode())).drop(_AT).collect()


def _spaced() -> pl.Expr:
    every = (pl.len() // SPACED_ROWS).clip(lower_bound=1)
    return pl.col(_AT).filter(pl.col(_AT) % every == 0).head(SPACED_ROWS)


def _of_interest(name: str, dtype: pl.DataType) -> pl.Expr:
    """The positions of the least, the greatest and missing values, or of each category."""
    value, at = pl.col(name), pl.col(_AT)
    if dtype in (pl.String, pl.Categorical, pl.Enum, pl.Boolean, pl.Null) or dtype.is_nested():
        return at.filter(value.is_first_distinct()).head(MAX_ROWS)
    if dtype.is_float():
        infinite = at.filter(value.is_infinite()).head(2)
        missing = at.filter(value.is_null() | value.is_nan()).head(1)
    else:
        infinite, missing = at.head(0), at.filter(value.is_null()).head(1)
    ends = [at.filter(value == end).head(1) for end in (value.min(), value.max())]
    return pl.concat_list([part.implode() for part in (missing, *ends, infinite)]).explode()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportComparison:
    """The largest absolute difference of two models' predictions, and the first row that is out of bounds."""

    largest: float
    row: int | None


def compare_predictions(original: Any, loaded: Any) -> ExportComparison:
    """Compare the predictions of the model in memory with those of the stored one, row by row.

    Equal infinities and two NaN don't differ; one NaN is out of bounds.
    """
    one, other = _as_table(original), _as_table(loaded)
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    with np.errstate(invalid="ignore"):
        apart = np.where(same, 0.0, np.abs(one - other))
        bound = TOLERANCE * np.maximum(1.0, np.abs(one))
        within = same | (np.isfinite(apart) & (apart <= bound))
    beyond = np.flatnonzero(~within.all(axis=1))
    finite = apart[np.isfinite(apart)]
    return ExportComparison(
        largest=float(finite.max()) if finite.size else 0.0,
        row=int(beyond[0]) if len(beyond) else None,
    )


def _as_table(predictions: Any) -> Any:
    return predictions if predictions.ndim == 2 else predictions[:, np.newaxis]


def with_predictions(rows: pl.DataFrame, predictions: Any) -> pl.DataFrame:
    """Add the predictions of the model in memory to golden rows, to be stored with them."""
    columns = _as_table(predictions).T
    return rows.with_columns(
        pl.Series(f"{ORIGINAL}{at}", values) for at, values in enumerate(columns)
    )


def split_predictions(stored: pl.DataFrame) -> tuple[pl.DataFrame, Any]:
    """Split stored golden rows into the model's inputs and the predictions of the model in memory."""
    names = [name for name in stored.columns if name.startswith(ORIGINAL)]
    predictions = stored.select(names).to_numpy()
    return stored.drop(names), predictions[:, 0] if len(names) == 1 else predictions


def find_golden_fault(
    function: Callable[[Any], Any], artifact: Artifact, stored: pl.DataFrame
) -> str:
    """Predict stored golden rows with a loaded model; return how they differ from training, if they do."""
    return golden_difference(function, artifact, stored)[0]


def golden_difference(
    function: Callable[[Any], Any], artifact: Artifact, stored: pl.DataFrame
) -> tuple[str, float]:
    """As `find_golden_fault`, with the largest absolute difference of the predictions."""
    rows, original = split_predictions(stored)
    given = model_input(rows, artifact.inputs, encodings=artifact.encodings, feed=artifact.feed)
    found = as_predictions(function(given), rows.height, len(artifact.class_labels))
    compared = compare_predictions(original, found)
    if (row := compared.row) is None:
        return "", compared.largest
    fault = (
        f"it predicts {found[row]} where it predicted {original[row]} in training, "
        f"for {rows.row(row, named=True)}"
    )
    return fault, compared.largest
