"""What events are about, so that pages look again at what changed, and at nothing else."""

from __future__ import annotations

from collections.abc import Iterable

from tidemill.ledger.event import Event

EVERYTHING = "*"
# The first letters of the names of events, and the topic that they are about.
_TOPICS = (
    ("Run", "runs"),
    ("Attempted", "runs"),
    ("Review", "reviews"),
    ("Voted", "reviews"),
    ("Decided", "models"),
    ("Delivered", "models"),
    ("Served", "endpoints"),
    ("Rollout", "endpoints"),
    ("Incident", "incidents"),
    ("Alert", "incidents"),
    ("Silence", "incidents"),
    ("Schedule", "schedules"),
    ("Ticked", "schedules"),
    ("Token", "settings"),
    ("Policy", "settings"),
    ("Rules", "settings"),
    ("Waive", "settings"),
    ("Environment", "environments"),
)
_OTHERS = "data"


def topics_of(event: Event) -> frozenset[str]:
    """The topics of an event: what kind of thing it is about, and the run and the stage that it names."""
    name = type(event).__name__
    kind = next((topic for start, topic in _TOPICS if name.startswith(start)), _OTHERS)
    found = {kind}
    run, stage = getattr(event, "run", ""), getattr(event, "stage", "")
    attempt = getattr(event, "attempt", None)
    stage = stage or getattr(attempt, "stage", "")
    if run:
        found.add(f"run:{run}")
    if stage:
        found.add(f"stage:{stage}")
    return frozenset(found)


def topics_of_all(events: Iterable[Event], most: int = 100) -> frozenset[str]:
    """The topics of several events; everything if there are more than `most`."""
    found = frozenset[str]().union(*map(topics_of, events))
    return found if len(found) <= most else frozenset({EVERYTHING})
