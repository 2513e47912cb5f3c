"""The front matter of a model card: YAML that model hubs read, from recorded facts.

Every text is a double-quoted scalar with escapes, so that no name can end it or mean something else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

from tidemill.contracts.json_form import from_json
from tidemill.core.printable import printable
from tidemill.ledger.model_version import ModelVersion
from tidemill.workflow.gate import Scores
from tidemill.workflow.model import Artifact

# The names that hubs have for the libraries of our formats, where they differ.
_LIBRARIES = {"skops": "sklearn", "safetensors": "pytorch", "torch": "pytorch"}
REGRESSION, CLASSIFICATION = "tabular-regression", "tabular-classification"


def front_matter(version: ModelVersion, *, workflow: str = "") -> str:
    """The block between two lines of `---`: library, task, tags, metrics, and results by evaluation.

    Results have finite metrics only. There is no license, because none is recorded.
    """
    lines = ["---", f"library_name: {yaml_text(library_of(version.artifact))}"]
    task = task_of(version.artifact)
    if task:
        lines.append(f"pipeline_tag: {yaml_text(task)}")
    tags = ("tidemill", *((task,) if task else ()), *((workflow,) if workflow else ()))
    lines += ["tags:", *(f"- {yaml_text(tag)}" for tag in tags)]
    scored = {stage: _finite(scores) for stage, scores in version.latest_scores().items()}
    metrics = sorted({name for figures in scored.values() for name in figures})
    if metrics:
        lines += ["metrics:", *(f"- {yaml_text(name)}" for name in metrics)]
        lines += ["model-index:", f"- name: {yaml_text(version.model)}", "  results:"]
        for stage, figures in scored.items():
            if figures:
                rows = version.latest_scores()[stage].rows
                lines += _result(task or REGRESSION, stage, rows, figures)
    return "\n".join([*lines, "---"])


def _finite(scores: Scores) -> dict[str, float]:
    return {name: value for name, value in scores.metrics.items() if math.isfinite(value)}


def _result(task: str, stage: str, rows: int, figures: dict[str, float]) -> Iterator[str]:
    yield "  - task:"
    yield f"      type: {yaml_text(task)}"
    yield "    dataset:"
    yield f"      type: {yaml_text(stage)}"
    yield f"      name: {yaml_text(f'{stage} ({rows:,} rows)')}"
    yield "    metrics:"
    for name, value in figures.items():
        yield f"    - type: {yaml_text(name)}"
        yield f"      value: {yaml_number(value)}"


def library_of(artifact: Artifact) -> str:
    """The name that model hubs have for the model's library."""
    return _LIBRARIES.get(artifact.format, artifact.format)


def task_of(artifact: Artifact) -> str:
    """Regression or classification, as model hubs call it; empty if the label isn't recorded."""
    if artifact.class_labels:
        return CLASSIFICATION
    if not artifact.label:
        return ""
    label = from_json(json.loads(artifact.label)).columns[0].dtype
    return CLASSIFICATION if label.name == "Boolean" else REGRESSION


def yaml_text(text: str) -> str:
    """A double-quoted scalar of one line, in ASCII."""
    parts = []
    for letter in printable(" ".join(text.split())):
        if letter in '"\\':
            parts.append(f"\\{letter}")
        elif " " <= letter <= "~":
            parts.append(letter)
        else:
            # JSON writes two surrogates for a letter beyond 16 bits, which YAML reads as two letters.
            code = ord(letter)
            parts.append(f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
    return f'"{"".join(parts)}"'


def yaml_number(value: float) -> str:
    """A float that YAML 1.1 reads as one, which needs a point before an exponent."""
    digits, e, exponent = repr(value).partition("e")
    return f"{digits}{'' if '.' in digits else '.0'}{e}{exponent}"
