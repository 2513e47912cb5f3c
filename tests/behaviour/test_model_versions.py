"""A version is one training: found again by a kill, another environment, a way back; read from Python."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from tests.behaviour.test_live_models import Harbour, harbour
from tests.support.tides import flow_of
from tidemill.core.errors import StorageError, UsageError
from tidemill.ledger.event import Attempted
from tidemill.ledger.model_version import VersionState
from tidemill.project.project import Project, open_project


@pytest.fixture
def sea(tmp_path: Path) -> Harbour:
    return harbour(tmp_path)


def trainings(sea: Harbour) -> int:
    """How many trainings computed something."""
    tried = [e.attempt for e in sea.events("Attempted") if isinstance(e, Attempted)]
    return len([a for a in tried if (a.action, a.outcome) == ("train", "ok")])


def elsewhere(sea: Harbour, environment: str) -> Project:
    """The project in another environment, with the format that the tests use."""
    flow = flow_of(sea.root, sea.text)
    project = open_project(sea.root, workflow=flow, env=environment)
    project.workspace.tools = sea.change(project.tools)
    return project


def test_another_environment_finds_the_version(sea: Harbour) -> None:
    first = sea.train(9.0)
    second = sea.train(9.5)
    assert trainings(sea) == 2
    with elsewhere(sea, "dev") as project:
        assert project.run().exit_code == 0
        assert [v.id for v in project.models["model"].versions] == [second, first]
    sea.edit('"value": 9.5', '"value": 9.75')
    with elsewhere(sea, "dev") as project:
        assert project.run(train=["model"]).exit_code == 0
        [third, *_] = project.models["model"].versions
    assert trainings(sea) == 3
    # Production trained nothing: it has the version of the branch, by the same key.
    assert third.id not in [v.id for v in sea.open().models["model"].versions]
    receipt = sea.run()
    assert sea.ran(receipt)["bound bind model"] == ["all"]
    assert trainings(sea) == 3
    [same, *_] = sea.open().models["model"].versions
    assert (same.id, same.key, same.run, same.cost) == (
        *(third.id, third.key, third.run, third.cost),
    )


def test_the_way_back_is_no_training(sea: Harbour) -> None:
    first = sea.train(9.0)
    sea.train(9.5)
    sea.edit('"value": 9.5', '"value": 9.0')
    receipt = sea.run()
    assert sea.ran(receipt)["bound bind model"] == ["all"]
    assert trainings(sea) == 2
    [_, found] = sea.open().models["model"].versions
    assert found.id == first
    assert found.state is VersionState.REFUSED


def test_a_version_knows_what_it_was_trained_on(sea: Harbour) -> None:
    sea.train(9.0)
    [version] = sea.open().models["model"].versions
    artifact = version.artifact
    assert set(artifact.snapshot) == {"features", "labels"}
    contents = sea.contents()["features"]
    assert artifact.snapshot["features"] == {
        key: contents[key][:16] for key in artifact.trained_on["features"]
    }
    assert artifact.packages["polars"] == pl.__version__
    assert artifact.hardware["cores"]
    assert version.columns == {"features": ("day", "id", "x"), "labels": ("day", "id", "y")}
    assert version.cost is not None
    assert (version.cost.attempts, version.cost.rows) == (1, 16)
    assert version.state is VersionState.LIVE
    assert [e.scores.metrics for e in version.evaluations] == [{"mae": 1.0}, {"mae": 1.0}]


def test_models_are_a_mapping(sea: Harbour) -> None:
    assert len(sea.open().models) == 1
    first = sea.train(9.0)
    second = sea.train(9.5)
    project = sea.open()
    models = project.models
    assert (list(models), "model" in models, "raw" in models) == (["model"], True, False)
    model = models["model"]
    frame = pl.DataFrame({"x": [1.0, 2.0]})
    assert model.predict(frame)["prediction"].to_list() == [9.5, 9.5]
    assert model.predict(frame.lazy()).collect().height == 2
    assert model.load(first).predict(frame)["prediction"].to_list() == [9.0, 9.0]
    assert model.load(candidate=True).artifact.id == second
    assert project.model("model").artifact.id == second
    assert [model.version(name).id for name in ("", "live", "newest", first[:5])] == [
        *(second, second, second, first),
    ]
    assert [(p.version, p.actor) for p in model.history] == [(first, "gates"), (second, "gates")]
    assert model.compare(first, second).latency == {}
    timed = model.compare("newest", "live", latency=True).latency[second]
    assert (timed.rows, timed.one_row_s > 0, timed.batch_s > 0) == (12, True, True)
    assert model.rollback(reason="slow", note="ana").version == first
    assert model.version("live").id == first
    assert model.deliver("newest").version == second
    assert f"<td>{second}</td><td>live</td>" in model._repr_html_()
    assert model._repr_html_() == models._repr_html_()
    assert "<caption>model model in prod</caption>" in model._repr_html_()
    assert (repr(models), repr(model)) == ("<Models model>", "<RegisteredModel model in prod>")
    with pytest.raises(UsageError, match="there is no model 'raw'"):
        models["raw"]
    with pytest.raises(UsageError, match="has no version 'nope'"):
        model.load("nope")


def test_what_was_trained_before_stays_when_the_model_is_gone(sea: Harbour) -> None:
    sea.train(9.0)
    sea.text = sea.text[: sea.text.index("@flow.model")]
    models = sea.open().models
    assert list(models) == ["model"]
    [version] = models["model"].versions
    assert version.state is VersionState.LIVE
    empty = Harbour(sea.root.parent / "empty", sea.text)
    assert empty.open().models._repr_html_() == "&lt;Models none&gt;"


def test_an_export_is_whole_or_not_at_all(sea: Harbour, tmp_path: Path) -> None:
    sea.edit("tm.scores(scored,", 'tm.scores(scored, odd=pl.lit(float("nan")).mean(),')
    sea.train(9.0)
    model = sea.open().models["model"]
    target = tmp_path / "there"
    manifest = json.loads(model.export(target).read_text())
    version = model.version().id
    assert (target / f"model-{version}.constant").read_text() == "9.0"
    assert manifest["inputs"] == [{"name": "x", "type": "Float64", "nullable": False}]
    assert manifest["metrics"] == {"scores": {"mae": 1.0, "odd": None}}
    (target / "manifest.json").write_text("{}")
    with pytest.raises(UsageError, match=r"manifest\.json exists already"):
        model.export(target)
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file"):
        model.export(tmp_path / "file")
