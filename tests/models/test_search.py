"""What a search does next, which trial is best, and how its window is split."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.core.errors import UsageError
from tidemill.core.partition import Grain, Partitioning
from tidemill.models.search import (
    best_trial,
    budget_spent,
    params_text,
    split_window,
    study_of,
    trial_number,
    trial_partition,
    trials_before,
    visible_trials,
)
from tidemill.workflow.search import Search, StudyTrial, search, uniform
from tidemill.workflow.window import last

DAILY = Partitioning(column="day", grain=Grain.DAY)
HOURLY = Partitioning(column="at", grain=Grain.HOUR)


def searched(**options: object) -> Search:
    return search({"rate": uniform(0, 1)}, metric="mae", **options)  # type: ignore[arg-type]


def trial(number: int, value: float | None = None, state: str = "complete") -> StudyTrial:
    return StudyTrial(number=number, state=state, params=params_text({"rate": 0.5}), value=value)


def days(count: int) -> list[str]:
    return [str(date(2024, 1, 1) + timedelta(days=n)) for n in range(count)]


def test_a_trial_is_a_step_by_its_number() -> None:
    assert trial_partition(12) == "trial 12"
    assert trial_number("trial 12") == 12


@given(st.integers(0, 40), st.integers(1, 9))
def test_a_trial_waits_for_all_but_the_few_that_run_beside_it(number: int, parallel: int) -> None:
    needed = trials_before(searched(parallel=parallel), number)
    assert len(needed) == max(0, number - parallel + 1)
    assert set(map(trial_number, needed)) == set(range(len(needed)))


@given(st.integers(0, 20), st.integers(1, 6), st.sets(st.integers(0, 19)))
def test_what_a_trial_is_chosen_from_does_not_depend_on_what_ended_by_chance(
    number: int, parallel: int, ended: set[int]
) -> None:
    """Those that it waits for have ended; of those that run beside it, any may have."""
    some = searched(parallel=parallel)
    certain = set(map(trial_number, trials_before(some, number)))

    def state(n: int) -> StudyTrial:
        return trial(n, float(n)) if n in certain | ended else trial(n, None, "running")

    seen = visible_trials(some, {n: state(n) for n in range(20)}, number)
    undisturbed = visible_trials(some, {n: trial(n, float(n)) for n in range(20)}, number)
    assert seen == undisturbed
    assert [t.number for t in seen] == list(range(number))


def test_the_first_of_the_best_trials_wins_and_only_complete_ones_count() -> None:
    some = [trial(0, 3.0), trial(1, 2.0), trial(2, 2.0), trial(3, None, "failed")]
    some.append(trial(4, 0.5, "pruned"))
    assert best_trial(searched(), some) == some[1]
    assert best_trial(searched(higher_is_better=True), some) == some[0]
    assert best_trial(searched(), some[3:]) is None


def test_a_budget_is_that_of_all_trials_together() -> None:
    some = [StudyTrial(number=n, state="complete", params="{}", wall_s=30.0) for n in range(3)]
    assert budget_spent(searched(), some, 1.0) == ""
    assert budget_spent(searched(budget="2m"), some, 0.0) == ""
    assert budget_spent(searched(budget="90s"), some, 0.0) == "its budget of 90 s is used (90 s)"
    assert budget_spent(searched(cost=2.0), some, 1.0) == ""
    assert budget_spent(searched(cost=2.0), some, 2.5) == "its budget of 2 is used (2.5)"


def test_a_study_in_a_sentence() -> None:
    trials = [trial(2, None, "pruned"), trial(1, 2.0), trial(0, 3.0), trial(3, None, "failed")]
    study = study_of(searched(trials=9), trials, trials[1], {"rate": 0.75, "a": 0.25}, "it is late")
    assert [t.number for t in study.trials] == [0, 1, 2, 3]
    assert str(study) == (
        'search of 4 trials: trial 1 is best, mae 2 (3 with the declared parameters) with {"rate": 0.5}; '
        "1 pruned; 1 failed; importance: rate 75%, a 25%; stopped after 4 of 9 trials: it is late"
    )
    alone = study_of(searched(), [trial(0, 3.0)], trial(0, 3.0), {}, "")
    assert str(alone) == ('search of 1 trial: trial 0 is best, mae 3 with {"rate": 0.5}')


@given(st.integers(2, 60), st.floats(0.01, 0.99))
def test_the_last_share_of_partitions_is_held_out(count: int, share: float) -> None:
    keys = {"features": days(count), "shops": ["all"]}
    whole = Partitioning()
    cut = {"features": DAILY, "shops": whole}
    held_days = min(count, max(1, -int(-share * count // 1)))
    if held_days == count:
        with pytest.raises(UsageError, match="too few to hold out"):
            split_window(searched(validate=share), keys, cut)
        return
    fit, held = split_window(searched(validate=share), keys, cut)
    assert fit["features"] + held["features"] == days(count)
    assert len(held["features"]) == held_days
    assert fit["shops"] == held["shops"] == ["all"]


def test_a_span_is_held_out_of_every_input_by_time() -> None:
    hours = [f"{day}T{hour:02}" for day in days(4) for hour in (0, 23)]
    keys = {"features": days(4), "weather": hours}
    some = searched(validate=last("2d"))
    fit, held = split_window(some, keys, {"features": DAILY, "weather": HOURLY})
    assert (fit["features"], held["features"]) == (days(4)[:2], days(4)[2:])
    assert (fit["weather"], held["weather"]) == (hours[:4], hours[4:])


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"features": days(1)}, "1 partition of `features`: too few to hold out validate=0.2"),
        ({"features": []}, "no input is partitioned by time"),
    ],
)
def test_a_window_that_cannot_be_split(keys: dict[str, list[str]], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        split_window(searched(), keys, {"features": DAILY})


def test_a_window_that_ends_before_its_last_partition_holds_that_out() -> None:
    fit, held = split_window(
        searched(validate=last("1h")), {"features": days(3)}, {"features": DAILY}
    )
    assert (fit["features"], held["features"]) == (days(3)[:2], days(3)[2:])
