"""Workflows on data without days: rows are split by their id into those to train on and those to score."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import polars as pl

from tests.support.tides import Tides
from tests.support.trained import indented

WORKFLOW = """
import polars as pl
import tidemill as tm


class Rows(tm.Contract, key=("id",)):
    id = tm.Int64()
{columns}


INPUTS = [{inputs}]
flow = tm.Workflow("tides")


@flow.ingest
def rows() -> tm.Source[Rows]:
    return tm.files("data/*.parquet")


@flow.transform
def training(rows: tm.Frame[Rows]) -> tm.Frame[Rows]:
    return rows.filter(pl.col("id") % 3 != 0)


@flow.transform
def unseen(rows: tm.Frame[Rows]) -> tm.Frame[Rows]:
    return rows.filter(pl.col("id") % 3 == 0)


@flow.model(seed=1)
def model(training: tm.Frame[Rows], seed: int) -> tm.Fitted:
    table = training.collect()
{train}


@flow.evaluate
def scores(model: tm.Predictor, unseen: tm.Frame[Rows]) -> tm.Scores:
    scored = model.predict(unseen).with_columns(block=pl.col("id") // 3 % 20)
    return tm.scores(scored, {metrics}, by="group", day="block")


live = flow.approve(
    model,
    gates=[
        tm.beats_baseline("{metric}", confidence=0.95),
        tm.no_slice_worse("{metric}", over="group", by=0.5, min_rows=20),
    ],
)
flow.table(
    "out", model=live, features=rows, sink=tm.sqlite("out.db", "scored"), on_new_model="rescore"
)
"""


class Undated(Tides):
    """A project that trains a model of `y` on two thirds of a frame, and delivers predictions to SQLite."""

    def __init__(
        self, root: Path, frame: pl.DataFrame, types: dict[str, str], train: str, metrics: str
    ) -> None:
        """`group` is the column of slices, and no input of the model; the first metric is that of gates."""
        columns = [f"    {name} = {types.get(name, 'tm.Float64()')}" for name in frame.columns]
        text = WORKFLOW.format(
            columns="\n".join(columns),
            inputs=", ".join(repr(name) for name in frame.columns if name not in ("y", "group")),
            train=indented(train),
            metrics=metrics,
            metric=metrics.partition("(")[0].removeprefix("tm.metrics."),
        )
        super().__init__(root, text)
        rows = frame.with_row_index("id").with_columns(pl.col("id").cast(pl.Int64))
        self.put("rows.parquet", rows)

    def delivered(self) -> pl.DataFrame:
        """The rows in the sink by id, without the column of its own."""
        with sqlite3.connect(self.root / "out.db") as database:
            found = database.execute("SELECT * FROM scored ORDER BY id")
            names = [column[0] for column in found.description]
            rows = found.fetchall()
        database.close()
        return pl.DataFrame(rows, schema=names, orient="row")
