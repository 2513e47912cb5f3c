"""Run steps for `repeatability_check` in another process, and answer with the hashes of their columns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from tidemill.core.errors import StorageError, TidemillError
from tidemill.core.partition import WHOLE
from tidemill.lineage.io.origins import ProvenanceFacts
from tidemill.models.warm_start import recorded_parent
from tidemill.ports.runtime import Runtime
from tidemill.reuse.training_key import training_key
from tidemill.runs.training_repeatability import RetrainedModel
from tidemill.steps.io.debug import debug_step, debug_training, step_inputs_of
from tidemill.workflow.model import Artifact


def run_sample(tools: Runtime, facts: ProvenanceFacts, request: Path, into: Path) -> None:
    """Run the steps and trainings that the file `request` names, and write what came of them to `into`."""
    asked = json.loads(request.read_text(encoding="utf-8"))
    steps = {
        name: {key: _run_step(tools, facts, name, key) for key in partitions}
        for name, partitions in asked["partitions"].items()
    }
    models = {name: _train(tools, facts, name) for name in asked["models"]}
    published = {
        name: digest for name in models if (digest := _published_digest(facts, name)) is not None
    }
    answer = {"partitions": steps, "models": models, "published": published}
    into.write_text(json.dumps(answer), encoding="utf-8")


def _train(tools: Runtime, facts: ProvenanceFacts, name: str) -> Mapping[str, object]:
    try:
        parent = _parent(tools, facts, name)
        made = debug_training(tools, facts.flow, facts.flow[name], facts.state, parent)
    except TidemillError as error:
        return asdict(RetrainedModel(error=str(error)))
    return asdict(
        RetrainedModel(
            digest=made.artifact.content,
            format=made.artifact.format,
            predictions={
                column: [v if isinstance(v, float) or v is None else str(v) for v in values]
                for column, values in made.predictions.to_dict(as_series=False).items()
            },
        )
    )


def _parent(tools: Runtime, facts: ProvenanceFacts, name: str) -> Artifact | None:
    """The version that the published one continued, if its training is repeated by the same recipe."""
    bound, recipe = facts.bindings(name).get(WHOLE), facts.recipes[name].digest
    published = bound.product.artifact if bound is not None else None
    if published is None or published.parent is None or published.recipe != recipe:
        return None
    found = tools.ledger.traces((published.parent.key,)).get(published.parent.key)
    parent = found.product.artifact if found is not None else None
    if parent is None or parent.id != published.parent.id:
        raise StorageError(
            f"{name} {published.id} continued {published.parent.id}, which isn't known any more, so its "
            "training can't be repeated"
        )
    return parent


def _published_digest(facts: ProvenanceFacts, name: str) -> str | None:
    """The content of a model's published version, if its key is the one that a training has now."""
    stage, bound = facts.flow[name], facts.bindings(name).get(WHOLE)
    if bound is None or bound.product.artifact is None:
        return None
    read = step_inputs_of(facts.flow, stage, facts.state, WHOLE)
    inputs = {
        item: {key: held.product for key, held in each.items()} for item, each in read.items()
    }
    now = training_key(facts.recipes[name], inputs, recorded_parent(bound)).key
    return bound.product.artifact.content if now == bound.key else None


def _run_step(
    tools: Runtime, facts: ProvenanceFacts, name: str, partition: str
) -> Mapping[str, object]:
    stage = facts.flow[name]
    try:
        reads = facts.recipes[name].reads
        trial = debug_step(tools, facts.flow, stage, facts.state, partition, reads)
    except TidemillError as error:
        return {"columns": {}, "error": str(error)}
    return {"columns": trial.product.columns, "rows": trial.product.rows}
