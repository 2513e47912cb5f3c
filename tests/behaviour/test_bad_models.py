"""Models and evaluations of bad data: nothing goes live on a figure that isn't one, and messages say why."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.behaviour.test_undated_models import in_halves, judged, regression, two_classes
from tests.support.trained import CANCER, DIABETES, cancer, diabetes
from tests.support.undated import Undated
from tidemill.testing.doubles import MemoryModelProbe

pytest.importorskip("sklearn")

LINEAR = """
from sklearn.linear_model import LinearRegression

fitted = LinearRegression().fit(table.select(NUMBERS), table["y"].to_numpy())
return tm.fitted(fitted, inputs=Rows.reads(*NUMBERS), output="y")
""".replace("NUMBERS", "[n for n in INPUTS if n != 'sex']")
TREE = """
from sklearn.tree import DecisionTreeClassifier

fitted = DecisionTreeClassifier().fit(table.select(INPUTS), table["y"].to_numpy())
return tm.fitted(fitted, inputs=Rows.reads(*INPUTS), output="y")
"""
LIGHTGBM = """
import lightgbm as lgb

rows = lgb.Dataset(table.select(INPUTS).to_numpy(), table["y"].cast(int).to_numpy())
options = {"objective": "binary", "verbosity": -1, "num_threads": 1}
return tm.fitted(lgb.train(options, rows, 3), inputs=Rows.reads(*INPUTS), output="y")
"""
XGBOOST = """
import xgboost as xgb

rows = xgb.DMatrix(table.select(INPUTS).to_numpy(), table["y"].cast(int).to_numpy())
options = {"objective": "binary:logistic", "nthread": 1}
return tm.fitted(xgb.train(options, rows, 3), inputs=Rows.reads(*INPUTS), output="y")
"""


def in_one_process(project: Undated) -> Undated:
    """Load exports in this process, which is faster."""
    project.use(model_probe=MemoryModelProbe())
    return project


def numbers(root: Path, frame: pl.DataFrame) -> Undated:
    """A linear model of numbers only."""
    types = DIABETES | {"group": "tm.String()"}
    filled = frame.with_columns(pl.col("bmi").fill_null(25.0))
    metrics = 'tm.metrics.mae("y"), tm.metrics.r2("y")'
    return in_one_process(Undated(root, in_halves(filled, "age"), types, LINEAR, metrics))


def refused(project: Undated) -> str:
    """The evidence of the gate that compares with the baseline, in a run that lets nothing live."""
    receipt = project.run()
    assert receipt.exit_code == 4, receipt.messages
    state = project.open().state()
    assert state.live == {}
    assert not (project.root / "out.db").exists()
    [beats, slices] = judged(project)
    assert not beats.passed
    assert not slices.passed
    assert f"FAILED {beats.gate}: {beats.evidence}" in receipt.messages[-1]
    return beats.evidence


@pytest.mark.parametrize("confidence", ["", ", confidence=0.95"])
def test_an_evaluation_of_no_rows(tmp_path: Path, confidence: str) -> None:
    project = numbers(tmp_path, diabetes())
    project.edit(", confidence=0.95", confidence)
    project.edit("% 3 == 0)", "% 3 == 5)")
    assert refused(project) == "nan against nan of the baseline; no row was scored"
    assert project.open().models.scores("scores")["candidate"].rows == 0


@pytest.mark.parametrize(
    ("metric", "shown"),
    [
        ('mae=(pl.col("prediction") / 0).mean()', "inf"),
        ('mae=-(pl.col("prediction") / 0).mean()', "-inf"),
        ('mae=(pl.col("prediction") * float("nan")).mean()', "nan"),
        ('mae=(pl.col("prediction") + pl.lit(None)).mean()', "nan"),
    ],
)
def test_a_figure_that_is_not_finite(tmp_path: Path, metric: str, shown: str) -> None:
    project = numbers(tmp_path, diabetes())
    project.edit('tm.metrics.mae("y"), ', "")
    project.edit('tm.metrics.r2("y")', f'tm.metrics.r2("y"), {metric}')
    assert refused(project).startswith(f"{shown} against {shown} of the baseline; not finite over")


def test_one_infinite_label_spoils_the_figure_only(tmp_path: Path) -> None:
    spoiled = pl.when(pl.int_range(pl.len()) == 3).then(float("inf")).otherwise("y")
    project = numbers(tmp_path, diabetes().with_columns(y=spoiled))
    assert refused(project).startswith("inf against inf of the baseline; not finite over 148 rows")


def test_a_candidate_without_a_figure_leaves_the_live_model(tmp_path: Path) -> None:
    project = numbers(tmp_path, diabetes())
    project.ok()
    live, delivered = project.open().state().live["model"], project.delivered()
    project.edit("% 3 == 0)", "% 3 == 5)")
    project.edit("LinearRegression()", "LinearRegression(positive=True)")
    receipt = project.run(train=["model"])
    assert receipt.exit_code == 4
    assert "no row was scored" in receipt.messages[-1]
    assert project.open().state().live["model"].artifact == live.artifact
    assert project.delivered().equals(delivered)


def test_one_class_to_evaluate(tmp_path: Path) -> None:
    project = in_one_process(two_classes(tmp_path))
    project.edit('pl.col("id") % 3 == 0)', '(pl.col("id") % 3 == 0) & pl.col("y"))')
    project.text = project.text.replace('("log_loss"', '("auc"')
    project.edit('tm.metrics.auc("y")', 'tm.metrics.auc("y"), tm.metrics.average_precision("y")')
    evidence = refused(project)
    assert evidence.startswith("nan against nan of the baseline; not finite over 114 rows")
    assert evidence.endswith("their labels don't define it")


@pytest.mark.parametrize("value", [True, False])
@pytest.mark.parametrize("train", [TREE, LIGHTGBM, XGBOOST])
def test_one_class_to_train_on(tmp_path: Path, train: str, value: bool) -> None:
    pytest.importorskip("lightgbm")
    pytest.importorskip("xgboost")
    types = CANCER | {"group": "tm.String()"}
    frame = in_halves(cancer(), "mean_texture")
    project = in_one_process(Undated(tmp_path, frame, types, train, 'tm.metrics.auc("y")'))
    project.edit("% 3 != 0)", f'% 3 != 0, pl.col("y") == {value})')
    receipt = project.run()
    assert receipt.exit_code == 1
    [message] = receipt.messages
    assert message.startswith("model (")
    assert message.endswith(
        f"the training rows have only one value of 'y', {value}: a classifier needs two"
    )
    assert "model" not in project.open().state().heads


def test_constant_features_teach_nothing_and_break_nothing(tmp_path: Path) -> None:
    project = numbers(tmp_path, diabetes().with_columns(bp=pl.lit(1.0), s1=pl.lit(0.0)))
    project.ok()
    predictions = project.delivered()["prediction"]
    assert predictions.is_finite().all()
    assert predictions.n_unique() > 400


def test_a_model_of_constant_features_is_no_better_than_the_baseline(tmp_path: Path) -> None:
    names = [n for n in diabetes().columns if n not in ("y", "sex")]
    project = numbers(tmp_path, diabetes().with_columns(pl.lit(1.0).alias(n) for n in names))
    assert project.run().exit_code == 4
    assert not judged(project)[0].passed


def test_no_label_to_train_on(tmp_path: Path) -> None:
    project = regression(tmp_path)
    in_one_process(project)
    project.edit("y = tm.Float64()", "y = tm.Float64(nullable=True)")
    project.edit(
        "training.collect()", "training.with_columns(y=pl.lit(None, pl.Float64)).collect()"
    )
    receipt = project.run()
    assert receipt.exit_code == 1
    assert "Input y contains NaN" in receipt.messages[0]
    assert "model" not in project.open().state().heads
