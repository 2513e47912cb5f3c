"""Check that an environment ran the current code, so that its results can be promoted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tidemill.ledger.binding import Head
from tidemill.reuse.recipe import Recipe, recipe_changes
from tidemill.workflow.profile_params import with_parameter_digest
from tidemill.workflow.sample import recipe_digest_on, without_sample_part
from tidemill.workflow.stage import Flow


def recipe_mismatches(
    flow: Flow,
    recipes: Mapping[str, Recipe],
    heads: Mapping[str, Head],
    recorded: Mapping[str, Mapping[str, str]],
    sample: float,
) -> Iterator[str]:
    """The stages whose current recipe an environment never ran, each with the differences.

    `recorded` are the last recipes of its stages. A stage with any partition by the current recipe counts
    as run. The `sample` doesn't matter, nor do parameters: `flow` has those of the environment.
    """
    for stage in flow.stages:
        parts = with_parameter_digest(without_sample_part(recipes[stage.name].parts), stage)
        known = without_sample_part(recorded.get(stage.name, {}))
        if known == parts:
            continue
        head, digest = heads.get(stage.name, Head()), recipe_digest_on(stage, parts, sample)
        if not any(held.recipe == digest for held in head.partitions.values()):
            yield f"{stage.name}: {', '.join(recipe_changes(known, parts)) if known else 'new stage'}"
