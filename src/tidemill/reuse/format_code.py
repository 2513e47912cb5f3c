"""Let recipes cover the code of the model formats that a project registers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tidemill.core.fingerprint import Part, fingerprint
from tidemill.reuse.recipe import Recipe
from tidemill.workflow.stage import Flow, Kind, Stage

_FORMATS = "formats"


def link_formats(
    flow: Flow, recipes: Mapping[str, Recipe], codes: Mapping[str, str]
) -> dict[str, Recipe]:
    """Add the digests of registered formats, by name, to the recipe of each stage that uses a model.

    Any model may be stored in any of them: which one is known only once it is trained.
    """
    if not codes:
        return dict(recipes)
    part: list[Part] = [[name, codes[name]] for name in sorted(codes)]
    return {
        stage.name: _with_formats(recipes[stage.name], part)
        if _uses_model(stage)
        else recipes[stage.name]
        for stage in flow.stages
    }


def _uses_model(stage: Stage) -> bool:
    return stage.kind in (Kind.MODEL, Kind.EVALUATE) or bool(stage.model)


def _with_formats(recipe: Recipe, part: list[Part]) -> Recipe:
    parts = {**recipe.parts, _FORMATS: fingerprint(_FORMATS, part)}
    return replace(recipe, parts=parts, digest=fingerprint("recipe", parts))
