"""Find features that alone tell the label: usually the label itself, or something known only after it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import polars as pl

from tidemill.contracts.finding import Finding
from tidemill.models.ranks import area_under_roc
from tidemill.models.scored_columns import ScoredColumns

# A feature that alone reaches this is a finding.
LIMIT = 0.99
# With fewer rows, or fewer of a class, a feature tells the label by chance.
MIN_ROWS, MIN_OF_CLASS = 30, 10
# Cells that a feature is cut into where its order doesn't matter.
_CELLS, _MAX_CLASSES = 50, 20


def proxy_findings(
    rows: pl.DataFrame, features: Iterable[str], label: str, *, classes: bool
) -> Iterator[Finding]:
    """Yield a finding for each feature that alone tells the label, with the figure.

    With `classes` the label is a class. Two classes are judged by the area under the ROC curve, more by
    accuracy on the other half of the rows, numbers by the squared correlation of values or of ranks.
    """
    known = rows.filter(pl.col(label).is_not_null())
    classes = classes or not (known.schema[label].is_numeric() or known.schema[label] == pl.Boolean)
    if known.height < MIN_ROWS:
        return
    counts = known[label].value_counts()["count"].sort() if classes else pl.Series([known.height])
    if classes and not 2 <= len(counts) <= _MAX_CLASSES:
        return
    if classes and int(counts[0]) < MIN_OF_CLASS:
        return
    for name in features:
        figure = _figure(known, name, label, count=len(counts) if classes else 0)
        if figure is not None and figure[1] > LIMIT:
            yield Finding(
                rule=f"leakage.{name}",
                severity="warn",
                rows=known.height,
                sample=f"{figure[0]} {figure[1]:.4f}",
                message=(
                    f"`{name}` alone predicts `{label}`: {figure[0]} {figure[1]:.4f}; is it known before the "
                    f"prediction? If so, accept it: tm.fitted(..., allow_leakage=[{name!r}])"
                ),
            )


def _figure(rows: pl.DataFrame, name: str, label: str, *, count: int) -> tuple[str, float] | None:
    dtype = rows.schema[name]
    if dtype.is_nested() or rows[name].n_unique() < 2:
        return None
    numeric = dtype.is_numeric() or dtype.is_temporal() or dtype == pl.Boolean
    if count > 2:
        return "accuracy", _accuracy(rows, name, label, numeric=numeric)
    values = rows.select(
        feature=_number(name, dtype) if numeric else _outcome_of_others(name, label, rows, count),
        label=_outcome(label, rows, count),
    )
    values = values.filter(pl.all_horizontal(pl.all().is_not_null(), pl.all().is_not_nan()))
    if values.height < MIN_ROWS or values["label"].n_unique() < 2:
        return None
    if count:
        columns = ScoredColumns(label=pl.col("label"), prediction=pl.col("feature"))
        area = values.select(area_under_roc(columns)).item()
        return "AUC", max(area, 1 - area) if numeric else area
    pair = values.select(
        plain=pl.corr("feature", "label"),
        ranks=pl.corr(pl.col("feature").rank(), pl.col("label").rank()),
    ).row(0)
    known = (r for r in pair if r is not None and math.isfinite(r))
    return "R2", max((r * r for r in known if numeric or r > 0), default=0.0)


def _number(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name).to_physical() if dtype.is_temporal() else pl.col(name)
    return column.cast(pl.Float64)


def _outcome(label: str, rows: pl.DataFrame, count: int) -> pl.Expr:
    """The label as a number: 0 and 1 for two classes."""
    if not count:
        return pl.col(label).cast(pl.Float64)
    first = rows[label].drop_nulls().unique().sort()[0]
    return pl.col(label).ne(first).cast(pl.Float64)


def _outcome_of_others(name: str, label: str, rows: pl.DataFrame, count: int) -> pl.Expr:
    """The mean label of the other rows with the same value: a row must not tell its own label.

    Without a row's own label the mean is lower the higher that label is: where values don't tell the label,
    it falls with the label. Only a mean that rises with it says something.
    """
    outcome = _outcome(label, rows, count)
    key = pl.col(name).cast(pl.String)
    others = pl.len().over(key) - 1
    return pl.when(others > 0).then((outcome.sum().over(key) - outcome) / others)


def _accuracy(rows: pl.DataFrame, name: str, label: str, *, numeric: bool) -> float:
    """The accuracy of the most frequent class per cell of a feature, learnt on every other row."""
    cell = pl.col(name).cast(pl.String)
    if numeric:
        cell = ((pl.col(name).rank("dense") - 1) * _CELLS // pl.col(name).n_unique()).cast(
            pl.String
        )
    table = rows.select(cell=cell.fill_null(""), label=pl.col(label)).with_row_index("n")
    learnt = table.filter(pl.col("n") % 2 == 0)
    best = learnt.group_by("cell").agg(guess=pl.col("label").mode().sort().first())
    judged = table.filter(pl.col("n") % 2 == 1).join(best, on="cell", how="left")
    right = judged["guess"].eq_missing(judged["label"])
    return float(right.mean() or 0.0)  # type: ignore[arg-type]
