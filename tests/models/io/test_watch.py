"""Which rows of a prediction log count when served predictions are compared with the evaluation's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import tidemill as tm
from tidemill.ledger.delivery import Delivery
from tidemill.models.io.watch import ModelWatch
from tidemill.models.predicted_values import prediction_profile
from tidemill.models.triggers import Observation
from tidemill.store.profiles import SMALL
from tidemill.testing.records import model_artifact
from tidemill.workflow.gate import Scores

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
SHIFT = tm.prediction_shift(of="requests")


class Loans(tm.Contract, version="1.0.0"):
    amount = tm.Float64(nullable=True)


Hourly = tm.prediction_log(Loans, tm.log(partition="1h"))
Daily = tm.prediction_log(Loans)
Classes = tm.prediction_log(Loans, classes=("late", "on time", "early"))


class Log:
    """A project that reads a log; `predict` adds a file of what versions answered on a day."""

    def __init__(self, folder: Path, contract: Any, evaluated: Sequence[object] | None) -> None:
        self._folder, self._contract = folder, contract
        flow = tm.Workflow("loans")

        def requests() -> Any:
            return tm.files("log/*.parquet")

        requests.__annotations__["return"] = tm.Source[contract]
        flow.ingest(requests)
        (folder / "log").mkdir()
        self.project = tm.open(folder, workflow=flow)
        predictions = None
        if evaluated is not None:
            predictions = prediction_profile(pl.DataFrame({"prediction": evaluated}))
        artifact = replace(model_artifact("v1"), trained_on={"loans": ("2025-12-01",)})
        scores = Scores(rows=1, metrics={}, predictions=predictions)
        self.live = Delivery(
            name="model",
            artifact=artifact,
            decision="",
            scores=scores,
            at=0.0,
            through="2025-12-31",
        )

    def predict(
        self,
        number: float,
        predictions: Sequence[object],
        *,
        version: str = "v1",
        arm: str = "live",
    ) -> None:
        at, rows = FIRST + timedelta(number), len(predictions)
        name = f"{number}-{version}-{arm}"
        facts: dict[str, Any] = {
            "log_id": [name] * rows, "log_row": range(rows), "log_time": [at] * rows,
            "log_request": ["r"] * rows, "log_endpoint": ["loans"] * rows,
            "log_version": [version] * rows, "log_contract": ["Loans 1.0.0"] * rows,
            "log_arm": [arm] * rows, "amount": [None] * rows, "prediction": predictions,
        }  # fmt: skip
        schema = self._contract.sample(0).schema
        facts |= {name: [None] * rows for name in schema if name not in facts}
        frame = pl.DataFrame(facts, schema_overrides=schema)
        frame.write_parquet(self._folder / "log" / f"{name}.parquet")

    def observe(self, since: str = "2025-12-31") -> Observation:
        assert self.project.run(inline=True).status == "ok"
        watch = ModelWatch(
            self.project.tools.artifacts,
            self.project.flow,
            self.project.state().heads,
            {"model": self.live},
        )
        return watch.prediction_shift(SHIFT, "model", since)


def around(mean: float, number: int, rows: int = 200) -> list[float]:
    return list(np.random.default_rng(number).normal(mean, 1, rows))


@pytest.mark.parametrize("rows", [200, SMALL])
def test_only_what_the_live_version_answered_as_live_counts(tmp_path: Path, rows: int) -> None:
    log = Log(tmp_path, Daily, around(0, 99, 2_000))
    for number in range(4):
        log.predict(number, around(0, number, rows))
    calm = log.observe()
    assert "the mean prediction is " in calm.seen
    assert "over 4 days" in calm.seen
    assert (calm.evidence or 0) < 50
    # Candidates, versions that callers named, and versions that were live before.
    for number in range(2, 6):
        for version, arm in (("v2", "shadow"), ("v2", "canary"), ("v1", "version"), ("v0", "live")):
            log.predict(number, around(9, number, rows), version=version, arm=arm)
    mixed = log.observe()
    assert mixed.seen == calm.seen
    assert mixed.evidence == pytest.approx(calm.evidence, abs=1e-6)
    for number in range(4, 8):
        log.predict(number, around(1, number, rows))
    found = log.observe()
    assert (found.evidence or 0) >= 365
    assert found.seen.endswith("alarm on 2026-01-06")
    # What led to the last training isn't counted again.
    assert log.observe("2026-01-08").seen == (
        "no predictions were served since those of the approval"
    )


def test_hours_of_a_day_are_one_day(tmp_path: Path) -> None:
    # Nights differ from days, and both are as in the evaluation.
    log = Log(tmp_path, Hourly, around(0, 98, 500) + around(5, 99, 500))
    for number in range(6):
        log.predict(number, around(0, number, 100))
        log.predict(number + 0.5, around(5, number + 50, 100))
    found = log.observe()
    assert found.limit == 365
    assert "over 6 days" in found.seen
    assert (found.evidence or 0) < 50


def test_classes_and_missing_predictions(tmp_path: Path) -> None:
    log = Log(tmp_path, Classes, ["late"] * 100 + ["on time"] * 800 + ["early"] * 100)
    usual = ["late"] * 10 + ["on time"] * 80 + ["early"] * 10 + [None] * 40
    log.predict(0, usual)
    log.predict(1, [None] * 300)
    calm = log.observe()
    assert (calm.seen, (calm.evidence or 0) < 10) == ("predicted classes of 1 day", True)
    for number in range(2, 6):
        log.predict(number, ["late"] * 60 + ["on time"] * 40)
    assert "; alarm on 2026-01-0" in log.observe().seen


def test_a_day_of_few_rows_is_little_evidence(tmp_path: Path) -> None:
    log = Log(tmp_path, Daily, around(0, 99, 500))
    log.predict(0, [50.0])
    log.predict(1, [50.0])
    assert 0 < (log.observe().evidence or 0) < 100


def test_versions_from_before_evaluations_were_recorded(tmp_path: Path) -> None:
    log = Log(tmp_path, Daily, None)
    for number in range(10):
        log.predict(number, around(0 if number < 7 else 1, number))
    # It is judged on data that isn't by time, so that any day may count.
    found = log.observe("all")
    assert "over 3 days, " in found.seen
    assert found.seen.endswith("alarm on 2026-01-09")


def test_an_endpoint_that_nobody_asked(tmp_path: Path) -> None:
    log = Log(tmp_path, Daily, around(0, 99))
    watch = ModelWatch(log.project.tools.artifacts, log.project.flow, {}, {"model": log.live})
    assert watch.prediction_shift(SHIFT, "model", "").seen.startswith("no predictions were served")
    unnamed = watch.prediction_shift(tm.prediction_shift(), "model", "")
    assert unnamed.seen == "no table delivers predictions of model by time"
    assert "of=" in unnamed.note


def test_a_log_that_cannot_be_read_is_no_alarm(tmp_path: Path) -> None:
    log = Log(tmp_path, Daily, around(0, 99))
    log.predict(0, around(1, 0))
    log.observe()
    for product in (b.product for b in log.project.state().heads["requests"].partitions.values()):
        for name in product.objects:
            Path(log.project.tools.artifacts.uri(name)).unlink()
    watch = ModelWatch(
        log.project.tools.artifacts, log.project.flow, log.project.state().heads,
        {"model": log.live},
    )  # fmt: skip
    found = watch.prediction_shift(SHIFT, "model", "")
    assert (found.seen, found.evidence) == ("the predictions of requests can't be read", None)
    assert found.note
