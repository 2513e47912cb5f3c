"""Optuna's answers depend on recorded trials, and on nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

import tidemill.adapters.search.optuna_sampler as module
from tidemill.adapters.search.optuna_sampler import OptunaSampler
from tidemill.workflow.search import (
    PrunerName,
    Search,
    Space,
    StudyTrial,
    choices,
    integers,
    loguniform,
    search,
    uniform,
)

SPACE: dict[str, Space] = {
    "rate": loguniform(0.001, 1.0),
    "x": uniform(-1.0, 1.0),
    "rounds": integers(10, 55, step=10),
    "kind": choices(["a", None, 3]),
}


def searched(**options: Any) -> Search:
    return search(SPACE, metric="mae", **options)


def cost(params: dict[str, Any]) -> float:
    return float((params["x"] - 0.3) ** 2)


def played(count: int, some: Search, state: str = "complete") -> list[StudyTrial]:
    sampler, trials = OptunaSampler(), list[StudyTrial]()
    for number in range(count):
        params = sampler.suggest(some, trials, number)
        trials.append(
            StudyTrial(number=number, state=state, params=json.dumps(params), value=cost(params))
        )
    return trials


def test_the_same_trials_give_the_same_answers() -> None:
    some = searched(seed=3)
    first, again = played(16, some), played(16, some)
    assert first == again
    assert played(3, searched(seed=4)) != first[:3]
    # Each question is answered from what is recorded: nobody has to ask in order.
    assert OptunaSampler().suggest(some, first[:12], 12) == json.loads(first[12].params)


def test_values_are_in_their_ranges_and_the_best_gets_better() -> None:
    trials = played(40, searched())
    for trial in trials:
        params = json.loads(trial.params)
        assert set(params) == set(SPACE)
        assert all(SPACE[name].contains(value) for name, value in params.items())
    assert min(t.value or 0.0 for t in trials) < 0.01
    late = [t.value or 0.0 for t in trials[20:]]
    early = [t.value or 0.0 for t in trials[:10]]
    assert sorted(late)[len(late) // 2] < sorted(early)[len(early) // 2]


@pytest.mark.parametrize("state", ["running", "failed", "pruned"])
def test_trials_without_a_value_are_no_obstacle(state: str) -> None:
    some = searched()
    trials = played(12, some)
    bare = StudyTrial(number=12, state=state, params=trials[3].params, reports=((1, 0.5),))
    assert set(OptunaSampler().suggest(some, [*trials, bare], 13)) == set(SPACE)


def reporting(number: int, *values: float, state: str = "complete") -> StudyTrial:
    params = json.dumps({"rate": 0.1, "x": 0.0, "rounds": 10, "kind": "a"})
    reports = tuple(enumerate(values, 1))
    return StudyTrial(number=number, state=state, params=params, value=values[-1], reports=reports)


@pytest.mark.parametrize("pruner", ["median", "quartile"])
def test_a_trial_that_is_worse_than_most_is_pruned(pruner: PrunerName) -> None:
    some, sampler = searched(pruner=pruner), OptunaSampler()
    past = [reporting(n, *(5.0 - n / 10,) * 4) for n in range(8)]
    good, bad = (reporting(8, v, v, v, v, state="running") for v in (1.0, 50.0))
    assert sampler.should_prune(some, past, bad)
    assert not sampler.should_prune(some, past, good)
    assert not sampler.should_prune(searched(), past, bad)
    upside_down = searched(pruner=pruner, higher_is_better=True)
    assert not sampler.should_prune(upside_down, past, bad)


def test_importances_are_shares_of_what_counts() -> None:
    some = searched()
    trials = played(30, some)
    shares = OptunaSampler().importances(some, trials)
    assert set(shares) == set(SPACE)
    assert max(shares, key=lambda name: shares[name]) == "x"
    assert sum(shares.values()) == pytest.approx(1.0, abs=1e-4)
    assert shares == OptunaSampler().importances(some, trials)


def test_too_few_or_equal_trials_tell_no_importance() -> None:
    some = searched()
    assert OptunaSampler().importances(some, played(3, some)) == {}
    assert OptunaSampler().importances(some, [reporting(n, 1.0) for n in range(9)]) == {}


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    assert OptunaSampler().find_obstacle() == ""
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    obstacle = OptunaSampler().find_obstacle()
    assert obstacle == "a search needs optuna: pip install 'tidemill[search]'"
