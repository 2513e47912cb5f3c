"""When a live model predicts lastingly otherwise than at its approval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contracts.profiles.partition_profile import profile_frame
from tidemill.ledger.delivery import Delivery
from tidemill.models.prediction_shift import PredictedPartition, observe_prediction_shift
from tidemill.models.triggers import Observation
from tidemill.testing.records import model_artifact
from tidemill.workflow.gate import Scores
from tidemill.workflow.trigger import prediction_shift

SHIFT = prediction_shift()
ARTIFACT = replace(model_artifact(), trained_on={"features": (), "labels": ()})


def day(number: int) -> str:
    return str(date(2013, 3, 1) + timedelta(days=number))


def live(through: int, trained: int = 0) -> Delivery:
    """A model that was trained up to a day, and approved on the days up to another."""
    known = {"features": tuple(day(n) for n in range(trained))}
    return Delivery(
        name="mod", artifact=replace(ARTIFACT, trained_on=known), decision="",
        scores=Scores(rows=1, metrics={}), at=0.0, through=day(through - 1) if through else "",
    )  # fmt: skip


def delivered(values: Sequence[object], number: int, *models: str) -> PredictedPartition:
    column = profile_frame(pl.DataFrame({"prediction": values})).columns[0]
    return PredictedPartition(
        day=day(number), models=frozenset(models or (ARTIFACT.id,)), column=column
    )


def normal(number: int, shift: float = 0.0, rows: int = 1_000) -> PredictedPartition:
    """Predictions around 0 + shift, other ones every day."""
    values = np.random.default_rng(number).normal(shift, 1, rows)
    return delivered(list(values), number)


def observed(parts: Sequence[PredictedPartition], model: Delivery, since: str = "") -> Observation:
    return observe_prediction_shift(SHIFT, model, parts, since, 365)


def test_predictions_as_at_approval_raise_no_alarm_in_a_year() -> None:
    found = observed([normal(n) for n in range(400)], live(30))
    assert (found.evidence or 0) < 300
    assert "over 370 days" in found.seen


@pytest.mark.parametrize("shift", [0.25, -0.25])
def test_a_quarter_of_a_standard_deviation_is_seen_in_three_days(shift: float) -> None:
    parts = [*(normal(n) for n in range(30)), *(normal(n, shift) for n in range(30, 40))]
    found = observed(parts, live(20))
    assert (found.evidence or 0) >= 365
    assert found.seen.rpartition("alarm on ")[2] in (day(31), day(32))


def test_only_the_live_model_on_days_that_it_was_not_trained_on_counts() -> None:
    parts = [
        *(normal(n, 9.0) for n in range(4)),
        *(normal(n) for n in range(4, 20)),
        replace(normal(20, 9.0), models=frozenset({"other"})),
        replace(normal(21, 9.0), models=frozenset({"other", ARTIFACT.id})),
    ]
    found = observed(parts, live(10, trained=4))
    assert "over 10 days" in found.seen
    assert (found.evidence or 0) < 50


def test_without_days_of_the_approval_the_first_week_is_the_reference() -> None:
    parts = [*(normal(n) for n in range(10, 17)), *(normal(n, 1.0) for n in range(17, 20))]
    found = observed(parts, live(10))
    assert found.seen.endswith(f"alarm on {day(18)}")


def test_only_days_after_the_last_training_count() -> None:
    parts = [*(normal(n) for n in range(20)), *(normal(n, 1.0) for n in range(20, 25))]
    assert (observed(parts, live(10)).evidence or 0) >= 365
    assert observed(parts, live(10), since=day(25)).evidence == 0.0


def test_it_needs_predictions() -> None:
    assert observed([], live(10)) == Observation(
        seen="the live model delivered 0 predictions to compare with", note="it needs 100"
    )
    known = [normal(n) for n in range(10)]
    assert observed(known, live(10)).seen == (
        "no predictions were delivered since those of the approval"
    )
    nothing = delivered([None] * 500, 12)
    assert observed([*known, nothing], live(10)).evidence == 0.0


def test_classes_that_are_predicted_more_often_are_seen() -> None:
    def classes(number: int, share: float) -> PredictedPartition:
        many = int(1_000 * share)
        return delivered(["late"] * many + ["on time"] * (1_000 - many), number)

    calm = [classes(n, 0.2) for n in range(20)]
    assert observed(calm, live(10)).seen == "predicted classes of 10 days"
    assert (observed(calm, live(10)).evidence or 0) < 10
    worse = [*calm, *(classes(n, 0.3) for n in range(20, 24))]
    assert observed(worse, live(10)).seen.endswith(f"alarm on {day(21)}")


@pytest.mark.parametrize("other", [6.0, 8.0])
def test_a_model_that_always_predicted_the_same_may_predict_something_else(other: float) -> None:
    parts = [delivered([7.0] * 200, n) for n in range(20)]
    assert (observed(parts, live(10)).evidence or 0) < 1
    parts += [delivered([7.0] * 150 + [other] * 50, n) for n in range(20, 24)]
    assert observed(parts, live(10)).seen.endswith(f"alarm on {day(21)}")


def test_predictions_of_another_kind_are_no_error() -> None:
    parts = [*(normal(n) for n in range(10)), *(delivered(["a"] * 200, n) for n in range(10, 13))]
    assert observed(parts, live(10)).limit == 365.0


@given(st.permutations(range(25)))
def test_the_order_in_which_days_were_delivered_does_not_matter(order: list[int]) -> None:
    parts = [
        *(normal(n, rows=200) for n in range(20)),
        *(normal(n, 0.5, 200) for n in range(20, 25)),
    ]
    assert observed([parts[n] for n in order], live(10)) == observed(parts, live(10))
