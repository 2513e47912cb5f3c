"""A stored model in this process: which one is loaded, and what it predicts."""

from pathlib import Path

import polars as pl
import pytest

from tests.behaviour.test_models import WINDOW, Sea
from tidemill.core.errors import UsageError


@pytest.fixture
def sea(tmp_path: Path) -> Sea:
    sea = Sea(tmp_path)
    for number in range(WINDOW):
        sea.flood(number)
    return sea


def test_the_live_model_predicts_and_the_candidate_if_it_is_asked_for(sea: Sea) -> None:
    sea.ok()
    sea.edit('"value": 9.0', '"value": 3.0')
    assert sea.run(train=["model"]).exit_code == 4
    with sea.open() as project:
        live, candidate = project.model("model"), project.model("model", candidate=True)
        frame = pl.DataFrame({"x": [1, None], "id": [7, 8]})
        assert live.predict(frame).to_dict(as_series=False) == {
            "x": [1, None],
            "id": [7, 8],
            "prediction": [9.0, 9.0],
        }
        assert candidate.predict(frame.lazy()).collect()["prediction"].to_list() == [3.0, 3.0]
        assert live.artifact.id == project.state().live["model"].artifact.id
        assert repr(live) == f"<LoadedModel model {live.artifact.id}: x -> y>"
        assert "<td>predicts</td><td>y from x</td>" in live._repr_html_()
        assert live.predict(frame.clear()).height == 0


def test_a_frame_must_have_the_columns_that_the_model_reads(sea: Sea) -> None:
    sea.ok()
    with sea.open() as project:
        model = project.model("model")
        with pytest.raises(
            UsageError, match=r"reads x, which the frame doesn't have \(did you mean 'xx'"
        ):
            model.predict(pl.DataFrame({"xx": [1.0]}))
        with pytest.raises(UsageError, match="predicts from numbers, but x is String: cast it"):
            model.predict(pl.DataFrame({"x": ["a"]}))
        assert model.predict(pl.DataFrame({"x": [True]})).height == 1
        with pytest.raises(UsageError, match="predict takes a Polars frame, not list"):
            model.predict([1.0])  # type: ignore[call-overload]


def test_a_model_that_is_not_there_is_named(sea: Sea) -> None:
    sea.edit('gates=[tm.beats_live("mae")]', 'gates=[tm.beats_baseline("mae")]')
    with sea.open() as project:
        with pytest.raises(
            UsageError, match=r"there is no model 'modle' \(did you mean 'model'\?\)"
        ):
            project.model("modle")
        with pytest.raises(UsageError, match="nothing published yet; run `tidemill run model`"):
            project.model("model")
    assert sea.run().exit_code == 4
    with sea.open() as project:
        with pytest.raises(UsageError, match="model has no approved version yet"):
            project.model("model")
        assert project.model("model", candidate=True).artifact.stage == "model"
