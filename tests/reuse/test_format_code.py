"""Which recipes cover the code of registered model formats."""

from __future__ import annotations

from dataclasses import replace

from tests.support.planning import deliver, evaluate, ingest, model, reads, transform
from tidemill.reuse.format_code import link_formats
from tidemill.reuse.recipe import Recipe, recipe_changes
from tidemill.workflow.stage import Flow

RAW = ingest("raw")
MOD = model("mod", reads(RAW))
STAGES = (
    RAW,
    transform("clean", "day", reads(RAW)),
    MOD,
    evaluate("ev", MOD, reads(RAW)),
    deliver("scored", MOD, RAW),
    replace(deliver("copied", MOD, RAW), model=""),
)
FLOW = Flow(name="f", owner="", stages=STAGES)
RECIPES = {stage.name: Recipe(digest=stage.name, parts={"code": "c"}) for stage in STAGES}


def test_recipes_stay_as_they_are_without_registered_formats() -> None:
    assert link_formats(FLOW, RECIPES, {}) == RECIPES


def test_only_stages_that_use_a_model_depend_on_formats() -> None:
    linked = link_formats(FLOW, RECIPES, {"spline": "1"})
    changed = {name for name in RECIPES if linked[name] != RECIPES[name]}
    assert changed == {"mod", "ev", "scored"}
    assert replace(linked["mod"], digest="", parts={}) == replace(
        RECIPES["mod"], digest="", parts={}
    )


def test_a_change_of_a_formats_code_is_a_reason_and_the_order_of_formats_is_none() -> None:
    one = link_formats(FLOW, RECIPES, {"spline": "1", "tree": "2"})["mod"]
    same = link_formats(FLOW, RECIPES, {"tree": "2", "spline": "1"})["mod"]
    other = link_formats(FLOW, RECIPES, {"spline": "1", "tree": "3"})["mod"]
    assert one == same
    assert recipe_changes(one.parts, other.parts) == (
        "the code of a registered model format changed",
    )
    assert other.digest != one.digest
