"""What was observed counts for the step in which it was."""

from __future__ import annotations

from tidemill.serving.observed_steps import ObservedSteps
from tidemill.serving.rollout_counts import Arm, Observed
from tidemill.serving.worker_messages import StepObserved


def observed(requests: int) -> Observed:
    return Observed(candidate=Arm(requests=requests))


def test_counts_of_a_step_are_added_and_taken_once() -> None:
    steps = ObservedSteps()
    for since, requests in ((1.0, 100), (2.0, 3), (2.0, 4), (1.0, 1000)):
        steps.add("risk", StepObserved(since=since, observed=observed(requests)))
    assert [(name, step.since) for name, step in steps] == [("risk", 2.0)]
    assert steps.take("risk", 2.0) == observed(7)
    assert steps.take("risk", 2.0) == Observed()


def test_counts_of_another_step_are_dropped() -> None:
    steps = ObservedSteps()
    steps.add("risk", StepObserved(since=1.0, observed=observed(5)))
    assert steps.take("risk", 2.0) == Observed()
    assert steps.take("risk", 1.0) == Observed()
