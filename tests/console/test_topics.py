"""What events are about."""

import pytest

from tidemill.console.topics import topics_of, topics_of_all
from tidemill.ledger.event import Attempted, EnvironmentDropped, Event, RunEnded
from tidemill.ledger.run import Attempt, Outcome, Status

ATTEMPT = Attempt(stage="sales", partition="2026-01-01", action="transform", outcome=Outcome.OK)


@pytest.mark.parametrize(
    ("event", "topics"),
    [
        (RunEnded(run="r1", status=Status.OK), {"runs", "run:r1"}),
        (
            Attempted(run="r1", environment="prod", attempt=ATTEMPT),
            {"runs", "run:r1", "stage:sales"},
        ),
        (EnvironmentDropped(environment="trial"), {"environments"}),
    ],
)
def test_topics(event: Event, topics: set[str]) -> None:
    assert topics_of(event) == topics


def test_too_many_topics_are_everything() -> None:
    events = [RunEnded(run=f"r{number}", status=Status.OK) for number in range(100)]
    assert topics_of_all(events[:99]) == {"runs", *(f"run:r{number}" for number in range(99))}
    assert topics_of_all(events) == {"*"}
    assert topics_of_all([]) == frozenset()
