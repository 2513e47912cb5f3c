"""Features of request rows are those of the partition, bit for bit, whichever rows arrive together."""

from __future__ import annotations

import asyncio
import json
import random
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import tidemill as tm
from tests.support.contracts import spec_of
from tidemill.core.errors import StorageError
from tidemill.project.project import Project
from tidemill.reuse.probe import probe
from tidemill.serving.errors import Unavailable
from tidemill.serving.input_schema import InputSchema
from tidemill.serving.io import feature_query
from tidemill.serving.io.feature_batches import FeatureBatches
from tidemill.serving.io.feature_inputs import FeatureInputs
from tidemill.serving.io.feature_plan import query_tree
from tidemill.serving.io.feature_query import FeatureQuery, LookupsNotLoaded, LookupsUnreadable
from tidemill.serving.served_features import NotServable, ServedFeatures, served_features
from tidemill.store.frames import FrameStore
from tidemill.workflow.partition_mapping import partitionings_of


class Trips(tm.Contract, version="1.0.0", key=("day", "id")):
    """A taxi trip."""

    day = tm.Date(partition="1d")
    id = tm.String()
    zone = tm.Enum(["a", "b", "c"])
    miles = tm.Float64(nullable=True)
    fare = tm.Float64(nullable=True)


class Rain(tm.Contract, version="1.0.0", key=("day", "zone")):
    """Rain by day and zone."""

    day, zone = Trips.day, Trips.zone
    inches = tm.Float64(nullable=True)


class Zones(tm.Contract, version="1.0.0", key=("zone",)):
    """What is known of a zone."""

    zone = Trips.zone
    people = tm.Int64()


class Features(tm.Contract, version="1.0.0", key=("day", "id")):
    """What is known of a trip when it begins."""

    day, id, zone = Trips.day, Trips.id, Trips.zone
    rate = tm.Float64(nullable=True)
    wet = tm.Float64(nullable=True)
    people = tm.Int64(nullable=True)
    share = tm.Float64(nullable=True)


DAYS = [date(2024, 3, 8) + timedelta(days=number) for number in range(4)]


def write(folder: Path, seed: int = 1) -> None:
    """Trips and rain of some days, and the zones."""
    for name in ("trips", "rain", "zones"):
        (folder / name).mkdir(parents=True)
    chance = random.Random(seed)
    for day in DAYS:
        count = chance.choice([1, 2, 37])
        rows = {
            "day": [day] * count,
            "id": [f"trip {number}" for number in range(count)],
            "zone": [chance.choice("abc") for _ in range(count)],
            "miles": [chance.choice([None, chance.random() * 9, 0.1]) for _ in range(count)],
            "fare": [chance.random() * 40 for _ in range(count)],
        }
        pl.DataFrame(rows).write_parquet(folder / "trips" / f"{day}.parquet")
        rain = {"day": [day] * 2, "zone": ["a", "b"], "inches": [chance.random(), None]}
        pl.DataFrame(rain).write_parquet(folder / "rain" / f"{day}.parquet")
    pl.DataFrame({"zone": ["a", "b"], "people": [10, 20]}).write_parquet(
        folder / "zones" / "all.parquet"
    )


def workflow(folder: Path) -> tm.Workflow:
    flow = tm.Workflow("trips")

    @flow.ingest
    def trips() -> tm.Source[Trips]:
        return tm.files(str(folder / "trips" / "*.parquet"))

    @flow.ingest
    def rain() -> tm.Source[Rain]:
        return tm.files(str(folder / "rain" / "*.parquet"))

    @flow.ingest
    def zones() -> tm.Source[Zones]:
        return tm.files(str(folder / "zones" / "*.parquet"))

    @flow.transform
    def features(
        trips: tm.Frame[Trips], rain: tm.Frame[Rain], zones: tm.Frame[Zones]
    ) -> tm.Frame[Features]:
        total = zones.select(all=pl.col("people").sum())
        known = zones.join(total, how="cross").select(
            "zone", "people", share=pl.col("people") / pl.col("all")
        )
        return (
            trips.join(rain, on=["day", "zone"], how="left", maintain_order="left")
            .join(known, on="zone", how="left", maintain_order="left")
            .select(
                "day", "id", "zone", "people", "share",
                rate=pl.col("miles") / 60 + 0.0, wet=(pl.col("inches") + 1).log(),
            )
        )  # fmt: skip

    return flow


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("trips")
    write(folder)
    project = tm.open(folder, workflow=workflow(folder))
    project.run(inline=True)
    return project


def plan_of(project: Project, name: str = "features") -> ServedFeatures:
    stage = project.stage(name)
    found = probe(stage)
    assert found is not None
    return served_features(stage, found.query, query_tree(stage))


def query_of(project: Project) -> FeatureQuery:
    query = FeatureQuery(
        project.stage("features"),
        plan_of(project),
        partitionings_of(project.flow),
        FrameStore(project.tools.artifacts, lambda: None),
    )
    query.refresh(project.state())
    return query


def test_the_plan_names_what_a_request_carries(opened: Project) -> None:
    assert plan_of(opened) == ServedFeatures(
        stage="features",
        rows="trips",
        columns=("day", "id", "zone", "miles"),
        lookups=("rain", "zones"),
        key=("day", "id"),
        repeat=True,
    )


COLUMNS = ["zone", "rate", "wet", "people", "share"]


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_served_features_are_those_of_the_partition(opened: Project, size: int) -> None:
    query, chance = query_of(opened), random.Random(size)
    trips = opened.read("trips").collect()
    known = {(row["day"], row["id"]): row for row in opened.read("features").collect().to_dicts()}
    whole = {key: len(part) for key, part in trips.group_by("day")}
    for _ in range(20):
        rows = trips.sample(min(size, trips.height), seed=chance.randrange(10**6), shuffle=True)
        found = query.compute(rows.select(plan_of(opened).columns), COLUMNS)
        assert not found.missing
        for asked, got in zip(rows.to_dicts(), found.rows.to_dicts(), strict=True):
            # Polars has other kernels for a partition of one row.
            if whole[asked["day"],] > 1:
                stored = known[asked["day"], asked["id"]]
                assert got == {name: stored[name] for name in COLUMNS}


def test_equal_keys_with_other_values_are_computed_apart(opened: Project) -> None:
    rows = pl.DataFrame(
        {
            "day": [DAYS[0]] * 3,
            "id": ["x"] * 3,
            "zone": ["a", "b", "a"],
            "miles": [60.0, 120.0, None],
        },
        schema_overrides={"zone": pl.Enum(["a", "b", "c"])},
    )
    found = query_of(opened).compute(rows, ["rate", "people"])
    assert found.rows.to_dict(as_series=False) == {
        "rate": [1.0, 2.0, None],
        "people": [10, 20, 10],
    }
    assert set(found.lookups) == {"rain", "zones"}


@pytest.mark.parametrize("count", [3, 150])
def test_rows_of_many_days_are_computed_as_each_alone(opened: Project, count: int) -> None:
    """Polars divides one row by 60, but multiplies several by 1 / 60, which has other bits for some."""
    query = query_of(opened)
    rows = pl.DataFrame(
        {
            "day": [DAYS[at % len(DAYS)] for at in range(2 * count)],
            "id": [str(at % count) for at in range(2 * count)],
            "zone": ["abc"[at % 3] for at in range(2 * count)],
            "miles": [None if at % 5 == 0 else at / 7 for at in range(2 * count)],
        },
        schema_overrides={"zone": pl.Enum(["a", "b", "c"])},
    )
    alone = pl.concat(query.compute(rows[at : at + 1], COLUMNS).rows for at in range(2 * count))
    found = query.compute(rows, COLUMNS)
    assert not found.missing
    assert found.rows.equals(alone)


def test_lookups_are_loaded_only_where_that_may_take_its_time(opened: Project) -> None:
    query = query_of(opened)
    rows = opened.read("trips").collect().head(2).select(plan_of(opened).columns)
    with pytest.raises(LookupsNotLoaded):
        query.compute(rows, COLUMNS, may_load=False)
    loaded = query.compute(rows, COLUMNS).rows
    assert query.compute(rows, COLUMNS, may_load=False).rows.equals(loaded)
    query.refresh(opened.state())
    with pytest.raises(LookupsNotLoaded):
        query.compute(rows, COLUMNS, may_load=False)


def test_lookups_that_cannot_be_read_are_those_of_before_until_they_can(
    opened: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = opened.read("trips").collect().head(1).select(plan_of(opened).columns)
    query = query_of(opened)
    before = query.compute(rows, COLUMNS)
    read = FrameStore.load
    refused: list[int] = []

    def load(*_: Any) -> pl.LazyFrame:
        refused.append(1)
        raise StorageError("the object x is missing")

    query.refresh(opened.state())
    monkeypatch.setattr(FrameStore, "load", load)
    for _ in range(3):
        found = query.compute(rows, COLUMNS)
        assert (found.rows.equals(before.rows), found.lookups) == (True, before.lookups)
    assert query.fault == "rain can't be looked up: the object x is missing"
    # It isn't tried again for each request, nor for one that finds nothing.
    fresh = query_of(opened)
    for _ in range(3):
        with pytest.raises(LookupsUnreadable, match="rain can't be looked up"):
            fresh.compute(rows, COLUMNS)
    assert len(refused) == 2
    monkeypatch.setattr(FrameStore, "load", read)
    monkeypatch.setattr(feature_query, "_RETRY_S", -1.0)
    query.refresh(opened.state())
    fresh.refresh(opened.state())
    assert fresh.compute(rows, COLUMNS).rows.equals(before.rows)
    monkeypatch.setattr(FrameStore, "load", load)
    query.refresh(opened.state())
    query.compute(rows, COLUMNS)
    monkeypatch.setattr(FrameStore, "load", read)
    with pytest.raises(LookupsNotLoaded):
        query.compute(rows, COLUMNS, may_load=False)
    assert query.compute(rows, COLUMNS).rows.equals(before.rows)
    assert query.fault == ""


def test_callers_are_asked_to_come_back_while_nothing_can_be_looked_up(
    opened: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: Any) -> pl.LazyFrame:
        raise StorageError("the object /srv/x is missing")

    monkeypatch.setattr(FrameStore, "load", load)
    contract = opened.stage("features").output
    assert contract is not None

    async def ask() -> None:
        query = query_of(opened)
        batches = FeatureBatches(query)
        schema = InputSchema(spec_of(Trips), plan_of(opened).columns)
        inputs = FeatureInputs(schema, batches, contract, ("rate",))
        row = {"day": str(DAYS[0]), "id": "x", "zone": "a", "miles": 60.0}
        request = schema.decode_rows(json.dumps([row]).encode())
        with pytest.raises(Unavailable) as refused:
            await inputs.compute(request, partial=False)
        assert "/srv" not in str(refused.value)
        await batches.close()

    asyncio.run(ask())


def test_a_row_of_a_partition_without_lookups_says_so(opened: Project) -> None:
    rows = pl.DataFrame(
        {
            "day": [date(2030, 1, 1), DAYS[0]],
            "id": ["x", "y"],
            "zone": ["a", "a"],
            "miles": [60.0, 60.0],
        },
        schema_overrides={"zone": pl.Enum(["a", "b", "c"])},
    )
    found = query_of(opened).compute(rows, ["rate"])
    assert found.rows["rate"].to_list() == [None, 1.0]
    assert found.missing == {0: "rain has no published rows for 2030-01-01 yet"}


def refusal(opened: Project, function: object) -> str:
    flow = tm.Workflow("other")
    flow.declarations += workflow(Path("nowhere")).declarations[:3]
    flow.transform(function)  # type: ignore[call-overload]
    project = tm.open(opened.root, workflow=flow)
    with pytest.raises(NotServable) as caught:
        plan_of(project, function.__name__)  # type: ignore[attr-defined]
    return str(caught.value)


def test_what_looks_at_several_rows_is_refused(opened: Project) -> None:
    def ranked(trips: tm.Frame[Trips]) -> tm.Frame[Features]:
        return trips.select(
            "day", "id", "zone",
            rate=pl.col("miles").rank(), wet=None, people=None, share=None,
        )  # fmt: skip

    assert "doesn't compute each row from one row of an input (by rows of trips: Rank" in refusal(
        opened, ranked
    )


def test_a_mean_over_a_group_is_refused(opened: Project) -> None:
    def centred(trips: tm.Frame[Trips]) -> tm.Frame[Features]:
        centre = pl.col("miles").mean().over("day", "id")
        return trips.select(
            "day", "id", "zone", rate=centre, wet=None, people=None, share=None
        )  # fmt: skip

    assert "over(), which looks at several rows" in refusal(opened, centred)


def test_a_key_that_is_computed_is_refused(opened: Project) -> None:
    def renamed(trips: tm.Frame[Trips]) -> tm.Frame[Features]:
        return trips.select(
            "day", "zone", id=pl.col("id").str.to_uppercase(),
            rate=pl.lit(None, pl.Float64), wet=pl.lit(None, pl.Float64),
            people=pl.lit(None, pl.Int64), share=pl.lit(None, pl.Float64),
        )  # fmt: skip

    assert "the key column 'id' isn't taken from trips as it is" in refusal(opened, renamed)
