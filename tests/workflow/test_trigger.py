"""Triggers as they are written and read."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.workflow.trigger import (
    Trigger,
    all_of,
    any_of,
    contract_changed,
    degraded,
    every,
    new_data,
    prediction_shift,
    volume,
)

WORDS: list[tuple[Trigger, str]] = [
    (degraded("mae", by=0.05), "degraded(mae, by=0.05)"),
    (contract_changed(), "contract_changed()"),
    (volume(0.2), "volume(0.2)"),
    (every("14d"), "every(14d)"),
    (new_data(), "new_data()"),
    (any_of(volume(0.2), every("14d")), "volume(0.2) or every(14d)"),
    (
        all_of(any_of(volume(0.2), new_data()), every("14d"), all_of(new_data())),
        "(volume(0.2) or new_data()) and every(14d) and new_data()",
    ),
]


@pytest.mark.parametrize(("trigger", "text"), WORDS)
def test_words(trigger: Trigger, text: str) -> None:
    assert str(trigger) == text


@pytest.mark.parametrize("share", [0, -0.1])
def test_volume_is_a_share(share: float) -> None:
    with pytest.raises(ValueError, match="it must be above 0, a share of the training set"):
        volume(share)


def test_every_takes_a_length_of_time() -> None:
    with pytest.raises(ValueError, match="'fortnight' is not a length of time"):
        every("fortnight")


def test_more_may_be_better() -> None:
    assert degraded("auc", by=0.1, higher_is_better=True).higher_is_better


@pytest.mark.parametrize("metric", ["", None])
def test_degraded_names_a_metric(metric: Any) -> None:
    with pytest.raises(ValueError, match="name a metric of the evaluation, such as 'mae'"):
        degraded(metric, by=0.1)


@pytest.mark.parametrize(
    ("tolerance", "says"), [(0, "it must be above 0"), (1, "can't move by 1 or more")]
)
def test_a_shift_of_predictions_is_a_part_of_them(tolerance: float, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        prediction_shift(tolerance)


def test_served_predictions_are_named_by_their_stage() -> None:
    assert str(prediction_shift(0.1, of="requests")) == "prediction_shift(0.1, of=requests)"
    with pytest.raises(ValueError, match="name a stage that reads a log, such as 'requests'"):
        prediction_shift(of=ord)  # type: ignore[arg-type]
