"""A project with personal data wherever the console could show some."""

from __future__ import annotations

import random
from pathlib import Path

import polars as pl

from tests.support.tides import flow_of
from tests.support.users import USER
from tidemill.project.project import open_project

NAME = "personal_shop_flow"
SECRET = "secret"
# No other number looks like these.
AGES = tuple(7_013_001 + 10 * at for at in range(8))
FLOW = """
import lightgbm as lgb
import polars as pl
import tidemill as tm


class Customers(tm.Contract, version="1.0.0", key=("cust",), unknown_columns="drop"):
    cust = tm.Int64()
    age = tm.Int64(pii="age", max=8_000_000)
    email = tm.String(pii="email", source="E-Mail", regex="^[^@]+@.+$", unique=True)
    spent = tm.Float64(role="label")
    budget = tm.Budget(max_bad=1.0)


class Forgot(tm.Contract, version="1.0.0", key=("cust",)):
    cust = tm.Int64()
    email = tm.String()


class Strict(tm.Contract, version="1.0.0", key=("cust",)):
    cust = tm.Int64()
    email = tm.String(pii="email", regex="^nobody", on_fail="fail")


class Features(tm.Contract, version="1.0.0", key=("cust",)):
    cust = tm.Int64()
    price = tm.Float64()
    age = tm.Int64(pii="age", max=7_013_065)
    email = tm.String(pii="email")
    budget = tm.Budget(max_bad=1.0)


class Asked(tm.Contract, version="1.0.0", key=("cust",)):
    cust = tm.Int64()
    price = tm.Float64()


flow = tm.Workflow("personal", owner="ops")


@flow.ingest
def customers() -> tm.Source[Customers]:
    return tm.files("customers/*.csv")


@flow.ingest
def asked() -> tm.Source[Asked]:
    return tm.files("asked/*.csv")


@flow.transform
def forgot(customers: tm.Frame[Customers]) -> tm.Frame[Forgot]:
    return customers.select("cust", "email")


@flow.transform
def gone(customers: tm.Frame[Customers]) -> tm.Frame[Forgot]:
    return customers.select("cust", "email")


@flow.transform
def strict(customers: tm.Frame[Customers]) -> tm.Frame[Strict]:
    return customers.select("cust", "email")


@flow.transform
def features(asked: tm.Frame[Asked], customers: tm.Frame[Customers]) -> tm.Frame[Features]:
    joined = asked.join(customers, on="cust", how="left", maintain_order="left")
    return joined.select("cust", "price", "age", "email")


@flow.model(params={"rounds": 2}, seed=1)
def spending(
    features: tm.Frame[Features], customers: tm.Frame[Customers], params: tm.Params, seed: int
) -> tm.Fitted:
    table = features.join(customers.select("cust", "spent"), on="cust").collect()
    encoder = tm.encoder(table, inputs=Features.reads("price", "age", "email"))
    data = lgb.Dataset(encoder.transform(table), table["spent"].to_numpy())
    options = {"seed": seed, "verbosity": -1, "num_threads": 1, "min_data_in_leaf": 2}
    booster = lgb.train(options, data, params["rounds"])
    return tm.fitted(booster, inputs=encoder, output="spent", entity="email")


@flow.evaluate
def error(
    spending: tm.Predictor, features: tm.Frame[Features], customers: tm.Frame[Customers]
) -> tm.Scores:
    scored = spending.predict(features).join(customers.select("cust", "spent"), on="cust")
    return tm.scores(scored, tm.metrics.mae("spent"), by="age")


live = flow.approve(spending, gates=[tm.beats_baseline("mae", by=-9.0)],
                    review=tm.review(when="not first_delivery", within="90d", people=1))
flow.endpoint("spending", model=live, features=features)
flow.table("sent", stage=customers, sink=tm.parquet("out/sent"))
flow.table("scored", model=live, features=features, sink=tm.parquet("out/scored"))
"""
SETTINGS = f"""
[tool.tidemill]
workflow = "{NAME}:flow"

[tool.tidemill.roles]
{USER} = "admin"
otto = "operator"
vera = "viewer"
"""


def personal_shop(folder: Path) -> dict[str, str]:
    """Write the project and run it twice, the second time without `gone` and with another model.

    Returns tokens: of a viewer for all that there is, of an operator to read, and of an operator to run.
    """
    for name in ("customers", "asked"):
        (folder / name).mkdir(parents=True)
    _write_rows(folder)
    (folder / "pyproject.toml").write_text(SETTINGS, encoding="utf-8")
    before = FLOW
    begin, end = (
        before.index("@flow.transform\ndef gone"),
        before.index("@flow.transform\ndef strict"),
    )
    after = (before[:begin] + before[end:]).replace('"rounds": 2', '"rounds": 3')
    for text in (before, after):
        with open_project(folder, workflow=flow_of(folder, text, NAME)) as project:
            project.run(inline=True, train=["spending"], raise_on_failure=False)
            project.alerts.check()
            tokens = {
                "viewer": project.tokens.create("vera", scopes=["run", "review", "admin"]).text,
                "reader": project.tokens.create("otto", scopes=["read"]).text,
                "operator": project.tokens.create("otto", scopes=["run"]).text,
            }
    return tokens


def _write_rows(folder: Path) -> None:
    chance = random.Random(3)
    rows = [
        (number, AGES[number % len(AGES)], f"c{number}-{SECRET}@x.example", chance.random() * 9)
        for number in range(160)
    ]
    # These are quarantined: for their type, their bounds, their form, and as they repeat another.
    bad = [
        (900, "x-" + SECRET, f"d900-{SECRET}@x.example", 1.0),
        (901, 9_013_001, f"d901-{SECRET}@x.example", 1.0),
        (902, AGES[0], f"no-{SECRET}", 1.0),
        (0, AGES[1], f"d0-{SECRET}@x.example", 1.0),
    ]
    names = ["cust", "age", "E-Mail", "spent"]
    text = [",".join(map(str, row)) for row in (names, *rows, *bad)]
    (folder / "customers" / "all.csv").write_text("\n".join(text) + "\n", encoding="utf-8")
    prices = {"cust": range(160), "price": [chance.random() for _ in range(160)]}
    pl.DataFrame(prices).write_csv(folder / "asked" / "all.csv")
