"""Trained models and their scores, as they are published."""

from __future__ import annotations

from collections.abc import Mapping

from tidemill.ledger.binding import Binding
from tidemill.project.workspace import Workspace
from tidemill.workflow.gate import Scores


class Models:
    """Reads what model and evaluation stages published."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def artifact(self, stage: str, partition: str = "") -> Binding:
        """The binding of a model's published artifact; UsageError when there is none."""
        return next(iter(self._workspace.published(stage, partition).values()))

    def scores(self, stage: str, partition: str = "") -> Mapping[str, Scores]:
        """The published scores of an evaluation by model artifact; UsageError when there are none."""
        return {
            key: binding.product.scores
            for key, binding in self._workspace.published(stage, partition).items()
            if binding.product.scores is not None
        }
