"""Models of real libraries are continued day by day, and predict what the library itself gives by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.support.tides import day
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
from tidemill.project.project import open_project

pytest.importorskip("sklearn")

FIRST, DAYS = 9, 10
KEY = ["day", "id"]


class Warm(Trained):
    """A project whose model is continued; it is sent its days one after the other."""

    def __init__(
        self, root: Path, frame: pl.DataFrame, types: dict[str, str], train: str, loss: str
    ) -> None:
        super().__init__(root, frame, types, train, loss)
        self.edit("seed=1)", "seed=1, warm_start=3, retrain=tm.new_data())")
        self.edit("seed: int)", "seed: int, parent: tm.Parent | None)")
        # These models are far from good, and have to go live to be continued.
        self.edit("tm.beats_baseline", "tm.beats_live")
        # Eight of ten days would be all that are before the last two.
        self.edit('tm.last("8d", before', 'tm.last("6d", before')
        self.later = root / "later"
        self.later.mkdir()
        for number in range(FIRST, DAYS):
            path = root / "data" / f"{day(number)}.parquet"
            path.rename(self.later / path.name)

    def send_next(self) -> None:
        """Send the days that were held back."""
        for path in self.later.iterdir():
            path.rename(self.root / "data" / path.name)

    def window(self, first: int, last: int) -> pl.DataFrame:
        """The rows of some days as the training function gets them."""
        paths = [self.root / "data" / f"{day(n)}.parquet" for n in range(first, last + 1)]
        return pl.concat([pl.read_parquet(path).sort(KEY) for path in paths])

    def predictions(self) -> Any:
        """What the newest version predicts for all rows in order."""
        project = self.open()
        rows = project.read("features").collect().sort(KEY)
        found = project.model("model", candidate=True).predict(rows)["prediction"].to_numpy()
        project.close()
        return found

    def probabilities(self) -> Any:
        """The probability of each class for all rows in order."""
        project = self.open()
        rows = project.read("features").collect().sort(KEY)
        found = project.model("model", candidate=True).predict(rows)
        project.close()
        return found.select(f"probability_{name}" for name in WINES).to_numpy()


def continued(project: Warm) -> list[Any]:
    """The artifact of the first training, and that of one that continues it."""
    assert project.run().exit_code in (0, 4)
    first = project.artifact()
    project.send_next()
    assert project.run(train=["model"]).exit_code in (0, 4)
    return [first, project.artifact()]


LIGHTGBM = """
import lightgbm as lgb

encoder = tm.encoder(table, inputs=Features.reads(*INPUTS), parent=parent)
settings = {"objective": "l2", "verbosity": -1, "num_threads": 1, "seed": seed, "deterministic": True}
rows = lgb.Dataset(encoder.transform(table), table["y"].to_numpy())
start = parent.model if parent is not None else None
booster = lgb.train(settings, rows, 20, init_model=start)
return tm.fitted(booster, inputs=encoder, output="y")
"""
BATCHED = LIGHTGBM.replace(
    'rows = lgb.Dataset(encoder.transform(table), table["y"].to_numpy())',
    'batches = tm.batches(features, labels, on=["day", "id"], rows=50)\n'
    'rows = batches.as_lightgbm(encoder, "y", params=settings)',
)
MULTICLASS = """
import lightgbm as lgb

settings = {"objective": "multiclass", "num_class": 3, "verbosity": -1, "num_threads": 1, "seed": seed}
codes = {"barolo": 0, "grignolino": 1, "barbera": 2}
coded = tm.batches(features, labels, on=["day", "id"], rows=7).map(
    lambda rows: rows.with_columns(code=pl.col("y").cast(str).replace_strict(codes))
)
rows = coded.as_lightgbm(INPUTS, "code", params=settings)
start = parent.model if parent is not None else None
booster = lgb.train(settings, rows, 5, init_model=start)
return tm.fitted(booster, inputs=Features.reads(*INPUTS), output="y", classes=list(codes))
"""
XGBOOST = """
import xgboost as xgb

encoder = tm.encoder(table, inputs=Features.reads(*INPUTS), parent=parent)
rows = xgb.DMatrix(encoder.transform(table), table["y"].to_numpy())
start = parent.model if parent is not None else None
booster = xgb.train({"max_depth": 3, "nthread": 1, "seed": seed}, rows, 20, xgb_model=start)
return tm.fitted(booster, inputs=encoder, output="y")
"""
QUANTILES = XGBOOST.replace(
    'rows = xgb.DMatrix(encoder.transform(table), table["y"].to_numpy())',
    'batches = tm.batches(features, labels, on=["day", "id"])\n'
    'rows = xgb.QuantileDMatrix(batches.as_xgboost(encoder, "y"), nthread=1)',
)


def matrix(table: pl.DataFrame) -> Any:
    """The columns of the diabetes data as an encoder makes them."""
    sex = pl.col("sex").replace_strict({"f": 0.0, "m": 1.0})
    names = [name for name in table.columns if name not in (*KEY, "y")]
    return table.with_columns(sex).select(pl.col(names).cast(pl.Float64)).to_numpy()


def lightgbm_by_hand(tables: list[pl.DataFrame]) -> Any:
    lgb = pytest.importorskip("lightgbm")
    settings = {
        "objective": "l2",
        "verbosity": -1,
        "num_threads": 1,
        "seed": 1,
        "deterministic": True,
    }
    booster = None
    for table in tables:
        rows = lgb.Dataset(matrix(table), table["y"].to_numpy())
        booster = lgb.train(dict(settings), rows, 20, init_model=booster)
    return booster


def xgboost_by_hand(tables: list[pl.DataFrame]) -> Any:
    xgb = pytest.importorskip("xgboost")
    booster = None
    for table in tables:
        rows = xgb.DMatrix(matrix(table), table["y"].to_numpy())
        settings = {"max_depth": 3, "nthread": 1, "seed": 1}
        booster = xgb.train(settings, rows, 20, xgb_model=booster)
    return booster


def quantiles_by_hand(tables: list[pl.DataFrame]) -> Any:
    xgb = pytest.importorskip("xgboost")
    booster = None
    for table in tables:
        rows = xgb.QuantileDMatrix(matrix(table), table["y"].to_numpy(), nthread=1)
        settings = {"max_depth": 3, "nthread": 1, "seed": 1}
        booster = xgb.train(settings, rows, 20, xgb_model=booster)
    return booster


def xgboost_rows(table: pl.DataFrame) -> Any:
    return pytest.importorskip("xgboost").DMatrix(matrix(table))


@pytest.mark.parametrize(
    ("train", "by_hand", "rows", "trees"),
    [
        (LIGHTGBM, lightgbm_by_hand, matrix, lambda booster: booster.num_trees()),
        (BATCHED, lightgbm_by_hand, matrix, lambda booster: booster.num_trees()),
        (XGBOOST, xgboost_by_hand, xgboost_rows, lambda booster: booster.num_boosted_rounds()),
        (QUANTILES, quantiles_by_hand, xgboost_rows, lambda booster: booster.num_boosted_rounds()),
    ],
    ids=["lightgbm", "lightgbm in batches", "xgboost", "xgboost in batches"],
)
def test_a_booster_gets_more_trees(
    tmp_path: Path,
    train: str,
    by_hand: Callable[[list[pl.DataFrame]], Any],
    rows: Callable[[pl.DataFrame], Any],
    trees: Callable[[Any], int],
) -> None:
    project = Warm(tmp_path, diabetes(), DIABETES, train, MAE)
    first, second = continued(project)
    assert (first.generation, second.generation) == (0, 1)
    assert second.parent.id == first.id
    assert second.trained_on["features"] == tuple(day(n) for n in range(2, 8))
    booster = by_hand([project.window(1, 6), project.window(2, 7)])
    assert trees(booster) == 40
    expected = booster.predict(rows(project.window(0, 9)))
    assert np.abs(project.predictions() - expected).max() <= 1e-9
    # The same again.
    project.run(train=["model"])
    assert project.artifact().id == second.id


def test_a_booster_for_several_classes_is_continued_in_batches(tmp_path: Path) -> None:
    lgb = pytest.importorskip("lightgbm")
    project = Warm(tmp_path, wine(), WINE, MULTICLASS, WRONG)
    _, second = continued(project)
    assert second.generation == 1
    settings = {
        "objective": "multiclass",
        "num_class": 3,
        "verbosity": -1,
        "num_threads": 1,
        "seed": 1,
    }
    booster: Any = None
    for window in (project.window(1, 6), project.window(2, 7)):
        codes = window["y"].cast(str).replace_strict({n: c for c, n in enumerate(WINES)})
        rows = lgb.Dataset(window.drop(*KEY, "y").to_numpy(), codes.to_numpy())
        booster = lgb.train(dict(settings), rows, 5, init_model=booster)
    expected = booster.predict(project.window(0, 9).drop(*KEY, "y").to_numpy())
    found = project.probabilities()
    assert np.abs(found - expected).max() <= 1e-9


SGD = """
from sklearn.linear_model import SGDClassifier

if parent is None:
    model = SGDClassifier(loss="log_loss", random_state=seed, shuffle=False)
    fresh = table
else:
    model = parent.model
    others = parent.unseen(labels)
    fresh = parent.unseen(features).join(others, on=["day", "id"], maintain_order="left").collect()
rows = fresh.select(INPUTS).to_numpy()
model.partial_fit(rows, fresh["y"].to_numpy(), classes=[False, True])
return tm.fitted(model, inputs=Features.reads(*INPUTS), output="y")
"""


def scaled_cancer() -> pl.DataFrame:
    """The tumours with columns of about one."""
    table = cancer()
    names = [name for name in table.columns if name != "y"]
    return table.with_columns(pl.col(name) / pl.col(name).max() for name in names)


def test_partial_fit_learns_the_new_day_only(tmp_path: Path) -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    project = Warm(tmp_path, scaled_cancer(), CANCER, SGD, BRIER)
    first, second = continued(project)
    assert (second.parent.id, second.format) == (first.id, "sklearn")
    model = linear.SGDClassifier(loss="log_loss", random_state=1, shuffle=False)
    for window in (project.window(1, 6), project.window(7, 7)):
        rows = window.drop(*KEY, "y").to_numpy()
        model.partial_fit(rows, window["y"].to_numpy(), classes=[False, True])
    everything = project.window(0, 9).drop(*KEY, "y").to_numpy()
    assert np.abs(project.predictions() - model.predict_proba(everything)[:, 1]).max() <= 1e-12
    # The first training has seen one day less.
    assert second.id != first.id


WARM_FOREST = """
from sklearn.ensemble import RandomForestRegressor

if parent is None:
    model = RandomForestRegressor(10, warm_start=True, random_state=seed, n_jobs=1)
else:
    model = parent.model.set_params(n_estimators=10 * (parent.generation + 2))
encoder = tm.encoder(table, inputs=Features.reads(*INPUTS), parent=parent)
model.fit(encoder.transform(table), table["y"].to_numpy())
return tm.fitted(model, inputs=encoder, output="y")
"""


def test_warm_start_of_scikit_learn_adds_trees(tmp_path: Path) -> None:
    project = Warm(tmp_path, diabetes().drop("bmi"), DIABETES, WARM_FOREST, MAE)
    continued(project)
    tools = project.open().tools
    [form] = [form for form in tools.formats if form.name == "sklearn"]
    model = form.restore(tools.artifacts.get(project.artifact().object))
    assert (type(model).__name__, len(model.estimators_)) == ("RandomForestRegressor", 20)


TORCH = """
import torch
from net import Net

torch.manual_seed(seed)
model = parent.model if parent is not None else Net(len(INPUTS))
table = parent.unseen(features).join(parent.unseen(labels), on=["day", "id"]).collect() if parent else table
rows = torch.tensor(table.select(INPUTS).to_numpy(), dtype=torch.float32)
label = torch.tensor(table["y"].to_numpy(), dtype=torch.float32)
steps = torch.optim.SGD(model.parameters(), lr=1e-6)
for _ in range(5):
    steps.zero_grad()
    ((model(rows).squeeze(1) - label) ** 2).mean().backward()
    steps.step()
return tm.fitted(model, inputs=Features.reads(*INPUTS), output="y")
"""
NET = """
import torch


class Net(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.width = width
        self.layer = torch.nn.Linear(width, 1)

    def forward(self, rows):
        return self.layer(rows)
"""


@pytest.mark.slow
def test_the_state_of_a_pytorch_module_is_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    project = Warm(tmp_path, diabetes().drop("bmi", "sex"), {"y": "tm.Float64()"}, TORCH, MAE)
    first, second = continued(project)
    assert (second.format, second.parent.id) == ("torch", first.id)
    tools = project.open().tools
    [form] = [form for form in tools.formats if form.name == "torch"]
    model = form.restore(tools.artifacts.get(first.object))
    fresh = project.window(7, 7)
    rows = torch.tensor(fresh.drop(*KEY, "y").to_numpy(), dtype=torch.float32)
    label = torch.tensor(fresh["y"].to_numpy(), dtype=torch.float32)
    steps = torch.optim.SGD(model.parameters(), lr=1e-6)
    for _ in range(5):
        steps.zero_grad()
        ((model(rows).squeeze(1) - label) ** 2).mean().backward()
        steps.step()
    everything = torch.tensor(project.window(0, 9).drop(*KEY, "y").to_numpy(), dtype=torch.float32)
    expected = model(everything).squeeze(1).detach().numpy()
    assert np.abs(project.predictions() - expected).max() <= 1e-3


def test_another_encoding_than_that_of_the_parent_is_refused(tmp_path: Path) -> None:
    train = LIGHTGBM.replace(", parent=parent)", ")")
    frame = diabetes().with_columns(
        sex=pl.when(pl.int_range(pl.len()) % DAYS == 7).then(pl.lit("a")).otherwise("sex")
    )
    project = Warm(tmp_path, frame, DIABETES, train, MAE)
    project.run()
    first = project.artifact()
    project.send_next()
    receipt = project.run(train=["model"])
    assert receipt.exit_code == 1
    assert any(
        f"its category 0 of 'sex' is 'a', but 'f' in its parent {first.id}: it can't have been continued"
        in message
        and "tm.encoder(table, inputs=..., parent=parent)" in message
        for message in receipt.messages
    )
    assert project.artifact() == first
    # With the encoder of its parent, a new category follows those that it knows.
    project.edit(
        "inputs=Features.reads(*INPUTS))", "inputs=Features.reads(*INPUTS), parent=parent)"
    )
    project.run(train=["model"])
    assert project.artifact().parent is None, "its code changed"


@pytest.mark.slow
def test_two_trainings_are_compared_with_the_same_parent(tmp_path: Path) -> None:
    project = Warm(tmp_path, diabetes(), DIABETES, LIGHTGBM, MAE)
    _, second = continued(project)
    opened = open_project(project.root, workflow="tides:flow")
    [found] = opened.checks.report(twice=1).trained
    assert (found.failed, found.same_bytes, found.same_as_published) == ((), True, True)
    opened.close()
    assert project.artifact() == second
