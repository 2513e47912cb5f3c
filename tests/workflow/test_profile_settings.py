"""The settings of run profiles, and those that are built in."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from tidemill.core.errors import UsageError
from tidemill.workflow.environment import RunProfile
from tidemill.workflow.profile_settings import BUILT_IN, parse_profiles
from tidemill.workflow.spending_limit import SpendingLimit

PLACE = "pyproject.toml: [tool.tidemill"


def test_the_built_in_profiles() -> None:
    assert parse_profiles({}, PLACE) == BUILT_IN
    assert set(BUILT_IN) == {"experiment", "standard", "large"}
    experiment = BUILT_IN["experiment"]
    assert experiment.changes_results
    assert experiment.preemptible
    assert experiment.budget is not None
    assert experiment.lifetime is not None
    # Production may use them.
    assert not BUILT_IN["standard"].changes_results
    assert not BUILT_IN["large"].changes_results


def test_a_table_changes_what_it_names() -> None:
    table = {
        "experiment": {"budget": 5, "lifetime": "3d"},
        "large": {"cpus": 16, "memory": "64GB"},
        "quick": {"sample": 0.5, "params": {"demand": {"rounds": 3, "tags": ["a", 1]}}},
        "night": {"preemptible": True},
    }
    found = parse_profiles(table, PLACE)
    experiment = found["experiment"]
    assert experiment.sample == BUILT_IN["experiment"].sample
    assert experiment.budget == SpendingLimit(amount=5.0)
    assert experiment.lifetime == 3 * 86_400
    assert experiment.place == f"{PLACE}.profiles.experiment]"
    large = found["large"]
    assert (large.cpus, large.memory, large.whole_machine) == (16.0, 64 * 10**9, False)
    assert found["quick"] == RunProfile(
        name="quick",
        sample=0.5,
        params={"demand": {"rounds": 3, "tags": ["a", 1]}},
        place=f"{PLACE}.profiles.quick]",
    )
    assert found["night"].preemptible
    assert found["standard"] == BUILT_IN["standard"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (5, r"\] profiles = 5 is not a table"),
        ({"a": 5}, r"\] profiles\.a = 5 is not a table"),
        ({"a": {"sampel": 0.1}}, "sampel: did you mean 'sample'"),
        ({"a": {"home": "x"}}, "home is a setting of the whole project"),
        ({"a": {"sample": 1}}, "sample = 1 is not a share of rows"),
        ({"a": {"sample": True}}, "sample = True is not a share of rows"),
        ({"a": {"sample": float("nan")}}, "sample = nan is not a share"),
        ({"a": {"cpus": 0}}, "cpus = 0 is not a number of CPUs"),
        ({"a": {"cpus": "2"}}, "cpus = '2' is not a number of CPUs"),
        ({"a": {"cpus": float("inf")}}, "cpus = inf is not a number of CPUs"),
        ({"a": {"memory": "much"}}, "memory = 'much' is not an amount of memory"),
        ({"a": {"preemptible": 1}}, "preemptible = 1 is not true or false"),
        ({"a": {"budget": -1}}, "budget = -1 is not an amount"),
        ({"a": {"lifetime": "ever"}}, "lifetime = 'ever' is not a duration"),
        ({"a": {"params": 5}}, "params = 5 is not a table"),
        ({"a": {"params": {"m": 5}}}, r"params\.m = 5 is not a table"),
        ({"a": {"params": {"m": {"x": date(2026, 1, 1)}}}}, "params.m.x = .* is not a parameter"),
        (
            {"a": {"params": {"m": {"x": {"y": [date(2026, 1, 1)]}}}}},
            "params.m.x = .* is not a parameter",
        ),
    ],
)
def test_tables_that_do_not_fit(table: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_profiles(table, PLACE, project_settings=["home", "sample"])
