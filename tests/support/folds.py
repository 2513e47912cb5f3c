"""A stage with a folded input, for tests of folds."""

from __future__ import annotations

from typing import Any

import polars as pl

import tidemill as tm
from tidemill.analysis.code.code_fingerprint import code_of
from tidemill.reuse.probe import probe
from tidemill.reuse.recipe import Evidence, Platform, Recipe, recipe_of
from tidemill.workflow.seal import seal
from tidemill.workflow.stage import Stage
from tidemill.workflow.workflow import Workflow

HERE = Platform(engine=pl.__version__, python="3.11.7", machine="here")
PLAIN: dict[str, Any] = {"n": tm.fold.count(), "late": tm.fold.sum("delay")}


class Flights(tm.Contract, key=("day", "flight")):
    day = tm.Date(partition="1d")
    flight = tm.Int64()
    origin = tm.String()
    delay = tm.Float64(nullable=True)
    kind = tm.Categorical()
    odd = tm.String(regex=r"\p{Greek}")


class Routes(tm.Contract, key=("origin",)):
    origin = tm.String()
    n = tm.UInt32()
    late = tm.Float64(nullable=True)


def stage_of(fold: Any, **options: Any) -> Stage:
    """A stage that is handed flights as they are folded."""
    flow = Workflow("w")

    @flow.ingest
    def flights() -> tm.Source[Flights]:
        return tm.files("*.parquet")

    @flow.transform(fold=fold, **options)
    def routes(flights: tm.Frame[Flights]) -> tm.Frame[Routes]:
        return flights.select("origin", "n", late="late")

    return seal(flow)["routes"]


def recipe(stage: Stage) -> Recipe:
    assert stage.function is not None
    found = probe(stage)
    assert found is not None
    assert not found.faults
    return recipe_of(stage, Evidence(code=code_of(stage.function), query=found.query), HERE)
