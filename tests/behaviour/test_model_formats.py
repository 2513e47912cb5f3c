"""Models of each library go through a whole workflow, on data sets that scikit-learn ships."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import polars as pl
import pytest

from tests.support.trained import (
    BRIER,
    CANCER,
    DIABETES,
    MAE,
    WINE,
    WINES,
    WRONG,
    Trained,
    cancer,
    diabetes,
    wine,
)
from tidemill.core.errors import TidemillError

pytest.importorskip("sklearn")

PIPELINE = """
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

numbers = [name for name in INPUTS if name != "sex"]
steps = ColumnTransformer([
    ("sex", OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["sex"]),
    ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), numbers),
])
pipeline = make_pipeline(steps, HistGradientBoostingRegressor(max_iter=30, random_state=seed))
pipeline.fit(table.select(INPUTS), table["y"].to_numpy())
return tm.fitted(pipeline, inputs=Features.reads(*INPUTS), output="y")
"""
ENCODED = """
import lightgbm as lgb

encoder = tm.encoder(table, inputs=Features.reads(*INPUTS))
rows = lgb.Dataset(encoder.transform(table), table["y"].to_numpy(), categorical_feature=encoder.categorical)
booster = lgb.train({"objective": "l2", "verbosity": -1, "num_threads": 1, "seed": seed}, rows, 30)
return tm.fitted(booster, inputs=encoder, output="y")
"""
XGBOOST = """
import xgboost as xgb

encoder = tm.encoder(table, inputs=Features.reads(*INPUTS))
rows = xgb.DMatrix(encoder.transform(table), table["y"].to_numpy())
booster = xgb.train({"max_depth": 3, "nthread": 1, "seed": seed}, rows, 30)
return tm.fitted(booster, inputs=encoder, output="y")
"""
ONNX = """
from skl2onnx import to_onnx
from sklearn.ensemble import GradientBoostingRegressor

encoder = tm.encoder(table, inputs=Features.reads(*(n for n in INPUTS if n != "bmi")))
rows = encoder.transform(table).astype("float32")
forest = GradientBoostingRegressor(n_estimators=30, random_state=seed).fit(rows, table["y"].to_numpy())
return tm.fitted(to_onnx(forest, rows[:1]), inputs=encoder, output="y")
"""


@pytest.mark.parametrize(
    ("train", "form", "feed"),
    [
        (PIPELINE, "sklearn", "frame"),
        (ENCODED, "lightgbm", "matrix"),
        (XGBOOST, "xgboost", "matrix"),
        (ONNX, "onnx", "matrix"),
    ],
    ids=["sklearn", "lightgbm", "xgboost", "onnx"],
)
def test_a_regression_with_text_and_nulls_goes_live(
    tmp_path: Path, train: str, form: str, feed: str
) -> None:
    pytest.importorskip(form)
    project = Trained(tmp_path, diabetes(), DIABETES, train, MAE)
    project.ok()
    artifact = project.artifact()
    assert (artifact.format, artifact.feed, artifact.classes) == (form, feed, "")
    assert artifact.export_difference <= 1e-6
    scores = project.open().models.scores("scores")
    assert scores["candidate"].metrics["loss"] < scores["baseline"].metrics["loss"]
    delivered = project.delivered()
    assert delivered.height == 442
    assert delivered["prediction"].dtype == pl.Float64
    assert delivered["prediction"].is_finite().all()
    # From Python, the same rows get the same predictions, in any order and company.
    loaded = project.open().model("model")
    rows = project.open().read("features").collect()
    again = loaded.predict(rows.reverse()).select("day", "id", "prediction").sort("day", "id")
    apart = (delivered.sort("day", "id")["prediction"] - again["prediction"]).to_numpy()
    assert abs(apart).max() <= (0 if form in ("lightgbm", "xgboost") else 1e-6 * 400)


def test_the_same_training_gives_the_same_version(tmp_path: Path) -> None:
    project = Trained(tmp_path, diabetes(), DIABETES, PIPELINE, MAE)
    project.ok()
    first = project.artifact()
    project.edit("max_iter=30", "max_iter=30 + 0")
    project.run(train=("model",))
    assert project.artifact().id == first.id
    project.edit("max_iter=30 + 0", "max_iter=31")
    project.run(train=("model",))
    assert project.artifact().id != first.id


FOREST = """
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier

forest = CalibratedClassifierCV(RandomForestClassifier(20, random_state=seed), cv=3)
forest.fit(table.select(INPUTS).to_numpy(), table["y"].to_numpy())
return tm.fitted(forest, inputs=Features.reads(*INPUTS), output="y")
"""
BOOSTED = """
import lightgbm as lgb

model = lgb.LGBMClassifier(n_estimators=20, verbose=-1, n_jobs=1, random_state=seed)
model.fit(table.select(INPUTS).to_numpy(), table["y"].to_numpy())
return tm.fitted(model, inputs=Features.reads(*INPUTS), output="y")
"""
LOGISTIC = """
import xgboost as xgb

model = xgb.XGBClassifier(n_estimators=20, n_jobs=1, random_state=seed)
model.fit(table.select(INPUTS).to_numpy(), table["y"].to_numpy())
return tm.fitted(model, inputs=Features.reads(*INPUTS), output="y")
"""


@pytest.mark.parametrize(
    ("train", "form"),
    [(FOREST, "sklearn"), (BOOSTED, "lightgbm"), (LOGISTIC, "xgboost")],
    ids=["sklearn", "lightgbm", "xgboost"],
)
def test_two_classes_are_predicted_as_the_probability_of_true(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, train: str, form: str
) -> None:
    pytest.importorskip(form)
    monkeypatch.delenv("QUICK_BOOSTERS")
    project = Trained(tmp_path, cancer(), CANCER, train, BRIER)
    project.ok()
    artifact = project.artifact()
    assert artifact.format == form
    assert artifact.class_labels == (False, True)
    assert 0.55 < artifact.baseline < 0.7
    assert artifact.export_difference <= 1e-6
    scores = project.open().models.scores("scores")
    assert scores["candidate"].metrics["loss"] < 0.1 < 0.2 < scores["baseline"].metrics["loss"]
    delivered = project.delivered()
    assert delivered["prediction"].is_between(0, 1).all()
    joined = delivered.join(project.open().read("labels").collect(), on=["day", "id"])
    right = joined.select(((pl.col("prediction") > 0.5) == pl.col("y")).mean()).item()
    assert right > 0.95


KINDS = """
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
model.fit(table.select(INPUTS), table["y"].cast(str).to_numpy())
return tm.fitted(model, inputs=Features.reads(*INPUTS), output="y")
"""
POSITIONS = """
import lightgbm as lgb

rows = lgb.Dataset(table.select(INPUTS).to_numpy(), table["y"].to_physical().to_numpy())
options = {"objective": "multiclass", "num_class": 3, "verbosity": -1, "num_threads": 1, "seed": seed}
return tm.fitted(lgb.train(options, rows, 20), inputs=Features.reads(*INPUTS), output="y")
"""
SOFTPROB = """
import xgboost as xgb

rows = xgb.DMatrix(table.select(INPUTS).to_numpy(), table["y"].to_physical().to_numpy())
options = {"objective": "multi:softprob", "num_class": 3, "nthread": 1, "seed": seed}
return tm.fitted(xgb.train(options, rows, 20), inputs=Features.reads(*INPUTS), output="y")
"""
ONNX_KINDS = """
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier

rows = table.select(INPUTS).to_numpy().astype("float32")
forest = RandomForestClassifier(20, random_state=seed).fit(rows, table["y"].cast(str).to_numpy())
return tm.fitted(to_onnx(forest, rows[:1]), inputs=Features.reads(*INPUTS), output="y")
"""


@pytest.mark.parametrize(
    ("train", "form", "classes"),
    [
        (KINDS, "sklearn", tuple(sorted(WINES))),
        (POSITIONS, "lightgbm", tuple(WINES)),
        (SOFTPROB, "xgboost", tuple(WINES)),
        (ONNX_KINDS, "onnx", tuple(sorted(WINES))),
    ],
    ids=["sklearn", "lightgbm", "xgboost", "onnx"],
)
def test_three_classes_are_predicted_with_their_probabilities(
    tmp_path: Path, train: str, form: str, classes: tuple[str, ...]
) -> None:
    pytest.importorskip(form)
    project = Trained(tmp_path, wine(), WINE, train, WRONG)
    project.ok()
    artifact = project.artifact()
    assert (artifact.format, artifact.class_labels) == (form, classes)
    scores = project.open().models.scores("scores")
    assert scores["candidate"].metrics["loss"] < 0.2 < 0.5 < scores["baseline"].metrics["loss"]
    delivered = project.delivered()
    assert delivered["prediction"].dtype == pl.Enum(WINES)
    chances = delivered.select(f"probability_{name}" for name in classes)
    assert abs(chances.sum_horizontal().to_numpy() - 1).max() < 1e-6
    best = chances.select(
        pl.concat_list(pl.all()).list.arg_max().replace_strict(dict(enumerate(classes)))
    ).to_series()
    assert best.to_list() == delivered["prediction"].cast(str).to_list()


SVM = """
from sklearn.svm import LinearSVC

model = LinearSVC().fit(table.select(INPUTS).to_numpy(), table["y"].cast(str).to_numpy())
return tm.fitted(model, inputs=Features.reads(*INPUTS), output="y")
"""
LAMBDA = """
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

model = make_pipeline(FunctionTransformer(lambda rows: rows), LogisticRegression(max_iter=5000))
model.fit(table.select(INPUTS).to_numpy(), table["y"].cast(str).to_numpy())
return tm.fitted(model, inputs=Features.reads(*INPUTS), output="y")
"""
OWN = """
class Own:
    def predict(self, rows):
        return rows[:, 0]

return tm.fitted(Own(), inputs=Features.reads(*INPUTS), output="y")
"""
BAD = [
    # The positions of text labels are an order that only the training function knows.
    (
        POSITIONS.replace('table["y"].to_physical()', '(table["y"].rank("dense") - 1)'),
        {"y": "tm.String()"},
        "predicts the class 0, but 'y' is String: name the classes",
    ),
    (SVM, WINE, "has no predict_proba, and a classifier predicts probabilities"),
    (LAMBDA, WINE, "<lambda>, which isn't loaded from a file"),
    (SOFTPROB.replace("softprob", "softmax"), WINE, "multi:softmax predicts no probabilities"),
    (OWN, WINE, "can't be stored (known: lightgbm, xgboost, onnx, torch, sklearn)"),
]


@pytest.mark.parametrize(("train", "types", "words"), BAD, ids=[one[2][:25] for one in BAD])
def test_models_that_cant_be_stored_fail_their_step(
    tmp_path: Path, train: str, types: dict[str, str], words: str
) -> None:
    pytest.importorskip("xgboost")
    frame = wine() if types is WINE else wine().with_columns(pl.col("y").cast(pl.String))
    project = Trained(tmp_path, frame, types, train, WRONG)
    receipt = project.run()
    assert receipt.exit_code == 1
    assert any(words in message for message in receipt.messages), receipt.messages


def test_a_missing_library_is_known_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Trained(tmp_path, diabetes(), DIABETES, PIPELINE, MAE)
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "tidemill.project.model_probe.find_spec",
        lambda name: None if name == "skops" else found(name),
    )
    words = (
        r"a model of sklearn is stored with skops, which isn't installed \(pip install 'tidemill\["
    )
    with pytest.raises(TidemillError, match=words) as raised:
        project.run()
    assert raised.value.exit_code == 3
    assert project.events("Attempted") == []
    assert any("skops" in note for note in project.open().checks.notes())
    project.edit("seed=1)", 'seed=1, format="lightgbm")')
    project.run()
    assert project.events("Attempted") != []
