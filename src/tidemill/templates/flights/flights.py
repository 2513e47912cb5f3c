"""How late will a flight out of New York arrive? Predicted when it takes off."""

import polars as pl

import tidemill as tm

FLIGHT = ("date", "carrier", "flight", "origin", "hour")


class Flights(tm.Contract, version="1.0.0", key=FLIGHT, unknown_columns="drop"):
    """One row per scheduled departure."""

    date = tm.Date(partition="1d", description="local day in New York")
    carrier = tm.String(regex=r"^[0-9A-Z]{2}$")
    flight = tm.Int64(min=1)
    origin = tm.Enum(["EWR", "JFK", "LGA"], on_fail="fail")
    hour = tm.Int64(min=0, max=23)
    distance = tm.Int64(min=1, unit="mile")
    dep_delay = tm.Float64(nullable=True, unit="min", description="null: it was cancelled")
    arr_delay = tm.Float64(nullable=True, unit="min", description="null: cancelled or diverted")

    delays_agree = tm.rule((pl.col("arr_delay") - pl.col("dep_delay")).abs() < 300)
    volume = tm.Rows(min=200, vs_last=7, within=0.5)
    budget = tm.Budget(max_bad=0.02)


class Weather(tm.Contract, key=("date", "origin", "hour"), unknown_columns="drop"):
    """One row per airport and local hour; the clock change gives one twice: its second is quarantined."""

    date, origin, hour = Flights.date, Flights.origin, Flights.hour
    wind_speed = tm.Float64(nullable=True, min=0, max=150, unit="mph")


class Features(tm.Contract, key=FLIGHT):
    """What is known of a flight when it takes off."""

    date, carrier, flight, origin, hour = (
        Flights.date, Flights.carrier, Flights.flight, Flights.origin, Flights.hour,
    )  # fmt: skip
    distance, dep_delay = Flights.distance, Flights.dep_delay
    wind = tm.Float64(nullable=True, unit="mph")
    rush = tm.Bool()


class Labels(tm.Contract, key=FLIGHT):
    """How late it was, for the flights that arrived."""

    date, carrier, flight, origin, hour = (
        Flights.date, Flights.carrier, Flights.flight, Flights.origin, Flights.hour,
    )  # fmt: skip
    delay = tm.Float64(unit="min")


flow = tm.Workflow("flight-delays", owner="ops-ml")


@flow.ingest(start="2013-01-01")
def flights() -> tm.Source[Flights]:
    return tm.files("data/flights/*.parquet")


@flow.ingest(start="2013-01-01")
def weather() -> tm.Source[Weather]:
    return tm.files("data/weather/*.parquet")


# A flight is scored when it takes off, also when the day's weather isn't there yet.
@flow.transform(optional=["weather"])
def features(flights: tm.Frame[Flights], weather: tm.Frame[Weather]) -> tm.Frame[Features]:
    joined = flights.join(weather, on=["date", "origin", "hour"], how="left", maintain_order="left")
    return joined.select(
        *FLIGHT,
        "distance",
        "dep_delay",
        wind=pl.col("wind_speed"),
        rush=pl.col("hour").is_between(16, 20),
    )


@flow.transform
def labels(flights: tm.Frame[Flights]) -> tm.Frame[Labels]:
    return flights.filter(pl.col("arr_delay").is_not_null()).select(
        *FLIGHT, delay=pl.col("arr_delay")
    )


@flow.model(
    window=tm.last("60d", before=tm.last("28d")),
    params={"learning_rate": 0.1, "rounds": 20},
    seed=7,
    retrain=tm.any_of(
        tm.degraded("mae", by=0.05), tm.contract_changed(), tm.volume(0.2), tm.every("14d")
    ),
)
def delay_model(
    features: tm.Frame[Features], labels: tm.Frame[Labels], params: tm.Params, seed: int
) -> tm.Fitted:
    import lightgbm as lgb  # only the training needs it

    table = features.join(labels, on=FLIGHT, maintain_order="left").collect()
    columns = ["hour", "distance", "dep_delay", "wind", "rush"]
    encoder = tm.encoder(table, inputs=Features.reads(*columns))
    data = lgb.Dataset(
        encoder.transform(table),
        table["delay"].to_numpy(),
        categorical_feature=encoder.categorical,
    )
    booster = lgb.train(
        {
            "objective": "l1",
            "seed": seed,
            "learning_rate": params["learning_rate"],
            "deterministic": True,
            "num_threads": 2,
            "verbosity": -1,
        },
        data,
        params["rounds"],
    )
    return tm.fitted(booster, inputs=encoder, output="delay")


@flow.evaluate(window=tm.last("28d"))
def delay_scores(
    delay_model: tm.Predictor, features: tm.Frame[Features], labels: tm.Frame[Labels]
) -> tm.Scores:
    scored = delay_model.predict(features).join(labels, on=FLIGHT)
    return tm.scores(scored, tm.metrics.mae("delay"), by="carrier", day="date")


live = flow.approve(
    delay_model,
    gates=[
        tm.beats_live("mae"),
        tm.beats_baseline("mae"),
        tm.no_slice_worse("mae", over="carrier", by=0.10),
    ],
)
flow.table("scored_flights", model=live, features=features, sink=tm.parquet("out/scored"))
