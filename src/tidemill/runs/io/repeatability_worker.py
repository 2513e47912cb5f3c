"""Run the steps that another process asks for, publish nothing, and answer with hashes (see `again`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tidemill.core.errors import TidemillError
from tidemill.lineage.io.origins import Facts
from tidemill.ports.runtime import Tools
from tidemill.runs.repeatability import Sample
from tidemill.steps.io.debug import attempt


def answer(tools: Tools, facts: Facts, question: Path, into: Path) -> None:
    """Run the steps that the file `question` names, and write what they gave as hashes into a file."""
    sample: Sample = json.loads(question.read_text(encoding="utf-8"))
    gave = {
        name: {key: _gave(tools, facts, name, key) for key in partitions}
        for name, partitions in sample.items()
    }
    into.write_text(json.dumps(gave), encoding="utf-8")


def _gave(tools: Tools, facts: Facts, name: str, partition: str) -> Mapping[str, object]:
    stage = facts.flow[name]
    try:
        reads = facts.recipes[name].reads
        trial = attempt(tools, facts.flow, stage, facts.state, partition, reads)
    except TidemillError as error:
        return {"columns": {}, "error": str(error)}
    return {"columns": trial.product.columns, "rows": trial.product.rows}
