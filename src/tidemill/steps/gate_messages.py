"""The message by which a run has another process evaluate a gate on a candidate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass
from tidemill.workflow.gate import Scores
from tidemill.workflow.model import Artifact


@dataclass(frozen=True, slots=True, kw_only=True)
class GateWork:
    """The gate at a position of a model's approval, its `content`, and what it judges.

    `content` identifies its code or its file, as the run knows them. Scores are by evaluation. A CPU hour
    costs `cpu_hour` of `currency`. `position` is None where only the model is to be loaded.
    """

    model: str
    position: int | None
    artifact: Artifact
    content: str = ""
    scores: Mapping[str, Scores] = field(default_factory=dict)
    live: Mapping[str, Scores] = field(default_factory=dict)
    baseline: Mapping[str, Scores] = field(default_factory=dict)
    cpu_hour: float = 0.0
    currency: str = "USD"
