"""What makes two trials the same, and which changes of a search make a model outdated."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.planning import evaluate, ingest, model, reads
from tidemill.analysis.code.code_fingerprint import code_of
from tidemill.contracts.spec import Reads
from tidemill.reuse.recipe import Evidence, Platform, Recipe, recipe_of
from tidemill.reuse.trial_key import link_scoring, trial_key
from tidemill.workflow.search import integers, search, uniform
from tidemill.workflow.stage import Flow, Stage, Training
from tidemill.workflow.window import last

HERE = Platform(engine="2.1.0")
RAW = ingest("raw")
INPUTS = {"raw": {"2024-01-01": "content"}}


def train(raw: Any) -> Any:
    return raw


def other(raw: Any) -> Any:
    return raw, 2


def score(mod: Any, raw: Any) -> Any:
    return mod, raw


def rescore(mod: Any, raw: Any) -> Any:
    return raw, mod


def metric(model: Any) -> float:
    return float(model)


def other_metric(model: Any) -> float:
    return float(model) + 1


def recipe(function: Any = train, scorer: Any = score, space: Any = None, **options: Any) -> Recipe:
    searched = search(space or {"rounds": integers(1, 9)}, **{"metric": "mae", **options})
    training = Training(params={"rounds": 5}, search=searched)
    mod = replace(model("mod", reads(RAW)), function=function, training=training)
    ev = replace(evaluate("ev", mod, reads(RAW, last("7d"))), function=scorer)
    stages = (RAW, mod, ev)
    return link_scoring(Flow(name="f", owner="", stages=stages), own_recipes(stages))["mod"]


def own_recipes(stages: tuple[Stage, ...]) -> dict[str, Recipe]:
    return {
        stage.name: recipe_of(
            stage, Evidence(code=code_of(stage.function) if stage.function else None), HERE
        )
        for stage in stages
    }


def key(of: Recipe, **params: Any) -> str | None:
    return trial_key(of, {"rounds": 5, **params}, INPUTS).key


@pytest.mark.parametrize(
    "options",
    [
        {"trials": 99},
        {"seed": 3},
        {"parallel": 1},
        {"space": {"rounds": integers(1, 99)}},
        {"space": {"rate": uniform(0, 1)}},
        {"higher_is_better": True},
        {"pruner": "median"},
    ],
)
def test_how_trials_are_chosen_makes_a_model_outdated_but_no_trial(options: Any) -> None:
    assert recipe(**options).digest != recipe().digest
    assert key(recipe(**options)) == key(recipe())


@pytest.mark.parametrize("options", [{"budget": "20m"}, {"cost": 3.0}])
def test_a_budget_changes_nothing(options: Any) -> None:
    assert recipe(**options).digest == recipe().digest


@pytest.mark.parametrize(
    "options",
    [
        {"function": other},
        {"scorer": rescore},
        {"metric": "rmse"},
        {"metric": metric},
        {"validate": 0.5},
        {"validate": last("7d")},
    ],
)
def test_what_a_trial_does_makes_another_trial(options: Any) -> None:
    assert recipe(**options).digest != recipe().digest
    assert key(recipe(**options)) != key(recipe())


def test_a_function_counts_by_its_code() -> None:
    assert key(recipe(metric=metric)) != key(recipe(metric=other_metric))
    assert key(recipe(metric=metric)) == key(recipe(metric=metric))


def test_parameters_and_inputs_make_another_trial() -> None:
    assert key(recipe(), rounds=6) != key(recipe())
    assert key(recipe(), rounds=5) == key(recipe())
    different = trial_key(recipe(), {"rounds": 5}, {"raw": {"2024-01-01": "other"}})
    assert different.key != key(recipe())
    assert trial_key(recipe(), {"rounds": 5}, {"raw": {"2024-01-01": None}}).key is None


def test_columns_that_only_the_evaluation_reads_make_another_trial() -> None:
    whole = reads(RAW)
    assert whole.contract is not None
    narrow = replace(whole, reads=Reads(contract=whole.contract, columns=whole.columns[:1]))
    training = Training(
        params={"rounds": 5}, search=search({"rounds": integers(1, 9)}, metric="mae")
    )
    mod = replace(model("mod", narrow), function=train, training=training)
    ev = replace(evaluate("ev", mod, reads(RAW, last("7d"))), function=score)
    stages = (RAW, mod, ev)
    own = own_recipes(stages)
    found = link_scoring(Flow(name="f", owner="", stages=stages), own)
    assert own["mod"].reads != own["ev"].reads
    assert found["mod"].reads == own["ev"].reads


def test_a_model_without_a_search_keeps_its_recipe() -> None:
    stages = (RAW, replace(model("mod", reads(RAW)), function=train))
    own = own_recipes(stages)
    assert link_scoring(Flow(name="f", owner="", stages=stages), own) == own


def test_an_evaluation_that_cannot_be_proven_makes_the_search_unproven() -> None:
    training = Training(
        params={"rounds": 5}, search=search({"rounds": integers(1, 9)}, metric="mae")
    )
    mod = replace(model("mod", reads(RAW)), function=train, training=training)
    ev = replace(evaluate("ev", mod, reads(RAW, last("7d"))), function=score)
    own = own_recipes((RAW, mod, ev))
    own["ev"] = replace(own["ev"], unproven=("it reads the clock",))
    found = link_scoring(Flow(name="f", owner="", stages=(RAW, mod, ev)), own)
    assert found["mod"].unproven == ("it reads the clock",)
