"""Trained models and their scores, as they are published."""

from __future__ import annotations

from collections.abc import Mapping

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.ledger.binding import Binding
from tidemill.project.live_models import LiveModels
from tidemill.project.workspace import Workspace
from tidemill.workflow.gate import Scores
from tidemill.workflow.model import Artifact
from tidemill.workflow.stage import Kind


class Models:
    """Reads what model and evaluation stages published."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    @property
    def moves(self) -> LiveModels:
        """Moves what is live to another approved version."""
        return LiveModels(self._workspace)

    def artifact(self, stage: str, partition: str = "") -> Binding:
        """The binding of a model's published artifact; UsageError when there is none."""
        return next(iter(self._workspace.published(stage, partition).values()))

    def current(self, name: str, *, candidate: bool = False) -> Artifact:
        """The live artifact of a model, or with `candidate` the one that was trained last.

        A model without gates has no live one: the last counts. UsageError when there is none.
        """
        space = self._workspace
        models = [stage.name for stage in space.flow.stages if stage.kind is Kind.MODEL]
        if name not in models:
            raise UsageError(f"there is no model {name!r} ({did_you_mean(name, models)})")
        trained = self.artifact(name).product.artifact
        assert trained is not None
        if candidate or space.flow[name].approval is None:
            return trained
        live = space.state().live.get(name)
        if live is None:
            raise UsageError(
                f"{name} has no approved version yet; project.model({name!r}, candidate=True) loads "
                f"{trained.id}, which was trained last"
            )
        return live.artifact

    def scores(self, stage: str, partition: str = "") -> Mapping[str, Scores]:
        """The published scores of an evaluation by model artifact; UsageError when there are none."""
        return {
            key: binding.product.scores
            for key, binding in self._workspace.published(stage, partition).items()
            if binding.product.scores is not None
        }
