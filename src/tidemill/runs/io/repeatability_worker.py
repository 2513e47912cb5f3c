"""Run steps for `repeatability_check` in another process, and answer with the hashes of their columns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tidemill.core.errors import TidemillError
from tidemill.lineage.io.origins import ProvenanceFacts
from tidemill.ports.runtime import Runtime
from tidemill.runs.repeatability import Sample
from tidemill.steps.io.debug import debug_step


def run_sample(tools: Runtime, facts: ProvenanceFacts, request: Path, into: Path) -> None:
    """Run the steps that the file `request` names, and write the hashes of their columns to `into`."""
    sample: Sample = json.loads(request.read_text(encoding="utf-8"))
    outputs = {
        name: {key: _run_step(tools, facts, name, key) for key in partitions}
        for name, partitions in sample.items()
    }
    into.write_text(json.dumps(outputs), encoding="utf-8")


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
