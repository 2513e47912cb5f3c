"""Endpoints whose features are computed from the rows of requests, and from what is published."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import tidemill as tm
from tests.support.serving import Served, served
from tests.support.waiting import until
from tidemill.core.errors import UsageError
from tidemill.project.project import Project
from tidemill.serving.serve_settings import ServeSettings

DAYS = [date(2024, 3, 8) + timedelta(days=number) for number in range(10)]


class Rides(tm.Contract, version="1.0.0", key=("day", "id"), unknown_columns="drop"):
    """Taxi rides."""

    day = tm.Date(partition="1d")
    id = tm.Int64(min=0)
    zone = tm.String()
    miles = tm.Float64(min=0, max=50)
    tip = tm.Float64(nullable=True, role="label")


class Rain(tm.Contract, version="1.0.0", key=("day", "zone")):
    """Rain by day and zone."""

    day, zone = Rides.day, Rides.zone
    inches = tm.Float64(min=0)


class RideFeatures(tm.Contract, version="1.0.0", key=("day", "id")):
    """What is known of a ride when it begins."""

    day, id = Rides.day, Rides.id
    hours = tm.Float64(max=2)
    inches = tm.Float64(nullable=True)


class Tips(tm.Contract, version="1.0.0", key=("day", "id")):
    """The tips of rides."""

    day, id = Rides.day, Rides.id
    tip = tm.Float64(role="label")


def write(folder: Path) -> None:
    chance = random.Random(5)
    for name in ("rides", "rain"):
        (folder / name).mkdir(parents=True)
    for day in DAYS:
        rides = pl.DataFrame(
            {
                "day": [day] * 50,
                "id": range(50),
                "zone": [chance.choice(["a", "b"]) for _ in range(50)],
                "miles": [chance.random() * 20 for _ in range(50)],
                "tip": [chance.random() for _ in range(50)],
            }
        )
        rides.write_parquet(folder / "rides" / f"{day}.parquet")
        write_rain(folder, day, 0.5)


def write_rain(folder: Path, day: date, inches: float) -> None:
    rain = pl.DataFrame({"day": [day] * 2, "zone": ["a", "b"], "inches": [inches, 0.25]})
    rain.write_parquet(folder / "rain" / f"{day}.parquet")


def workflow(folder: Path) -> tm.Workflow:
    flow = tm.Workflow("rides")

    @flow.ingest
    def rides() -> tm.Source[Rides]:
        return tm.files(str(folder / "rides" / "*.parquet"))

    @flow.ingest
    def rain() -> tm.Source[Rain]:
        return tm.files(str(folder / "rain" / "*.parquet"))

    @flow.transform
    def features(rides: tm.Frame[Rides], rain: tm.Frame[Rain]) -> tm.Frame[RideFeatures]:
        joined = rides.join(rain, on=["day", "zone"], how="left", maintain_order="left")
        return joined.select("day", "id", "inches", hours=pl.col("miles") / 20)

    @flow.transform
    def tips(rides: tm.Frame[Rides]) -> tm.Frame[Tips]:
        return rides.filter(pl.col("tip").is_not_null()).select("day", "id", "tip")

    @flow.model(window=tm.last("6d", before=tm.last("3d")), seed=1, retrain=tm.every("365d"))
    def tip_model(features: tm.Frame[RideFeatures], tips: tm.Frame[Tips], seed: int) -> tm.Fitted:
        import lightgbm as lgb

        table = features.join(tips, on=["day", "id"]).collect()
        data = lgb.Dataset(table.select("hours", "inches").to_numpy(), table["tip"].to_numpy())
        options = {"seed": seed, "verbosity": -1, "num_threads": 1, "min_data_in_leaf": 2}
        booster = lgb.train(options, data, 5)
        return tm.fitted(booster, inputs=RideFeatures.reads("hours", "inches"), output="tip")

    @flow.evaluate(window=tm.last("3d"))
    def tip_scores(
        tip_model: tm.Predictor, features: tm.Frame[RideFeatures], tips: tm.Frame[Tips]
    ) -> tm.Scores:
        scored = tip_model.predict(features).join(tips, on=["day", "id"])
        return tm.scores(scored, mae=(pl.col("prediction") - pl.col("tip")).abs().mean(), by="day")

    live = flow.approve(tip_model, gates=[tm.no_slice_worse("mae", over="day", by=99.0)])
    flow.endpoint("tips", model=live, features=features)
    flow.table("scored", model=live, features=features, sink=tm.parquet(str(folder / "out")))
    return flow


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("rides")
    write(folder)
    found = tm.open(folder, workflow=workflow(folder))
    found.run(inline=True)
    return found


@pytest.fixture(scope="module")
def server(project: Project) -> Iterator[Served]:
    with served(project) as found:
        yield found


def request_rows(project: Project, count: int) -> tuple[list[dict[str, Any]], list[float]]:
    """Rides as a request has them, and what the delivered table has predicted for them."""
    rides = project.read("rides").collect().sample(count, seed=count, shuffle=True)
    scored = project.read("scored").collect().select("day", "id", "prediction")
    joined = rides.join(scored, on=["day", "id"], how="left", maintain_order="left")
    asked = rides.select("day", "id", "zone", "miles").with_columns(pl.col("day").cast(pl.String))
    return asked.to_dicts(), joined["prediction"].to_list()


@pytest.mark.parametrize("count", [1, 2, 40])
def test_served_predictions_are_those_of_the_delivered_table(
    project: Project, server: Served, count: int
) -> None:
    rows, wanted = request_rows(project, count)
    reply = server.predict(rows, "tips")
    assert reply.status == 200, reply.json
    assert [row["prediction"] for row in reply.json["predictions"]] == wanted
    assert reply.json["contract"] == "Rides 1.0.0"
    assert reply.json["rain_age_s"] >= 0


def test_rows_break_the_contract_of_the_request_or_that_of_the_features(
    project: Project, server: Served
) -> None:
    [row], _ = request_rows(project, 1)
    reply = server.predict([{**row, "miles": -1}], "tips")
    assert (reply.status, reply.json["contract"]) == (422, "Rides 1.0.0")
    reply = server.predict([row, {**row, "miles": 45.0}], "tips")
    assert (reply.status, reply.json["contract"]) == (422, "RideFeatures 1.0.0")
    [finding] = reply.json["findings"]
    assert (finding["row"], finding["rule"], finding["value"]) == (1, "hours.max", 2.25)


def test_partial_leaves_out_rows_of_both(project: Project, server: Served) -> None:
    [row], [wanted] = request_rows(project, 1)
    rows = [{**row, "miles": -1}, {**row, "miles": 45.0}, row, {**row, "day": "2030-01-01"}]
    reply = server.predict(rows, "tips", "?partial=true")
    assert reply.json["predictions"] == [{"row": 2, "prediction": wanted}]
    rejected = reply.json["rejected"]
    assert [(found["row"], found["rule"]) for found in rejected["findings"]] == [
        (0, "miles.min"),
        (1, "hours.max"),
        (3, "features"),
    ]
    assert rejected["findings"][2]["message"] == ("rain has no published rows for 2030-01-01 yet")


def test_lookups_follow_what_is_published(tmp_path: Path) -> None:
    write(tmp_path)
    project = tm.open(tmp_path, workflow=workflow(tmp_path))
    project.run(inline=True)
    row = {"day": str(DAYS[-1]), "id": 1, "zone": "a", "miles": 3.0}
    with served(project) as server:
        age = server.predict([row], "tips").json["rain_age_s"]
        published = time.time() - age
        write_rain(tmp_path, DAYS[-1], 9.0)
        project.run(inline=True)

        def is_newer() -> bool:
            asked = time.time()
            return bool(asked - server.predict([row], "tips").json["rain_age_s"] > published)

        until(is_newer)
        assert server.predict([row], "tips").status == 200


def test_a_stage_that_reads_labels_is_refused(tmp_path: Path) -> None:
    flow = workflow(tmp_path)

    @flow.transform
    def leaky(rides: tm.Frame[Rides]) -> tm.Frame[RideFeatures]:
        return rides.select("day", "id", hours=pl.col("tip"), inches=pl.col("miles"))

    live = flow.approvals[0]
    flow.endpoint("leaky", model=live, features=leaky)
    with pytest.raises(UsageError, match=r"reads rides\.tip, which is a label"):
        tm.open(tmp_path, workflow=flow).serving.serve(ServeSettings(port=0))
