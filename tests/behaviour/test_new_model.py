"""Tables that follow a model: kept, or scored again, when another version goes live."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.behaviour.test_models import MODEL, WINDOW, Sea, flooded
from tests.support.tides import day
from tidemill.core.errors import DeclarationError

DAYS = [day(number) for number in range(WINDOW)]


@pytest.fixture
def sea(tmp_path: Path) -> Sea:
    sea = flooded(tmp_path)
    sea.edit('sink=tm.parquet("out")', 'sink=tm.parquet("out"), on_new_model="rescore"')
    return sea


def test_a_rescored_table_follows_every_version_that_goes_live(sea: Sea) -> None:
    assert sea.ok()["ok deliver out"] == DAYS
    assert sea.ok() == {}
    sea.edit('"value": 9.0', '"value": 10.0')
    project = sea.open()
    plan = project.plan(train=["model"])
    assert {step.reasons for step in plan.steps if step.stage == "out"} == {
        ("the gates may make another version of `model` live",)
    }
    assert sea.ok(train=["model"])["ok deliver out"] == DAYS
    assert set(sea.delivered().values()) == {10.0}
    assert sea.ok() == {}
    # Rows that come later are scored once, and the others are known to be current.
    sea.flood(WINDOW)
    assert sea.ok()["ok deliver out"] == [day(WINDOW)]


def test_a_refused_candidate_rescores_nothing(sea: Sea) -> None:
    sea.ok()
    sea.edit('"value": 9.0', '"value": 3.0')
    receipt = sea.run(train=["model"])
    assert receipt.exit_code == 4
    assert "ok deliver out" not in sea.ran(receipt)
    assert set(sea.delivered().values()) == {9.0}
    assert sea.ok() == {}


def test_a_failed_training_keeps_the_table_up_to_date(sea: Sea) -> None:
    sea.ok()
    sea.edit('tm.fitted(Constant(params["value"])', "tm.fitted(Constant(1 / 0)")
    sea.flood(WINDOW)
    receipt = sea.run(train=["model"])
    assert receipt.exit_code == 1
    assert sea.ran(receipt)["ok deliver out"] == [day(WINDOW)]
    assert set(sea.delivered().values()) == {9.0}


def test_a_table_that_becomes_rescored_says_which_version_is_live(tmp_path: Path) -> None:
    sea = flooded(tmp_path)
    sea.ok()
    before = sea.open().recipes["out"].digest
    sea.edit('sink=tm.parquet("out")', 'sink=tm.parquet("out"), on_new_model="rescore"')
    project = sea.open()
    assert project.recipes["out"].digest == before
    version = project.state().live["model"].artifact.id
    [reasons] = {step.reasons for step in project.plan().steps}
    assert reasons == (f"version {version} of `model` is live now",)
    assert sea.ok()["ok deliver out"] == DAYS
    assert sea.ok() == {}


def test_a_kept_table_reads_no_model(tmp_path: Path) -> None:
    sea = flooded(tmp_path)
    sea.ok()
    bound = sea.open().state().heads["out"].partitions[day(0)]
    assert list(bound.inputs) == ["features"]


def test_another_word_is_refused(tmp_path: Path) -> None:
    text = MODEL.replace('sink=tm.parquet("out")', 'sink=tm.parquet("out"), on_new_model="redo"')
    with pytest.raises(DeclarationError, match="'redo' is neither 'keep' nor 'rescore'"):
        Sea(tmp_path, text).open()


OTHER = (
    MODEL[MODEL.index("@flow.model") : MODEL.index("live = ")]
    .replace("def model(", "def other(")
    .replace("def scores(", "def other_scores(")
    .replace("model: tm.Predictor", "other: tm.Predictor")
    .replace("model.predict", "other.predict")
    .replace("9.0", "8.0")
)
SECOND = 'second = flow.approve(other, gates=[tm.beats_live("mae")])\n'


def test_a_table_that_another_model_scores_is_scored_again(tmp_path: Path) -> None:
    sea = flooded(tmp_path)
    sea.edit("flow.table(", f"{OTHER}{SECOND}flow.table(")
    assert sea.ok()["ok deliver out"] == DAYS
    assert set(sea.delivered().values()) == {9.0}
    sea.edit("model=live, ", "model=second, ")
    plan = sea.open().plan()
    assert {step.reasons for step in plan.steps} == {("`other` scores it instead of `model`",)}
    # A run that takes a part of it leaves the rest to the next one.
    assert sea.ok(limit=2)["ok deliver out"] == DAYS[:2]
    assert sea.ok()["ok deliver out"] == DAYS[2:]
    assert set(sea.delivered().values()) == {8.0}
    assert sea.ok() == {}


def test_a_table_that_a_model_begins_to_score_is_scored(tmp_path: Path) -> None:
    sea = flooded(tmp_path)
    sea.edit("model=live, features=features", "stage=features")
    assert sea.ok()["ok deliver out"] == DAYS
    sea.edit("stage=features", "model=live, features=features")
    assert {step.reasons for step in sea.open().plan().steps} == {
        ("whether a model scores its rows changed",)
    }
    assert sea.ok()["ok deliver out"] == DAYS
    assert set(sea.delivered().values()) == {9.0}
    assert sea.ok() == {}
