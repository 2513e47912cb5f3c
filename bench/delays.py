"""How late will a flight out of New York be? The workflow that the edits of `bench.reuse` are made to.

It is copied into the projects that are measured; `reuse_by_hand.py` does the same without Tidemill.
"""

import polars as pl

import tidemill as tm

FLIGHT = ("date", "carrier", "flight", "origin", "hour")


class Flights(tm.Contract, key=FLIGHT, unknown_columns="drop"):
    """One row per scheduled departure. Nobody reads the tail number."""

    date = tm.Date(partition="1d")
    carrier = tm.String(regex=r"^[0-9A-Z]{2}$")
    flight = tm.Int64(min=1)
    origin = tm.Enum(["EWR", "JFK", "LGA"], on_fail="fail")
    hour = tm.Int64(min=0, max=23)
    distance = tm.Int64(min=1)
    dep_delay = tm.Float64(nullable=True)
    arr_delay = tm.Float64(nullable=True)
    tailnum = tm.String(nullable=True)


class Weather(tm.Contract, key=("date", "origin", "hour"), unknown_columns="drop"):
    """One row per airport and local hour; the clock change gives one twice: its second is quarantined."""

    date, origin, hour = Flights.date, Flights.origin, Flights.hour
    temp = tm.Float64(nullable=True)
    wind_speed = tm.Float64(nullable=True, min=0)
    precip = tm.Float64(nullable=True, min=0)
    visib = tm.Float64(nullable=True, min=0)


class Joined(tm.Contract, key=FLIGHT):
    """A flight with the weather of its hour."""

    date, carrier, flight, origin, hour = (
        Flights.date, Flights.carrier, Flights.flight, Flights.origin, Flights.hour,
    )  # fmt: skip
    distance = Flights.distance
    dep_delay, arr_delay = Flights.dep_delay, Flights.arr_delay
    temp, wind_speed, precip, visib = (
        Weather.temp, Weather.wind_speed, Weather.precip, Weather.visib,
    )  # fmt: skip


class Features(tm.Contract, key=FLIGHT):
    """What is known of a flight when it takes off, and how late it arrived."""

    date, carrier, flight, origin, hour = (
        Flights.date, Flights.carrier, Flights.flight, Flights.origin, Flights.hour,
    )  # fmt: skip
    distance = Flights.distance
    dep_delay = tm.Float64()
    delay = tm.Float64()
    rush = tm.Bool()
    night = tm.Bool()
    weekday = tm.Int8(min=1, max=7)
    month = tm.Int8(min=1, max=12)
    far = tm.Bool()
    busy = tm.UInt32()
    wind = tm.Float64(nullable=True)
    gale = tm.Bool(nullable=True)
    wet = tm.Bool(nullable=True)
    frost = tm.Bool(nullable=True)
    murk = tm.Float64(nullable=True)
    drag = tm.Float64(nullable=True)


class Daily(tm.Contract, key=("date", "origin")):
    """A day at an airport; sums of minutes, so that days can be added up exactly."""

    date, origin = Flights.date, Flights.origin
    flights = tm.UInt32()
    late = tm.UInt32()
    dep_delay = tm.Float64()
    delay = tm.Float64()
    gales = tm.UInt32()


class Total(tm.Contract, key=("origin",)):
    """An airport over all days."""

    origin = Flights.origin
    days, flights, gales = tm.UInt32(), tm.UInt32(), tm.UInt32()
    dep_delay, delay, late = tm.Float64(), tm.Float64(), tm.Float64()


flow = tm.Workflow("delays", owner="bench")


@flow.ingest
def flights() -> tm.Source[Flights]:
    return tm.files("data/flights/*.parquet")


@flow.ingest
def weather() -> tm.Source[Weather]:
    return tm.files("data/weather/*.parquet")


@flow.transform
def joined(flights: tm.Frame[Flights], weather: tm.Frame[Weather]) -> tm.Frame[Joined]:
    here = ["date", "origin", "hour"]
    rows = flights.join(weather, on=here, how="left", maintain_order="left")
    return rows.select(
        *FLIGHT, "distance", "dep_delay", "arr_delay", "temp", "wind_speed", "precip", "visib"
    )


@flow.transform
def features(joined: tm.Frame[Joined]) -> tm.Frame[Features]:
    arrived = joined.filter(pl.col("dep_delay").is_not_null() & pl.col("arr_delay").is_not_null())
    hour = pl.col("hour")
    return arrived.select(
        *FLIGHT,
        "distance",
        "dep_delay",
        delay=pl.col("arr_delay"),
        rush=hour.is_between(16, 20),
        night=(hour < 6) | (hour >= 22),
        weekday=pl.col("date").dt.weekday(),
        month=pl.col("date").dt.month(),
        far=pl.col("distance") > 1000,
        busy=pl.len().over("date", "origin", "hour"),
        wind=pl.col("wind_speed"),
        gale=pl.col("wind_speed") > 25,
        wet=pl.col("precip") > 0,
        frost=pl.col("temp") < 32,
        murk=10 - pl.col("visib"),
        drag=pl.col("wind_speed") * pl.col("distance"),
    )


@flow.transform
def daily(features: tm.Frame[Features]) -> tm.Frame[Daily]:
    return features.group_by("date", "origin").agg(
        flights=pl.len(),
        late=(pl.col("delay") > 15).sum(),
        dep_delay=pl.col("dep_delay").sum(),
        delay=pl.col("delay").sum(),
        gales=pl.col("gale").sum(),
    )


@flow.transform(window=tm.all)
def total(daily: tm.Frame[Daily]) -> tm.Frame[Total]:
    count = pl.col("flights").sum()
    return daily.group_by("origin").agg(
        days=pl.len(),
        flights=count,
        gales=pl.col("gales").sum(),
        dep_delay=pl.col("dep_delay").sum() / count,
        delay=pl.col("delay").sum() / count,
        late=pl.col("late").sum() / count,
    )


@flow.model(
    window=tm.last("60d"), params={"learning_rate": 0.1, "rounds": 50}, seed=7,
    retrain=tm.new_data(),
)  # fmt: skip
def model(features: tm.Frame[Features], params: tm.Params, seed: int) -> tm.Fitted:
    import lightgbm as lgb

    columns = [
        "hour", "distance", "dep_delay", "rush", "night", "weekday", "far", "busy", "wind", "gale",
        "wet", "frost", "murk", "drag",
    ]  # fmt: skip
    table = features.select(*columns, "delay").collect()
    data = lgb.Dataset(table.select(columns).to_numpy(), table["delay"].to_numpy())
    options = {
        "objective": "l1",
        "seed": seed,
        "learning_rate": params["learning_rate"],
        "deterministic": True,
        "num_threads": 1,
        "verbosity": -1,
    }
    booster = lgb.train(options, data, params["rounds"])
    return tm.fitted(booster, inputs=Features.reads(*columns), output="delay")
