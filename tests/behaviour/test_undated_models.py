"""Data without days: ingested, split, trained, judged over blocks of rows, delivered, and rolled back."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.support.trained import CANCER, DIABETES, WINE, WINES, cancer, diabetes, wine
from tests.support.undated import Undated
from tidemill.ledger.event import Decided
from tidemill.workflow.gate import GateOutcome, GateResult

pytest.importorskip("sklearn")

LINEAR = """
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

numbers = make_pipeline(SimpleImputer(), StandardScaler())
text = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
steps = [("sex", text, ["sex"]), ("numbers", numbers, [n for n in INPUTS if n != "sex"])]
fitted = make_pipeline(ColumnTransformer(steps), Ridge(alpha=1.0))
fitted.fit(table.select(INPUTS), table["y"].to_numpy())
return tm.fitted(fitted, inputs=Rows.reads(*INPUTS), output="y")
"""
LOGISTIC = """
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

fitted = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=500))
fitted.fit(table.select(INPUTS), table["y"].cast(KIND).to_numpy())
return tm.fitted(fitted, inputs=Rows.reads(*INPUTS), output="y")
"""
CLASSES = 'tm.metrics.multiclass_log_loss("y", classes=WINES), tm.metrics.accuracy("y")'.replace(
    "WINES", repr(WINES)
)


def in_halves(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """Add a group by the median of a column."""
    low = pl.col(column) < pl.col(column).median()
    return frame.with_columns(group=pl.when(low).then(pl.lit("low")).otherwise(pl.lit("high")))


def regression(root: Path) -> Undated:
    types = DIABETES | {"group": "tm.String()"}
    metrics = 'tm.metrics.mae("y"), tm.metrics.r2("y")'
    return Undated(root, in_halves(diabetes(), "age"), types, LINEAR, metrics)


def two_classes(root: Path) -> Undated:
    types = CANCER | {"group": "tm.String()"}
    metrics = 'tm.metrics.log_loss("y"), tm.metrics.auc("y"), tm.calibration("y", bins=5)'
    train = LOGISTIC.replace("KIND", "bool")
    return Undated(root, in_halves(cancer(), "mean_texture"), types, train, metrics)


def three_classes(root: Path) -> Undated:
    types = WINE | {"group": "tm.String()"}
    return Undated(root, in_halves(wine(), "ash"), types, LOGISTIC.replace("KIND", "str"), CLASSES)


# The data set, the metric of its gates, and an edit that gives another good model.
SETS = {
    "diabetes": (regression, "mae", ("alpha=1.0", "alpha=30.0")),
    "breast cancer": (two_classes, "log_loss", ("C=1.0", "C=0.3")),
    "wine": (three_classes, "multiclass_log_loss", ("C=1.0", "C=0.8")),
}


def judged(project: Undated) -> list[GateResult]:
    """What the gates found at the last decision."""
    event = project.events("Decided")[-1]
    assert isinstance(event, Decided)
    return list(event.decision.results)


@pytest.mark.parametrize("name", SETS)
def test_from_a_file_to_a_sink_and_back_to_an_earlier_version(tmp_path: Path, name: str) -> None:
    make, metric, other = SETS[name]
    project = make(tmp_path)
    project.ok()
    found = project.open().models.scores("scores")
    candidate, baseline = found["candidate"], found["baseline"]
    assert candidate.metrics[metric] < baseline.metrics[metric]
    assert [(part.value, part.rows > 20) for part in candidate.slices] == [
        ("high", True), ("low", True)
    ]  # fmt: skip
    # Blocks of rows stand in for days: the comparison with the baseline is paired, and beyond noise.
    beats, slices = judged(project)
    assert (beats.outcome, slices.outcome) == (GateOutcome.PASSED, GateOutcome.PASSED)
    assert beats.difference is not None
    assert beats.difference.days == 20
    assert 0 < beats.difference.low < beats.difference.value
    first = project.delivered()
    rows = project.open().read("rows").collect().height
    assert (first.height, first["prediction"].null_count()) == (rows, 0)

    project.edit(*other)
    project.ok(train=["model"])
    second = project.delivered()
    assert second["model"].unique().to_list() != first["model"].unique().to_list()
    assert not second.drop("model").equals(first.drop("model"))

    # A model that learned from shuffled labels is not better than the baseline beyond noise.
    project.edit('table["y"]', 'table["y"].shuffle(seed=1)')
    assert project.run(train=["model"]).exit_code == 4
    assert not judged(project)[0].passed
    assert project.delivered().equals(second)

    project.open().models["model"].rollback(reason="the first was better")
    project.run()
    assert project.delivered().equals(first)


def test_the_calibration_is_recorded_with_the_scores(tmp_path: Path) -> None:
    project = two_classes(tmp_path)
    project.ok()
    scores = project.open().models.scores("scores")["candidate"]
    assert scores.metrics["auc"] > 0.97
    curve = scores.curves["calibration"]
    assert sum(curve["rows"]) == scores.rows == 190
    assert all(0 <= share <= 1 for share in (*curve["predicted"], *curve["actual"]))


def test_without_blocks_the_gate_says_what_is_missing(tmp_path: Path) -> None:
    project = regression(tmp_path)
    project.edit(', day="block"', "")
    assert project.run().exit_code == 4
    [beats, _] = judged(project)
    assert beats.outcome is GateOutcome.UNKNOWN
    assert "by blocks of rows that are independent of each other" in beats.evidence


def test_slices_that_are_too_small_say_so(tmp_path: Path) -> None:
    project = three_classes(tmp_path)
    project.edit("min_rows=20", "min_rows=40")
    project.ok()
    project.edit("C=1.0", "C=0.3")
    assert project.run(train=["model"]).exit_code == 4
    assert judged(project)[1].evidence == (
        "no slice of at least 40 rows and a figure to compare; "
        "evaluate on more rows, or lower min_rows="
    )


def test_check_notes_an_evaluation_on_the_rows_of_the_training(tmp_path: Path) -> None:
    project = regression(tmp_path)
    assert not any("trained on" in note for note in project.open().checks.notes())
    project.edit("unseen: tm.Frame[Rows]) -> tm.Scores", "training: tm.Frame[Rows]) -> tm.Scores")
    project.edit("model.predict(unseen)", "model.predict(training)")
    assert any(
        note.startswith("scores: it reads all of 'training', as the training of 'model' does")
        for note in project.open().checks.notes()
    )
