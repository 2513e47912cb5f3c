"""Whether the code at hand is what an environment ran, so that its recipes can be taken elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tidemill.ledger.binding import Head
from tidemill.reuse.recipe import Recipe, changes
from tidemill.workflow.profile_params import parts_tuned
from tidemill.workflow.sample import digest_on, on_all_rows
from tidemill.workflow.stage import Flow


def unlike(
    flow: Flow,
    recipes: Mapping[str, Recipe],
    heads: Mapping[str, Head],
    recorded: Mapping[str, Mapping[str, str]],
    sample: float,
) -> Iterator[str]:
    """The stages that an environment never ran as they are now, each with what differs.

    `recorded` are the recipes of its stages there, of which all it holds is made. A stage of which some
    partition is made by the recipe was run, too. On which `sample` that was doesn't matter, nor does with
    which parameters: `flow` is the workflow with those that it has there.
    """
    for stage in flow.stages:
        parts = parts_tuned(on_all_rows(recipes[stage.name].parts), stage)
        known = on_all_rows(recorded.get(stage.name, {}))
        if known == parts:
            continue
        head, digest = heads.get(stage.name, Head()), digest_on(stage, parts, sample)
        if not any(held.recipe == digest for held in head.partitions.values()):
            yield f"{stage.name}: {', '.join(changes(known, parts)) if known else 'new stage'}"
