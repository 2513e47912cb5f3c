"""How many loaves will each shop sell, hour by hour? From the tills and the weather to a forecast."""

import polars as pl

import tidemill as tm

HOUR = ("date", "shop", "hour")


class Sales(tm.Contract, version="1.0.0", key=HOUR):
    """One row per shop and opening hour, as the tills send it."""

    date = tm.Date(partition="1d")
    shop = tm.Enum(["harbour", "market", "station"], on_fail="fail")
    hour = tm.Int64(min=7, max=18)
    sold = tm.Int64(min=0, unit="loaf", description="a till that lost its count says -1")

    volume = tm.Rows(min=30)
    budget = tm.Budget(max_bad=0.10)


class Weather(tm.Contract, version="1.0.0", key=("date",)):
    """One row per day."""

    date = tm.Date(partition="1d")
    temperature = tm.Float64(min=-40, max=50, unit="deg C")
    rain = tm.Float64(min=0, unit="mm")


class Features(tm.Contract, version="1.0.0", key=HOUR):
    """What is known of an hour before it begins."""

    date, shop, hour = Sales.date, Sales.shop, Sales.hour
    shop_code = tm.Int64(min=0, max=2)
    weekday = tm.Int64(min=1, max=7, description="1 is Monday")
    temperature, rain = Weather.temperature, Weather.rain


class Labels(tm.Contract, version="1.0.0", key=HOUR):
    """What was sold in it."""

    date, shop, hour = Sales.date, Sales.shop, Sales.hour
    loaves = tm.Float64(min=0, unit="loaf")


flow = tm.Workflow("bakery", owner="the-bakers")


@flow.ingest(start="2026-01-05")
def sales() -> tm.Source[Sales]:
    return tm.files("data/sales/*.csv")


@flow.ingest(start="2026-01-05", sample_by=())  # a sample of the sales needs all of the weather
def weather() -> tm.Source[Weather]:
    return tm.files("data/weather/*.csv")


# Parameters name upstream stages, annotations are contracts. A stage sees its own day of its inputs.
@flow.transform
def features(sales: tm.Frame[Sales], weather: tm.Frame[Weather]) -> tm.Frame[Features]:
    return sales.join(weather, on="date", how="left", maintain_order="left").select(
        *HOUR,
        "temperature",
        "rain",
        shop_code=pl.col("shop").to_physical().cast(pl.Int64),
        weekday=pl.col("date").dt.weekday().cast(pl.Int64),
    )


@flow.transform
def labels(sales: tm.Frame[Sales]) -> tm.Frame[Labels]:
    return sales.select(*HOUR, loaves=pl.col("sold").cast(pl.Float64))


# New data makes the model outdated; only `retrain` (or `tidemill run --train demand`) makes it due.
@flow.model(
    window=tm.last("21d", before=tm.last("7d")),
    params={"learning_rate": 0.1, "rounds": 60},
    seed=7,
    retrain=tm.any_of(tm.degraded("mae", by=0.10), tm.contract_changed(), tm.every("7d")),
)
def demand(
    features: tm.Frame[Features], labels: tm.Frame[Labels], params: tm.Params, seed: int
) -> tm.Fitted:
    import lightgbm as lgb  # only the training needs it

    table = features.join(labels, on=HOUR, maintain_order="left").collect()
    columns = ["hour", "shop_code", "weekday", "temperature", "rain"]
    data = lgb.Dataset(table.select(columns).to_numpy(), table["loaves"].to_numpy())
    settings = {
        "objective": "l1",
        "learning_rate": params["learning_rate"],
        "seed": seed,
        "deterministic": True,
        "num_threads": 1,
        "verbosity": -1,
    }
    booster = lgb.train(settings, data, params["rounds"])
    return tm.fitted(booster, inputs=Features.reads(*columns), output="loaves")


# Scored on the newest week, which the training never saw.
@flow.evaluate(window=tm.last("7d"))
def demand_scores(
    demand: tm.Predictor, features: tm.Frame[Features], labels: tm.Frame[Labels]
) -> tm.Scores:
    scored = demand.predict(features).join(labels, on=HOUR)
    return tm.scores(scored, tm.metrics.mae("loaves"), by="shop", day="date")


# Nothing reaches users that didn't pass its gates.
live = flow.approve(
    demand,
    gates=[
        tm.beats_live("mae"),
        tm.beats_baseline("mae"),
        tm.no_slice_worse("mae", over="shop", by=0.10),
    ],
)
flow.table("forecast", model=live, features=features, sink=tm.parquet("out/forecast"))
