"""A profile is other parameters of the models that it names, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tidemill as tm
from tidemill.core.errors import UsageError
from tidemill.environments.promotion_check import recipe_mismatches
from tidemill.reuse.recipe import Evidence, Platform, Recipe, recipe_of
from tidemill.workflow.environment import RunProfile
from tidemill.workflow.profile_params import apply_profile, profile_faults, with_parameter_digest
from tidemill.workflow.seal import seal
from tidemill.workflow.stage import Flow

DECLARED: dict[str, Any] = {
    "rounds": 200,
    "rate": 0.1,
    "fast": False,
    "kind": "l1",
    "days": (28, 7),
    "grid": [1, 2],
    "more": {"depth": 3},
    "seen": None,
    "weights": np.zeros(3),
}
# Parameters with one that isn't plain among them count otherwise.
PLAIN = {key: DECLARED[key] for key in ("rounds", "rate", "grid", "seen")}


class Rows(tm.Contract, key=("id",)):
    id = tm.Int64()
    y = tm.Float64()


flow = tm.Workflow("tuning")


@flow.ingest
def rows() -> tm.Source[Rows]:
    return tm.files("rows/*.csv")


def train(rows: tm.Frame[Rows], params: tm.Params) -> tm.Fitted:
    return tm.fitted(params, inputs=Rows.reads("id"), output="y")


def first(rows: tm.Frame[Rows], params: tm.Params) -> tm.Fitted:
    return train(rows, params)


def second(rows: tm.Frame[Rows], params: tm.Params) -> tm.Fitted:
    return train(rows, params)


flow.model(params=DECLARED)(first)
flow.model(params=PLAIN)(second)
SEALED = seal(flow)


def profile(**params: dict[str, Any]) -> RunProfile:
    return RunProfile(name="quick", params=params, place="pyproject.toml: [quick]")


def recipes(of: Flow) -> dict[str, Recipe]:
    platform = Platform(engine="2.1.0")
    return {stage.name: recipe_of(stage, Evidence(source="s"), platform) for stage in of.stages}


def params(of: Flow, model: str) -> Any:
    training = of[model].training
    assert training is not None
    return training.params


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rounds", 20),
        ("rate", 0.5),
        ("fast", True),
        ("kind", "l2"),
        ("days", [2, 1]),
        ("grid", []),
        ("more", {"depth": 1, "leaves": 4}),
        ("seen", 7),
        ("seen", "anything"),
    ],
)
def test_a_value_takes_the_place_of_the_declared_one(key: str, value: Any) -> None:
    found = apply_profile(SEALED, profile(first={key: value}))
    wanted = tuple(value) if key == "days" else value
    assert params(found, "first")[key] == wanted
    assert {k: v for k, v in params(found, "first").items() if k != key} == {
        k: v for k, v in DECLARED.items() if k != key
    }
    before, after = recipes(SEALED), recipes(found)
    # Only the recipe of the model that it names is another, and only in its parameters.
    assert [name for name in before if before[name] != after[name]] == ["first"]
    parts = before["first"].parts
    assert {k for k in parts if parts[k] != after["first"].parts[k]} == {"params"}


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "rounds": st.sampled_from([200, 20]),
            "rate": st.sampled_from([0.1, 1, 0.5]),
            "grid": st.sampled_from([[1, 2], [2, 1]]),
        },
    )
)
def test_what_coincides_with_the_declaration_changes_no_recipe(said: dict[str, Any]) -> None:
    found = recipes(apply_profile(SEALED, profile(second=said)))["second"]
    coincides = all(value == PLAIN[key] for key, value in said.items())
    assert (found == recipes(SEALED)["second"]) is coincides


def test_a_whole_number_is_a_number() -> None:
    said = apply_profile(SEALED, profile(second={"rate": 1}))
    assert type(params(said, "second")["rate"]) is float


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"frist": {"rounds": 1}}, r"params\.frist: there is no such model \(did you mean 'first'"),
        ({"rows": {"x": 1}}, r"params\.rows: ingest 'rows' has no parameters \(only models"),
        (
            {"first": {"round": 1}},
            r"params\.first\.round = 1: model 'first' declares no such parameter \(did you mean 'rounds'",
        ),
        (
            {"first": {"rounds": 1.5}},
            r"rounds = 1.5 is not a whole number \(model 'first' declares 200",
        ),
        ({"first": {"rounds": True}}, "rounds = True is not a whole number"),
        ({"first": {"rate": "x"}}, "rate = 'x' is not a number"),
        ({"first": {"rate": True}}, "rate = True is not a number"),
        ({"first": {"fast": 1}}, "fast = 1 is not true or false"),
        ({"first": {"kind": 1}}, "kind = 1 is not text"),
        ({"first": {"days": 1}}, "days = 1 is not a list"),
        ({"first": {"grid": {}}}, "grid = {} is not a list"),
        ({"first": {"more": []}}, r"more = \[\] is not a table"),
        ({"first": {"weights": [1]}}, r"is not a numpy\.ndarray, which settings can't express"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(said: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        apply_profile(SEALED, profile(**said))
    assert str(caught.value).startswith("pyproject.toml: [quick]: params.")


def test_all_that_is_wrong_is_said_at_once() -> None:
    wrong = profile(first={"rounds": "x", "round": 1}, third={"a": 1}, second={"rounds": 7})
    assert len(list(profile_faults(SEALED, wrong))) == 3
    with pytest.raises(UsageError) as caught:
        apply_profile(SEALED, wrong)
    assert str(caught.value).count("\n") == 2


def test_what_a_branch_ran_with_a_profile_is_known_for_the_same_code() -> None:
    there = apply_profile(SEALED, profile(first={"rounds": 20}, second={"rounds": 30}))
    here, ran = recipes(SEALED), recipes(there)
    for stage in there.stages:
        assert with_parameter_digest(here[stage.name].parts, stage) == ran[stage.name].parts
    recorded = {name: recipe.parts for name, recipe in ran.items()}
    assert list(recipe_mismatches(there, here, {}, recorded, 1.0)) == []
    # Without it, or with another, the same facts tell of other parameters.
    for other in (
        SEALED,
        apply_profile(SEALED, profile(first={"rounds": 21}, second={"rounds": 30})),
    ):
        assert "first: its parameters changed" in list(
            recipe_mismatches(other, here, {}, recorded, 1.0)
        )
