"""Run steps for `repeatability_check` in another process, and answer with the hashes of their columns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from tidemill.core.errors import TidemillError
from tidemill.core.partition import WHOLE
from tidemill.lineage.io.origins import ProvenanceFacts
from tidemill.ports.runtime import Runtime
from tidemill.reuse.step_key import key_for
from tidemill.runs.training_repeatability import RetrainedModel
from tidemill.steps.io.debug import debug_step, debug_training, step_inputs_of


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
        made = debug_training(tools, facts.flow, facts.flow[name], facts.state)
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


def _published_digest(facts: ProvenanceFacts, name: str) -> str | None:
    """The content of a model's published version, if its key is the one that a training has now."""
    stage, bound = facts.flow[name], facts.bindings(name).get(WHOLE)
    if bound is None or bound.product.artifact is None:
        return None
    read = step_inputs_of(facts.flow, stage, facts.state, WHOLE)
    inputs = {
        item: {key: held.product for key, held in each.items()} for item, each in read.items()
    }
    now = key_for(facts.recipes[name], WHOLE, inputs).key
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
