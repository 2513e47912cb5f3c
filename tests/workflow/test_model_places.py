"""The endpoints and tables that predictions of a model go to."""

from __future__ import annotations

import tidemill as tm
from tidemill.workflow.model_places import places_of
from tidemill.workflow.seal import seal
from tidemill.workflow.stage import Flow


class People(tm.Contract, version="1.0.0", key=("day", "mail")):
    day = tm.Date(partition="1d")
    mail = tm.String(pii="e-mail")
    age = tm.Float64(pii="age")
    late = tm.Bool()


class Plain(tm.Contract, version="1.0.0", key=("day",)):
    day = People.day
    age = tm.Float64()
    prediction = tm.Float64()


def flow() -> Flow:
    made = tm.Workflow("shop")

    @made.ingest
    def people() -> tm.Source[People]:
        return tm.files("data/*.parquet")

    @made.model(window=tm.last("4d", before=tm.last("2d")))
    def model(people: tm.Frame[People]) -> tm.Fitted:
        raise NotImplementedError

    @made.evaluate(window=tm.last("2d"))
    def scores(model: tm.Predictor, people: tm.Frame[People]) -> tm.Scores:
        raise NotImplementedError

    live = made.approve(model, gates=[tm.beats_live("mae")])
    made.endpoint("delays", model=live)
    made.table("out", model=live, features=people, sink=tm.parquet("pub/out"))
    made.table("rows", stage=people, sink=tm.parquet("pub/rows"))
    made.table(
        "plain", model=live, features=people, sink=tm.postgres("env:DB", "marts.late"),
        contract=Plain,
    )  # fmt: skip
    return seal(made)


def test_places_have_names_and_columns() -> None:
    sealed = flow()
    stages = {stage.name: stage for stage in sealed.stages}
    found = {place.label: place for place in places_of("model", stages, sealed.endpoints)}
    assert sorted(found) == ["endpoint delays", "table out", "table plain"]
    assert found["endpoint delays"].names == ("delays",)
    assert found["table out"].names == ("out", "parquet", "parquet:pub/out")
    names = ("plain", "postgres", "postgres:env:DB", "postgres:env:DB:marts.late")
    assert found["table plain"].names == names
    # A table without a contract delivers the key.
    marks = {column.name: column.pii for column in found["table out"].columns}
    assert marks == {"day": "", "mail": "e-mail"}
    # A contract that forgot a mark doesn't hide what the rows are.
    marks = {column.name: column.pii for column in found["table plain"].columns}
    assert marks == {"day": "", "age": "age", "prediction": ""}
    assert [*places_of("other", stages, sealed.endpoints)] == []
