"""Trained models and their scores, as they are published."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from tidemill.contracts.finding import Finding
from tidemill.core.errors import UnknownNameError, did_you_mean
from tidemill.core.partition import WHOLE
from tidemill.core.printable import html_text
from tidemill.ledger.binding import Binding
from tidemill.project.live_models import LiveModels, current_artifact
from tidemill.project.workspace import Workspace
from tidemill.workflow.gate import Interval, Scores
from tidemill.workflow.model import Artifact
from tidemill.workflow.stage import Kind

if TYPE_CHECKING:
    from tidemill.project.model_registry import RegisteredModel


class Models(Mapping[str, "RegisteredModel"]):
    """The models of a workflow by name, and what model and evaluation stages published."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def __getitem__(self, name: str) -> RegisteredModel:
        """The model of that name; UsageError suggests the nearest one."""
        if name not in self:
            raise UnknownNameError(
                f"there is no model {name!r} ({did_you_mean(name, self._names())})"
            )
        # It needs Polars, which moving what is live doesn't.
        from tidemill.project.model_registry import RegisteredModel

        return RegisteredModel(self._workspace, self._workspace.known_stage(name))

    def __contains__(self, name: object) -> bool:
        return name in self._declared() or name in self._names()

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    def __repr__(self) -> str:
        return f"<Models {', '.join(self._names()) or 'none'}>"

    def _repr_html_(self) -> str:
        """Render the versions of each model, for notebooks."""
        return "".join(model._repr_html_() for model in self.values()) or html_text(repr(self))

    def _names(self) -> list[str]:
        """The models, and those that are no longer declared but have versions."""
        space = self._workspace
        state = space.preview_state()
        gone = ((name, state.heads[name].partitions.get(WHOLE)) for name in space.undeclared(state))
        return [
            *self._declared(),
            *(
                name
                for name, held in gone
                if held is not None and held.product.artifact is not None
            ),
        ]

    def _declared(self) -> list[str]:
        return [s.name for s in self._workspace.flow.stages if s.kind is Kind.MODEL]

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
        return current_artifact(self._workspace, name, candidate=candidate)

    def intervals(self, stage: str, partition: str = "") -> Mapping[str, Mapping[str, Interval]]:
        """The 95 % confidence intervals of an evaluation's metrics, by what was scored (see `scores`).

        A metric without figures by day, or of fewer than 14 days, has none.
        """
        from tidemill.models.intervals import SHOWN_CONFIDENCE, metric_estimate

        return {
            key: {
                metric: estimate.interval(SHOWN_CONFIDENCE)
                for metric in scores.metrics
                if (estimate := metric_estimate(scores, metric)) and estimate.is_enough
            }
            for key, scores in self.scores(stage, partition).items()
        }

    def findings(self, stage: str, partition: str = "") -> Mapping[str, tuple[Finding, ...]]:
        """The findings about an evaluation, such as leakage, by what was scored (see `scores`)."""
        bound = self._workspace.published(stage, partition)
        return {key: binding.findings for key, binding in bound.items() if binding.findings}

    def scores(self, stage: str, partition: str = "") -> Mapping[str, Scores]:
        """The published scores of an evaluation, by what was scored; UsageError when there are none.

        That is "candidate", "live" or "baseline", or a day of the live model or a backtest.
        """
        return {
            key: binding.product.scores
            for key, binding in self._workspace.published(stage, partition).items()
            if binding.product.scores is not None
        }
