"""Add up what was observed in the current step of each endpoint's rollout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tidemill.serving.rollout_counts import Arm, Observed
from tidemill.serving.worker_messages import StepObserved


class ObservedSteps:
    """By endpoint, what was observed in its newest step and wasn't taken yet.

    Of each arm it has at most so many predictions, however long nobody takes them (None: all).
    """

    def __init__(self, most_outputs: int | None = None) -> None:
        self._most_outputs = most_outputs
        self._steps: dict[str, StepObserved] = {}

    def __iter__(self) -> Iterator[tuple[str, StepObserved]]:
        """Each endpoint with its step."""
        return iter(self._steps.items())

    def add(self, endpoint: str, new: StepObserved) -> None:
        """Add what was observed; what belongs to an older step is left out."""
        known = self._steps.get(endpoint)
        if known is not None and known.since > new.since:
            return
        observed = new.observed
        if known is not None and known.since == new.since:
            observed = known.observed + observed
        self._steps[endpoint] = StepObserved(since=new.since, observed=self._bounded(observed))

    def take(self, endpoint: str, since: float) -> Observed:
        """Take what was observed in the step that began at a time; all else of the endpoint is dropped."""
        found = self._steps.pop(endpoint, None)
        return found.observed if found is not None and found.since == since else Observed()

    def _bounded(self, observed: Observed) -> Observed:
        return replace(
            observed,
            candidate=self._bounded_arm(observed.candidate),
            control=self._bounded_arm(observed.control),
        )

    def _bounded_arm(self, arm: Arm) -> Arm:
        return replace(arm, outputs=arm.outputs[: self._most_outputs])
