"""Check that an environment ran the current code, so that its results can be promoted."""

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
    """The stages whose current recipe an environment never ran, each with the differences.

    `recorded` are the last recipes of its stages. A stage with any partition by the current recipe counts
    as run. The `sample` doesn't matter, nor do parameters: `flow` has those of the environment.
    """
    for stage in flow.stages:
        parts = parts_tuned(on_all_rows(recipes[stage.name].parts), stage)
        known = on_all_rows(recorded.get(stage.name, {}))
        if known == parts:
            continue
        head, digest = heads.get(stage.name, Head()), digest_on(stage, parts, sample)
        if not any(held.recipe == digest for held in head.partitions.values()):
            yield f"{stage.name}: {', '.join(changes(known, parts)) if known else 'new stage'}"
