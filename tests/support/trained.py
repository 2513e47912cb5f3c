"""Workflows that train models on scikit-learn's data sets, which come with the package."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import polars as pl

from tests.support.tides import FIRST, Tides, day

DAYS = 10

# A workflow on one data set: `{columns}` are its contract, `{train}` the body of its model stage.
WORKFLOW = """
import polars as pl
import tidemill as tm


class Rows(tm.Contract, key=("day", "id")):
    day = tm.Date(partition="1d")
    id = tm.Int64()
{columns}
    y = {label}


class Features(tm.Contract, key=("day", "id")):
    day, id = Rows.day, Rows.id
    {names} = {reused}


class Labels(tm.Contract, key=("day", "id")):
    day, id, y = Rows.day, Rows.id, Rows.y


INPUTS = [{quoted}]
flow = tm.Workflow("tides")


@flow.ingest
def rows() -> tm.Source[Rows]:
    return tm.files("data/*.parquet")


@flow.transform
def features(rows: tm.Frame[Rows]) -> tm.Frame[Features]:
    return rows.drop("y")


@flow.transform
def labels(rows: tm.Frame[Rows]) -> tm.Frame[Labels]:
    return rows.select("day", "id", "y")


@flow.model(window=tm.last("8d", before=tm.last("2d")), seed=1)
def model(features: tm.Frame[Features], labels: tm.Frame[Labels], seed: int) -> tm.Fitted:
    table = features.join(labels, on=["day", "id"], maintain_order="left").collect()
{train}


@flow.evaluate(window=tm.last("2d"))
def scores(
    model: tm.Predictor, features: tm.Frame[Features], labels: tm.Frame[Labels]
) -> tm.Scores:
    scored = model.predict(features).join(labels, on=["day", "id"])
    return tm.scores(scored, loss={loss})


live = flow.approve(model, gates=[tm.beats_baseline("loss")])
flow.table("out", model=live, features=features, sink=tm.parquet("out"))
"""

MAE = '(pl.col("prediction") - pl.col("y").cast(float)).abs().mean()'
BRIER = '((pl.col("prediction") - pl.col("y").cast(float)) ** 2).mean()'
WRONG = '(pl.col("prediction") != pl.col("y")).mean()'


def indented(text: str) -> str:
    return "\n".join(f"    {line}" if line else "" for line in text.strip("\n").split("\n"))


class Trained(Tides):
    """A project that trains a model on a frame with a column `y`, spread over ten days."""

    def __init__(
        self, root: Path, frame: pl.DataFrame, types: dict[str, str], train: str, loss: str
    ) -> None:
        names = [name for name in frame.columns if name != "y"]
        text = WORKFLOW.format(
            columns="\n".join(f"    {name} = {types.get(name, 'tm.Float64()')}" for name in names),
            label=types["y"],
            names=", ".join(names) + ("," if len(names) == 1 else ""),
            reused=", ".join(f"Rows.{name}" for name in names) + ("," if len(names) == 1 else ""),
            quoted=", ".join(map(repr, names)),
            train=indented(train),
            loss=loss,
        )
        super().__init__(root, text)
        rows = frame.with_row_index("id").with_columns(pl.col("id").cast(pl.Int64))
        for number in range(DAYS):
            own = rows.filter(pl.col("id") % DAYS == number)
            days = pl.lit(FIRST).dt.offset_by(f"{number}d").alias("day")
            self.put(f"{day(number)}.parquet", own.with_columns(days))

    def artifact(self) -> Any:
        """The artifact that the last training published."""
        return self.open().models.artifact("model").product.artifact

    def delivered(self) -> pl.DataFrame:
        """All rows in the sink's folder."""
        return pl.read_parquet(self.root / "out" / "*.parquet")


def _data_sets() -> Any:
    # Imported late: scikit-learn is an extra.
    return import_module("sklearn.datasets")


def diabetes() -> pl.DataFrame:
    """442 rows, ten numbers, and the progression of the disease; `sex` as text, with nulls."""
    found = _data_sets().load_diabetes(scaled=False)
    table = pl.DataFrame(found.data, schema=list(found.feature_names), orient="row")
    return table.with_columns(
        y=pl.Series(found.target),
        sex=pl.when(pl.col("sex") == 1).then(pl.lit("f")).otherwise(pl.lit("m")),
        bmi=pl.when(pl.int_range(pl.len()) % 17 == 3).then(None).otherwise("bmi"),
    )


DIABETES = {
    "y": "tm.Float64()",
    "sex": "tm.String()",
    "bmi": "tm.Float64(nullable=True)",
}


def cancer() -> pl.DataFrame:
    """569 tumours, 30 numbers, and whether each is benign."""
    found = _data_sets().load_breast_cancer()
    names = [name.replace(" ", "_") for name in found.feature_names]
    table = pl.DataFrame(found.data, schema=names, orient="row")
    return table.with_columns(y=pl.Series(found.target).cast(pl.Boolean))


CANCER = {"y": "tm.Bool()"}


def wine() -> pl.DataFrame:
    """178 wines of three kinds, 13 numbers."""
    found = _data_sets().load_wine()
    names = [name.replace("/", "_") for name in found.feature_names]
    table = pl.DataFrame(found.data, schema=names, orient="row")
    kinds = pl.Series(found.target).replace_strict({0: "barolo", 1: "grignolino", 2: "barbera"})
    return table.with_columns(y=kinds.cast(pl.Enum(WINES)))


WINES = ["barolo", "grignolino", "barbera"]
WINE = {"y": f"tm.Enum({WINES!r})"}
