"""A project with models of every sort: reviewed, classifying, without gates, and never live."""

from __future__ import annotations

import random
import re
import shutil
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.support.commands import process

FLOW = '''
import polars as pl
import tidemill as tm


class Sales(tm.Contract, version="1.2.0", key=("day", "shop")):
    """Sales of bakeries."""

    day = tm.Date(partition="1d")
    shop = tm.String(description="the name above the door")
    kind = tm.Enum(["rye", "wheat", "spelt"])
    price = tm.Float64(min=0, max=20, unit="EUR")
    rain = tm.Float64(nullable=True)
    open_late = tm.Bool()
    sold = tm.Float64(role="label", min=0, max=200)
    busy = tm.Bool(role="label")


flow = tm.Workflow("shops", owner="ops")


@flow.ingest
def sales() -> tm.Source[Sales]:
    return tm.files("sales/*.parquet")


@flow.model(window=tm.last("8d", before=tm.last("16d")), params={"rounds": 5, "scale": 1.0}, seed=1,
            retrain=tm.every("365d"))
def demand(sales: tm.Frame[Sales], params: tm.Params, seed: int) -> tm.Fitted:
    import lightgbm as lgb

    table = sales.collect()
    encoder = tm.encoder(table, inputs=Sales.reads("kind", "price", "rain", "open_late"))
    data = lgb.Dataset(encoder.transform(table), table["sold"].to_numpy() * params["scale"])
    options = {"objective": "l2", "seed": seed, "verbosity": -1, "num_threads": 1,
               "min_data_in_leaf": 4}
    return tm.fitted(lgb.train(options, data, params["rounds"]), inputs=encoder, output="sold")


@flow.evaluate(window=tm.last("16d"))
def demand_scores(demand: tm.Predictor, sales: tm.Frame[Sales]) -> tm.Scores:
    scored = demand.predict(sales)
    return tm.scores(scored, tm.metrics.mae("sold"), tm.metrics.rmse("sold"), tm.calibration("sold"),
                     by="kind", day="day")


@flow.model(window=tm.last("8d", before=tm.last("16d")), params={"rounds": 4}, seed=1)
def busy_model(sales: tm.Frame[Sales], params: tm.Params, seed: int) -> tm.Fitted:
    import lightgbm as lgb

    table = sales.collect()
    encoder = tm.encoder(table, inputs=Sales.reads("kind", "price", "shop"))
    data = lgb.Dataset(encoder.transform(table), table["busy"].cast(pl.Int8).to_numpy())
    options = {"objective": "binary", "seed": seed, "verbosity": -1, "num_threads": 1,
               "min_data_in_leaf": 4}
    return tm.fitted(lgb.train(options, data, params["rounds"]), inputs=encoder, output="busy")


@flow.evaluate(window=tm.last("16d"))
def busy_scores(busy_model: tm.Predictor, sales: tm.Frame[Sales]) -> tm.Scores:
    scored = busy_model.predict(sales)
    return tm.scores(scored, tm.metrics.log_loss("busy"), tm.roc("busy"), tm.calibration("busy"),
                     tm.precision_recall("busy"), tm.lift("busy"), by="shop", day="day")


@flow.model(window=tm.last("8d"), seed=1)
def plain(sales: tm.Frame[Sales], seed: int) -> tm.Fitted:
    import lightgbm as lgb

    table = sales.collect()
    encoder = tm.encoder(table, inputs=Sales.reads("price"))
    data = lgb.Dataset(encoder.transform(table), table["sold"].to_numpy())
    options = {"objective": "l2", "seed": seed, "verbosity": -1, "num_threads": 1,
               "min_data_in_leaf": 4}
    return tm.fitted(lgb.train(options, data, 2), inputs=encoder, output="sold")


@flow.model(window=tm.last("8d", before=tm.last("16d")), seed=2)
def strict(sales: tm.Frame[Sales], seed: int) -> tm.Fitted:
    import lightgbm as lgb

    table = sales.collect()
    encoder = tm.encoder(table, inputs=Sales.reads("price"))
    data = lgb.Dataset(encoder.transform(table), table["sold"].to_numpy())
    options = {"objective": "l2", "seed": seed, "verbosity": -1, "num_threads": 1,
               "min_data_in_leaf": 4}
    return tm.fitted(lgb.train(options, data, 1), inputs=encoder, output="sold")


@flow.evaluate(window=tm.last("16d"))
def strict_scores(strict: tm.Predictor, sales: tm.Frame[Sales]) -> tm.Scores:
    return tm.scores(strict.predict(sales), tm.metrics.mae("sold"))


reviewed = flow.approve(demand, gates=[tm.no_slice_worse("mae", over="kind", by=1e6, min_rows=5)],
                        review=tm.review(when="not first_delivery", within="90d", people=1))
busy = flow.approve(busy_model, gates=[tm.beats_baseline("log_loss")])
impossible = flow.approve(strict, gates=[tm.beats_baseline("mae", by=1e6)])
flow.endpoint("demand", model=reviewed, rollout=tm.rollout())
flow.endpoint("busy", model=busy)
flow.endpoint("strict", model=impossible)
'''
DAYS, SHOPS = 26, ("Kern & Söhne", "Mühle", "Ofen 7", "Zopf")
FIRST = date(2024, 1, 1)


def write_shops(folder: Path) -> Path:
    """Write the project with its data; return its folder."""
    (folder / "sales").mkdir(parents=True)
    (folder / "shop_models_flow.py").write_text(FLOW)
    (folder / "pyproject.toml").write_text(
        '[tool.tidemill]\nworkflow = "shop_models_flow:flow"\ncpu_hour = 0.04\ncurrency = "EUR"\n'
    )
    chance = random.Random(3)
    for number in range(DAYS):
        rows = []
        for shop in SHOPS:
            kind, price = chance.choice(["rye", "wheat", "spelt"]), chance.random() * 10
            rain, late = chance.choice([None, chance.random()]), chance.random() < 0.3
            sold = 50 - 3 * price + 5 * (kind == "rye") + 4 * late + chance.random()
            day = FIRST + timedelta(number)
            rows.append((day, shop, kind, price, rain, late, sold, sold > 40))
        names = ["day", "shop", "kind", "price", "rain", "open_late", "sold", "busy"]
        pl.DataFrame(rows, schema=names, orient="row").write_parquet(
            folder / "sales" / f"{number:02}.parquet"
        )
    return folder


def retrain(folder: Path, rounds: int = 9) -> None:
    """Train the model `demand` with other parameters, which asks people."""
    flow = folder / "shop_models_flow.py"
    text = flow.read_text()
    flow.write_text(re.sub(r'"rounds": \d+, "scale"', f'"rounds": {rounds}, "scale"', text))
    ended = process("run", "--train", "demand", cwd=folder)
    assert "waits for review" in ended.stdout + ended.stderr, ended.stdout + ended.stderr


@pytest.fixture(scope="session")
def shops_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_shops(tmp_path_factory.mktemp("shops") / "shops")
    ended = process("run", cwd=folder)
    assert " approved" in ended.stdout + ended.stderr, ended.stdout + ended.stderr
    retrain(folder)
    return folder


@pytest.fixture
def shops(shops_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project after two runs: a review of `demand` is open, and `strict` was never live."""
    shutil.copytree(shops_template, tmp_path / "shops")
    monkeypatch.chdir(tmp_path / "shops")
    return tmp_path / "shops"
