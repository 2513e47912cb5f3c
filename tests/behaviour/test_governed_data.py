"""Rules on models and tables of data that nobody here made: scikit-learn's sets, and CSV as it comes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.behaviour.test_governed_models import said
from tests.behaviour.test_governed_tables import Shore
from tidemill.ledger.event import Delivered, EffectQueued
from tidemill.ledger.governance_events import PolicyDecided, ReviewOpened
from tidemill.ledger.policy import PolicyOutcome

pytest.importorskip("lightgbm")
pytest.importorskip("sklearn")

DIABETES = """
import lightgbm as lgb
import polars as pl
import tidemill as tm


class Patients(tm.Contract, version="1.0.0", key=("id",)):
    id = tm.Int64(pii="patient")
    age, sex, bmi = tm.Float64(), tm.String(), tm.Float64(nullable=True)
    progress = tm.Float64()


class Features(tm.Contract, version="1.0.0", key=("id",)):
    id, age, sex, bmi = Patients.id, Patients.age, Patients.sex, Patients.bmi


class Labels(tm.Contract, version="1.0.0", key=("id",)):
    id, progress = Patients.id, Patients.progress


flow = tm.Workflow("tides", owner="clinic")


@flow.ingest
def patients() -> tm.Source[Patients]:
    return tm.files("data/*.csv")


@flow.transform
def features(patients: tm.Frame[Patients]) -> tm.Frame[Features]:
    return patients.select("id", "age", "sex", "bmi")


@flow.transform
def labels(patients: tm.Frame[Patients]) -> tm.Frame[Labels]:
    return patients.select("id", "progress")


@flow.model(params={"rounds": 20}, seed=1)
def guess(
    features: tm.Frame[Features], labels: tm.Frame[Labels], params: tm.Params, seed: int
) -> tm.Fitted:
    table = features.join(labels, on="id").collect()
    data = lgb.Dataset(table.select("age", "bmi").to_numpy(), table["progress"].to_numpy())
    options = {"objective": "l1", "seed": seed, "verbose": -1, "num_threads": 1, "deterministic": True}
    booster = lgb.train(options, data, params["rounds"])
    return tm.fitted(booster, inputs=Features.reads("age", "bmi"), output="progress")


@flow.evaluate
def scores(
    guess: tm.Predictor, features: tm.Frame[Features], labels: tm.Frame[Labels]
) -> tm.Scores:
    scored = guess.predict(features).join(labels, on="id").join(features.select("id", "sex"), on="id")
    return tm.scores(scored, mae=(pl.col("prediction") - pl.col("progress")).abs().mean(), by="sex")


live = flow.approve(guess, gates=[tm.beats_baseline("mae")])
flow.table("scored", model=live, features=features, sink=tm.parquet("out"), on_new_model="rescore")
"""

RULES = """
[[rule]]
id = "shift"
on = ["delivery"]
when = "prediction_shift > 0.05"
message = "predictions move"
effect = "review"
people = 1

[[rule]]
id = "shown"
on = ["table"]
when = "moved_rows > 0.5"
message = "most predictions change"
"""


class Clinic(Shore):
    """442 patients, some without a body mass index, in a file with a comma in a text."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, DIABETES)
        for path in (root / "data").glob("*.parquet"):
            path.unlink()
        found = import_module("sklearn.datasets").load_diabetes()
        frame = pl.DataFrame(
            {
                "id": np.arange(len(found.target)),
                "age": found.data[:, 0],
                "sex": np.where(found.data[:, 1] > 0, "m, or so", "f"),
                "bmi": found.data[:, 2],
                "progress": found.target,
            }
        )
        bmi = pl.when(pl.col("id") % 40 == 7).then(None).otherwise(pl.col("bmi"))
        frame.with_columns(bmi=bmi).write_csv(root / "data" / "patients.csv")

    def facts(self) -> dict[str, object]:
        return dict(self.decisions()[-1].facts)


def test_a_model_of_patients_is_held_where_its_predictions_move(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path)
    clinic.rules(RULES)
    assert clinic.run().exit_code == 0
    first = [d for d in clinic.decisions() if d.kind == "delivery"][-1]
    assert first.facts["prediction_shift"] == 0.0
    assert first.facts["personal_columns"] == ()  # it reads age and bmi
    assert first.facts["training_rows"] == 442
    table = [d for d in clinic.decisions() if d.kind == "table"][-1]
    assert table.facts["personal_columns"] == ("features.id",)
    delivered = pl.read_parquet(tmp_path / "out" / "*.parquet")
    # Many more rounds fit other values: the candidate waits, and users keep what they have.
    clinic.edit('"rounds": 20', '"rounds": 300')
    receipt = clinic.run(train=["guess"])
    assert receipt.exit_code == 4
    assert "shift: predictions move" in said(receipt)
    moved = [d for d in clinic.decisions() if d.kind == "delivery"][-1]
    shift = moved.facts["prediction_shift"]
    assert isinstance(shift, float)
    assert 0.05 < shift <= 1
    assert moved.facts["code_changed"] is True
    assert pl.read_parquet(tmp_path / "out" / "*.parquet").equals(delivered)
    [opened] = [e.review for e in clinic.events() if isinstance(e, ReviewOpened)]
    project = clinic.open()
    project.reviews.approve(opened.id, "it fits better")
    project.close()
    # The model is live; its predictions are another change, which a rule of its own refuses.
    receipt = clinic.run()
    assert receipt.exit_code == 4
    assert "scored: 1 partition: refused by the rules" in said(receipt)
    assert pl.read_parquet(tmp_path / "out" / "*.parquet").equals(delivered)
    clinic.rules(RULES.replace("moved_rows > 0.5", "moved_rows > 1"))
    assert clinic.run().exit_code == 0
    assert not pl.read_parquet(tmp_path / "out" / "*.parquet").equals(delivered)


KILLED = """
import os, signal, sys
from tests.behaviour.test_governed_data import DIABETES
from tests.support.tides import flow_of
from pathlib import Path
from tidemill.project.project import open_project
from tidemill.runs.io.publisher import Publisher

publish = Publisher._publish


def die(self, parcels):
    if any(type(e).__name__ == "PolicyDecided" for parcel in parcels for e in parcel.events):
        os.kill(os.getpid(), signal.SIGKILL)
    publish(self, parcels)


Publisher._publish = die
root = Path(sys.argv[1])
open_project(root, workflow=flow_of(root, DIABETES)).run(raise_on_failure=False)
"""


@pytest.mark.slow
def test_a_process_that_is_killed_has_neither_decided_nor_delivered(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path)
    clinic.rules(RULES)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=240,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    kinds = [type(event) for event in clinic.events()]
    assert set(kinds).isdisjoint({PolicyDecided, Delivered, EffectQueued})
    # The next run finishes the one that died, and decides each change once.
    receipt = clinic.run()
    assert receipt.exit_code == 0
    assert [d.outcome for d in clinic.decisions()] == [PolicyOutcome.ALLOW] * 2
    assert sum(isinstance(event, Delivered) for event in clinic.events()) == 1
    assert clinic.run().exit_code == 0
    assert len(clinic.decisions()) == 2
