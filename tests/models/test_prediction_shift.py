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
from tidemill.models.predicted_values import prediction_profile
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


def frame_of(values: Sequence[object]) -> pl.DataFrame:
    return pl.DataFrame({"prediction": values})


def delivered(values: Sequence[object], number: int, *models: str) -> PredictedPartition:
    column = profile_frame(frame_of(values)).columns[0]
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


@pytest.mark.parametrize("lookup", ["all", "zurich"])
def test_inputs_that_are_not_partitioned_by_time_hide_no_day(lookup: str) -> None:
    model = live(10, trained=4)
    known = {**model.artifact.trained_on, "shops": (lookup,)}
    model = replace(model, artifact=replace(model.artifact, trained_on=known))
    parts = [*(normal(n) for n in range(20)), *(normal(n, 1.0) for n in range(20, 23))]
    assert observed(parts, model).seen.endswith(f"alarm on {day(21)}")


def evaluated(values: Sequence[object]) -> Delivery:
    """A model whose second evaluation recorded what it predicted."""
    scores = Scores(rows=1, metrics={}, predictions=prediction_profile(frame_of(values)))
    return replace(live(10, trained=4), evaluations={"first": live(0).scores, "second": scores})


SERVED = prediction_shift(of="requests")


@given(st.sampled_from([0.0, 1.0]), st.integers(0, 10))
def test_served_predictions_are_compared_with_those_of_the_evaluation(
    shift: float, first: int
) -> None:
    model = evaluated([*np.random.default_rng(100).normal(0, 1, 2_000)])
    parts = [normal(n, shift, 300) for n in range(10 + first, 24 + first)]
    found = observe_prediction_shift(SERVED, model, parts, day(9), 365)
    assert (found.evidence or 0) >= 365 if shift else (found.evidence or 0) < 50
    assert found.seen.endswith(f"alarm on {day(11 + first)}") == bool(shift)
    assert ", 0.0" in found.seen or ", -0.0" in found.seen
    # A table is compared with what it delivered itself.
    own = observed(parts, model, day(9))
    assert (own.evidence or 0) < 50


def test_classes_of_an_evaluation_are_compared_too() -> None:
    model = evaluated(["late"] * 200 + ["on time"] * 800 + [None] * 5)
    calm = [delivered(["late"] * 20 + ["on time"] * 80 + [None] * 50, n) for n in range(10, 20)]
    worse = [delivered(["late"] * 60 + ["on time"] * 40, n) for n in range(20, 23)]
    found = observe_prediction_shift(SERVED, model, calm, "", 365)
    assert (found.seen, (found.evidence or 0) < 10) == ("predicted classes of 10 days", True)
    found = observe_prediction_shift(SERVED, model, [*calm, *worse], "", 365)
    assert found.seen.endswith(f"alarm on {day(21)}")


def test_an_evaluation_of_few_rows_is_no_reference() -> None:
    found = observe_prediction_shift(SERVED, evaluated([1.0] * 99), [normal(12)], "", 365)
    assert (found.seen, found.evidence) == (
        "the live model served 99 predictions to compare with",
        None,
    )
    none = observe_prediction_shift(SERVED, evaluated([1.0] * 100), [], "", 365)
    assert none.seen == "no predictions were served since those of the approval"


def test_without_a_recorded_evaluation_the_first_served_days_are_the_reference() -> None:
    parts = [*(normal(n) for n in range(10, 17)), *(normal(n, 1.0) for n in range(17, 20))]
    found = observe_prediction_shift(SERVED, live(10), parts, "", 365)
    assert found.seen.endswith(f"alarm on {day(18)}")


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
