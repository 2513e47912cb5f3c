"""Find out when a sweep removed what somebody asks for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from tidemill.ledger.event import Delivered, Published, RecordedEvent
from tidemill.ledger.event_filter import about
from tidemill.ledger.event_subjects import model_subject
from tidemill.ledger.retention_events import SweepMarked
from tidemill.project.workspace import Workspace


def removal_times(space: Workspace, events: Collection[int]) -> Mapping[int, float]:
    """Map those of some events whose objects sweeps removed to the time of the last sweep that did."""
    found: dict[int, float] = {}
    for fact in space.tools.ledger.events(kinds=(SweepMarked.__name__,)):
        event = fact.event
        assert isinstance(event, SweepMarked)
        marked = (seq for mark in event.marks for seq in mark.events)
        found.update((seq, fact.at) for seq in marked if seq in events)
    return found


def removed_versions(
    space: Workspace, model: str, facts: Iterable[RecordedEvent] | None = None
) -> Mapping[str, float]:
    """Map the versions of a model that aren't stored any more to when a sweep removed them.

    Who has read all publications and deliveries of the model already gives the `facts`.
    """
    if facts is None:
        events = space.tools.ledger.events
        facts = (
            *events(kinds=(Published.__name__,), stage=model),
            *events(kinds=(Delivered.__name__,), where=about(model_subject(model))),
        )
    named: dict[int, str] = {}
    stored: dict[str, str] = {}
    for fact in facts:
        event = fact.event
        if isinstance(event, Published) and event.stage == model:
            artifact = event.binding.product.artifact
        elif isinstance(event, Delivered) and event.delivery.name == model:
            artifact = event.delivery.artifact
        else:
            continue
        if artifact is not None:
            named[fact.seq], stored[artifact.id] = artifact.id, artifact.object
    lost = {*space.tools.artifacts.find_missing({*stored.values()})}
    if not lost:
        return {}
    removed = removal_times(space, named)
    found: dict[str, float] = {}
    for seq, version in named.items():
        if seq in removed and stored[version] in lost:
            found[version] = max(removed[seq], found.get(version, 0.0))
    return found


def removal_text(at: float) -> str:
    """`removed on 2026-03-07 by a sweep`."""
    return f"removed on {datetime.fromtimestamp(at).astimezone():%Y-%m-%d} by a sweep"
