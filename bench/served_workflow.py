"""The workflow whose endpoints `bench.serving` measures: a LightGBM model of 100 trees and 20 features.

`tidemill` imports it through a module of the project's folder, which names the endpoint.
"""

import math
import random
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl

import tidemill as tm

FIRST, DAYS, EACH = date(2024, 1, 1), 18, 400
NUMBERS = [f"x{at}" for at in range(19)]
FEATURES = ["kind", *NUMBERS]
KINDS = ["a", "b", "c"]
MODULE = "from bench.served_workflow import {endpoint}\n\nflow = {endpoint}({rounds})\n"
SETTINGS = '[tool.tidemill]\nworkflow = "shop:flow"\n'


class Base(tm.Contract, version="1.0.0", key=("day", "id")):
    """An enum, and numbers in a range, half of which may be null."""

    day = tm.Date(partition="1d")
    id = tm.Int64(min=0)
    kind = tm.Enum(KINDS)
    x0, x2, x4, x6, x8, x10, x12, x14, x16 = (
        tm.Float64(min=0, max=1, nullable=True) for _ in range(9)
    )
    x1, x3, x5, x7, x9, x11, x13, x15, x17 = (tm.Float64(min=0, max=1) for _ in range(9))


class Known(Base, version="1.0.0", key=("day", "id")):
    """The 20 features of a row."""

    x18 = tm.Float64(min=0, max=1, nullable=True)


class Rows(Known, version="1.0.0", key=("day", "id")):
    """The same with the label."""

    y = tm.Float64(role="label")


class RuledRows(Rows, version="1.0.0", key=("day", "id")):
    """The same with a rule over two columns."""

    order = tm.rule((pl.col("kind") != "a") | (pl.col("x1") < 0.9))


class Rain(tm.Contract, version="1.0.0", key=("day", "kind")):
    """What is looked up for a row."""

    day, kind = Base.day, Base.kind
    x18 = tm.Float64(min=0, max=1, nullable=True)


def write(folder: Path) -> None:
    """Write the files of rows and of what is looked up."""
    chance = random.Random(7)
    for name in ("rows", "rain"):
        (folder / name).mkdir(parents=True)
    for number in range(DAYS):
        day = FIRST + timedelta(number)
        rows = pl.DataFrame([_row(day, at, chance) for at in range(EACH)])
        rows.write_parquet(folder / "rows" / f"{number:02}.parquet")
        rain = {"day": [day] * 3, "kind": KINDS, "x18": [chance.random() for _ in KINDS]}
        pl.DataFrame(rain).write_parquet(folder / "rain" / f"{number:02}.parquet")


def _row(day: date, number: int, chance: random.Random) -> Mapping[str, Any]:
    found: dict[str, float | None] = {name: chance.random() for name in NUMBERS}
    label = sum(math.sin((at + 1) * (value or 0.0)) for at, value in enumerate(found.values()))
    if chance.random() < 0.1:
        found["x0"] = None
    return {"day": day, "id": number, "kind": chance.choice(KINDS), **found, "y": label}


def plain(rounds: int) -> tm.Workflow:
    """An endpoint of the rows."""
    return _served(Rows, rounds)


def ruled(rounds: int) -> tm.Workflow:
    """An endpoint of rows with a rule over two columns."""
    return _served(RuledRows, rounds)


def _served(contract: Any, rounds: int) -> tm.Workflow:
    flow = tm.Workflow("shop")

    @flow.ingest
    def rows() -> tm.Source[contract]:
        return tm.files("data/rows/*.parquet")

    @flow.model(
        window=tm.last("14d", before=tm.last("4d")),
        seed=1,
        params={"rounds": rounds},
        retrain=tm.every("900d"),
    )
    def demand(rows: tm.Frame[contract], params: tm.Params, seed: int) -> tm.Fitted:
        return fitted(rows.collect(), contract, params["rounds"], seed)

    @flow.evaluate(window=tm.last("4d"))
    def demand_scores(demand: tm.Predictor, rows: tm.Frame[contract]) -> tm.Scores:
        return scores(demand.predict(rows))

    live = flow.approve(demand, gates=[tm.no_slice_worse("mae", over="kind", by=1e6)])
    flow.endpoint("demand", model=live)
    return flow


class Asked(Base, version="1.0.0", key=("day", "id"), unknown_columns="drop"):
    """The rows of requests whose features are computed."""

    y = tm.Float64(role="label", nullable=True)


class Labels(tm.Contract, version="1.0.0", key=("day", "id")):
    """The labels of rows."""

    day, id = Base.day, Base.id
    y = tm.Float64(role="label")


def featured(rounds: int) -> tm.Workflow:
    """An endpoint that computes features by one lookup."""
    flow = tm.Workflow("shop")

    @flow.ingest
    def rows() -> tm.Source[Asked]:
        return tm.files("data/rows/*.parquet")

    @flow.ingest
    def rain() -> tm.Source[Rain]:
        return tm.files("data/rain/*.parquet")

    @flow.transform
    def features(rows: tm.Frame[Asked], rain: tm.Frame[Rain]) -> tm.Frame[Known]:
        joined = rows.join(rain, on=["day", "kind"], how="left", maintain_order="left")
        return joined.select("day", "id", *FEATURES)

    @flow.transform
    def labels(rows: tm.Frame[Asked]) -> tm.Frame[Labels]:
        return rows.filter(pl.col("y").is_not_null()).select("day", "id", "y")

    @flow.model(
        window=tm.last("14d", before=tm.last("4d")),
        seed=1,
        params={"rounds": rounds},
        retrain=tm.every("900d"),
    )
    def demand(
        features: tm.Frame[Known], labels: tm.Frame[Labels], params: tm.Params, seed: int
    ) -> tm.Fitted:
        table = features.join(labels, on=["day", "id"]).collect()
        return fitted(table, Known, params["rounds"], seed)

    @flow.evaluate(window=tm.last("4d"))
    def demand_scores(
        demand: tm.Predictor, features: tm.Frame[Known], labels: tm.Frame[Labels]
    ) -> tm.Scores:
        return scores(demand.predict(features).join(labels, on=["day", "id"]))

    live = flow.approve(demand, gates=[tm.no_slice_worse("mae", over="kind", by=1e6)])
    flow.endpoint("demand", model=live, features=features)
    return flow


def fitted(table: pl.DataFrame, contract: Any, rounds: int, seed: int) -> tm.Fitted:
    """Fit trees with 31 leaves."""
    import lightgbm as lgb

    encoder = tm.encoder(table, inputs=contract.reads(*FEATURES))
    options = {"objective": "l2", "seed": seed, "num_leaves": 31, "verbose": -1, "num_threads": 1}
    data = lgb.Dataset(encoder.transform(table), table["y"].to_numpy())
    return tm.fitted(lgb.train(options, data, rounds), inputs=encoder, output="y")


def scores(scored: Any) -> tm.Scores:
    """Score predictions."""
    return tm.scores(scored, mae=(pl.col("prediction") - pl.col("y")).abs().mean(), by="kind")


def build(folder: Path, endpoint: str, rounds: int = 100) -> None:
    """Make a project that serves `demand`, or train another version if it is there."""
    if not folder.exists():
        folder.mkdir(parents=True)
        write(folder / "data")
        (folder / "pyproject.toml").write_text(SETTINGS, encoding="utf-8")
    (folder / "shop.py").write_text(
        MODULE.format(endpoint=endpoint, rounds=rounds), encoding="utf-8"
    )


def request_row() -> dict[str, Any]:
    """The values of a row of a request, as JSON."""
    return {"kind": "a", **{name: (at + 1) / 20 for at, name in enumerate(NUMBERS)}}
