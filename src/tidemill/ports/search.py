"""Port: what chooses the parameters of trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from tidemill.workflow.search import Search, StudyTrial


class TrialSampler(Protocol):
    """Chooses the parameters of trials; the same trials before one always give the same parameters."""

    def find_obstacle(self) -> str:
        """Return why nothing can be searched; empty if it can."""

    def suggest(self, search: Search, past: Sequence[StudyTrial], number: int) -> dict[str, Any]:
        """Choose a value for each searched parameter of a trial.

        `past` are the trials before it in order; those that still run have no result.
        """

    def should_prune(self, search: Search, past: Sequence[StudyTrial], trial: StudyTrial) -> bool:
        """Return whether a trial is worth less than its rest costs, by what it and others reported."""

    def importances(self, search: Search, trials: Sequence[StudyTrial]) -> dict[str, float]:
        """Return the share of the metric's variation that each parameter explains; empty if unknown."""
