"""Add up what was observed in the current step of each endpoint's rollout."""

from __future__ import annotations

from collections.abc import Iterator

from tidemill.serving.rollout_counts import Observed
from tidemill.serving.worker_messages import StepObserved


class ObservedSteps:
    """By endpoint, what was observed in its newest step and wasn't taken yet."""

    def __init__(self) -> None:
        self._steps: dict[str, StepObserved] = {}

    def __iter__(self) -> Iterator[tuple[str, StepObserved]]:
        """Each endpoint with its step."""
        return iter(self._steps.items())

    def add(self, endpoint: str, new: StepObserved) -> None:
        """Add what was observed; what belongs to an older step is left out."""
        known = self._steps.get(endpoint)
        if known is None or known.since < new.since:
            self._steps[endpoint] = new
        elif known.since == new.since:
            both = known.observed + new.observed
            self._steps[endpoint] = StepObserved(since=new.since, observed=both)

    def take(self, endpoint: str, since: float) -> Observed:
        """Take what was observed in the step that began at a time; all else of the endpoint is dropped."""
        found = self._steps.pop(endpoint, None)
        return found.observed if found is not None and found.since == since else Observed()
