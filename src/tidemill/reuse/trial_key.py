"""Compute the keys of trials: equal code, parameters, scoring and inputs give the same result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tidemill.core.fingerprint import Part, fingerprint
from tidemill.reuse.recipe import Recipe
from tidemill.reuse.step_key import Inputs, StepKey, key_for
from tidemill.workflow.parameters import params_part
from tidemill.workflow.search import Search
from tidemill.workflow.search_evaluation import search_evaluation
from tidemill.workflow.stage import Flow, Stage
from tidemill.workflow.window import Last, window_code

# The parts of a recipe that say what a search tries, not what a trial does.
_SEARCH, _PARAMS, _SCORING = "search", "params", "scoring"


def search_part(search: Search) -> Part:
    """The part of a model's recipe that identifies what is searched, and how.

    The budget isn't in it: it limits how much is computed.
    """
    space: list[Part] = [[name, str(each)] for name, each in search.space.items()]
    return [
        sorted(space, key=str),
        search.trials,
        search.seed,
        search.parallel,
        search.pruner,
        search.higher_is_better,
    ]


def link_scoring(flow: Flow, recipes: Mapping[str, Recipe]) -> dict[str, Recipe]:
    """Add to the recipe of each model with a search how its trials are scored, and on which columns."""
    return {stage.name: _with_scoring(stage, flow, recipes) for stage in flow.stages}


def _with_scoring(stage: Stage, flow: Flow, recipes: Mapping[str, Recipe]) -> Recipe:
    recipe = recipes[stage.name]
    search = stage.training.search if stage.training is not None else None
    if search is None:
        return recipe
    evaluation = search_evaluation(stage, flow.stages)
    held = search.validate
    scoring: list[Part] = [
        window_code(held) if isinstance(held, Last) else held,
        params_part({"metric": search.metric}),
        recipes[evaluation.name].digest if evaluation is not None else None,
    ]
    parts = {
        **recipe.parts,
        _SEARCH: fingerprint(_SEARCH, search_part(search)),
        _SCORING: fingerprint(_SCORING, scoring),
    }
    scorer = recipes[evaluation.name] if evaluation is not None else Recipe(digest="")
    return replace(
        recipe,
        parts=parts,
        digest=fingerprint("recipe", parts),
        # The evaluation may read columns that the model doesn't.
        reads={
            name: tuple(dict.fromkeys((*columns, *scorer.reads.get(name, ()))))
            for name, columns in recipe.reads.items()
        },
        unproven=tuple(dict.fromkeys((*recipe.unproven, *scorer.unproven))),
    )


def trial_key(recipe: Recipe, params: Mapping[str, Any], inputs: Inputs) -> StepKey:
    """The key of a trial with all `params` of its model; None while an input isn't computed."""
    parts = {n: part for n, part in recipe.parts.items() if n not in (_SEARCH, _PARAMS)}
    own = fingerprint("trial", parts, params_part(params))
    return key_for(replace(recipe, digest=own), "", inputs)
