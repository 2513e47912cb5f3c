"""How much a model relies on each of its columns: permutation importance, and what its library says."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import polars as pl

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.models.given_frames import given_frame
from tidemill.models.metric import Metric
from tidemill.models.predictors import PREDICTION, PROBABILITY
from tidemill.models.scored_columns import require_greatest_class
from tidemill.workflow.gate import Goal

Predict: TypeAlias = Callable[[pl.LazyFrame], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnImportance:
    """How much worse a metric is when one column is shuffled, in each repetition."""

    column: str
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean over the repetitions."""
        return float(np.mean(self.values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """The permutation importance of columns, most important first; `value` is the metric as it is."""

    metric: str
    value: float
    rows: int
    seed: int
    columns: tuple[ColumnImportance, ...]

    def frame(self) -> pl.DataFrame:
        """A row per column: `column`, and the `mean`, `low` and `high` over the repetitions."""
        return pl.DataFrame(
            {
                "column": [each.column for each in self.columns],
                "mean": [each.mean for each in self.columns],
                "low": [min(each.values) for each in self.columns],
                "high": [max(each.values) for each in self.columns],
            },
            schema={"column": pl.String, "mean": pl.Float64, "low": pl.Float64, "high": pl.Float64},
        )


def permutation_importance(
    model: Any,
    frame: pl.DataFrame | pl.LazyFrame,
    metric: pl.Expr | Metric,
    *,
    columns: Sequence[str] = (),
    repeats: int = 10,
    rows: int | None = 20_000,
    seed: int = 0,
) -> Importance:
    """Measure how much worse a metric becomes when the values of one column are shuffled.

    `model` is anything with `predict` (a `tm.Predictor`, a loaded model), or a function from a frame to a
    frame with `prediction` or to predictions. `frame` also has the label, which `metric` reads:
    `tm.metrics.mae("delay")`, or an expression of which less is better. Columns of any type are shuffled,
    by default those that the model reads. At most `rows` rows are used, a sample by `seed` if there are
    more. Columns that say the same replace each other: shuffling one of them alone shows too little.

    Raises UsageError for an empty frame, unknown columns, and a metric that isn't one finite number.
    """
    table = _sampled(given_frame(frame, "permutation_importance").collect(), rows, seed)
    if table.is_empty():
        raise UsageError("permutation_importance() needs rows, but the frame is empty")
    if repeats < 1:
        raise UsageError(f"permutation_importance(repeats={repeats}) must be at least 1")
    known = metric if isinstance(metric, Metric) else Metric(name="metric", expression=metric)
    require_greatest_class(table, known.positive, known.name)
    names = _columns(model, table, columns)
    value = _measure(model, table, known)
    found = [
        ColumnImportance(
            column=name,
            values=tuple(
                _worse(_measure(model, _shuffled(table, name, seed, turn), known), value, known)
                for turn in range(repeats)
            ),
        )
        for name in names
    ]
    ranked = sorted(found, key=lambda each: (-each.mean, each.column))
    return Importance(
        metric=known.name, value=value, rows=table.height, seed=seed, columns=tuple(ranked)
    )


def library_importance(model: Any, names: Sequence[str] = ()) -> dict[str, float]:
    """Return the importance of columns by a LightGBM, XGBoost or scikit-learn model itself.

    UsageError for another model.

    The gain of splits of boosters, `feature_importances_` of other trees, and the size of coefficients of
    linear models, which depends on the units of the columns.
    """
    if callable(getattr(model, "feature_importance", None)):
        return _sizes_by_name(
            model.feature_importance(importance_type="gain"), names, model.feature_name()
        )
    if callable(getattr(model, "get_score", None)):
        gains = model.get_score(importance_type="total_gain")
        own = model.feature_names or [f"f{n}" for n in range(model.num_features())]
        return _sizes_by_name([gains.get(name, 0.0) for name in own], names, own)
    own = getattr(model, "feature_names_in_", None)
    if getattr(model, "feature_importances_", None) is not None:
        return _sizes_by_name(model.feature_importances_, names, own)
    if getattr(model, "coef_", None) is not None:
        sizes = np.abs(np.atleast_2d(np.asarray(model.coef_, dtype=float))).max(axis=0)
        return _sizes_by_name(sizes, names, own)
    raise UsageError(
        f"{type(model).__name__} doesn't say which columns it relies on; "
        "tm.permutation_importance(model, frame, metric) measures it"
    )


def _sizes_by_name(values: Any, names: Sequence[str], own: Any) -> dict[str, float]:
    sizes = [float(value) for value in values]
    known = list(names) or (list(map(str, own)) if own is not None else [])
    if known and len(known) != len(sizes):
        raise UsageError(f"the model has {len(sizes)} columns, but {len(known)} names were given")
    return dict(zip(known or [f"column {n}" for n in range(1, len(sizes) + 1)], sizes, strict=True))


def _columns(model: Any, table: pl.DataFrame, columns: Sequence[str]) -> Sequence[str]:
    artifact = getattr(model, "artifact", None)
    names = tuple(columns) or tuple(getattr(artifact, "inputs", ()))
    if not names:
        raise UsageError(
            "permutation_importance() needs columns=[...] for a model that doesn't say what it reads"
        )
    for name in names:
        if name not in table.columns:
            advice = did_you_mean(name, table.columns)
            raise UsageError(f"permutation_importance(): there is no column {name!r} ({advice})")
    return names


def _sampled(table: pl.DataFrame, rows: int | None, seed: int) -> pl.DataFrame:
    if rows is None or table.height <= rows:
        return table
    chance = np.random.default_rng(seed)  # noqa: TID251 - the seed is an argument
    return table[np.sort(chance.choice(table.height, rows, replace=False))]


def _shuffled(table: pl.DataFrame, name: str, seed: int, turn: int) -> pl.DataFrame:
    # The order of columns doesn't decide how each is shuffled.
    sequence = [seed, zlib.crc32(name.encode()), turn]
    order = np.random.default_rng(sequence).permutation(table.height)  # noqa: TID251
    return table.with_columns(table[name][order])


def _measure(model: Any, table: pl.DataFrame, metric: Metric) -> float:
    scored = _predicted(model, table).with_columns(**metric.columns).select(metric.expression)
    value = scored.item() if scored.shape == (1, 1) else None
    if value is None or not np.isfinite(float(value)):
        raise UsageError(
            f"permutation_importance() needs one finite number of {metric.name}, "
            f"which is {'no aggregate' if scored.height != 1 else value}"
        )
    return float(value)


def _predicted(model: Any, table: pl.DataFrame) -> pl.DataFrame:
    predict: Predict = model.predict if hasattr(model, "predict") else model
    found = predict(table.lazy())
    if isinstance(found, pl.LazyFrame):
        found = found.collect()
    if isinstance(found, pl.DataFrame) and found.height == table.height:
        # Rows that were scored before have predictions, too.
        own = (n for n in found.columns if n not in table.columns or _is_predicted(n))
        return table.with_columns(found.select(own))
    return table.with_columns(pl.Series(PREDICTION, np.asarray(found)))


def _is_predicted(name: str) -> bool:
    return name == PREDICTION or name.startswith(PROBABILITY)


def _worse(value: float, before: float, metric: Metric) -> float:
    if metric.goal is Goal.ZERO:
        return abs(value) - abs(before)
    return before - value if metric.goal is Goal.HIGH else value - before
