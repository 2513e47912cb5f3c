"""Every stored object that an event names is known to retention, whatever kind of event names it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from tidemill.adapters.codec.events import encode_event
from tidemill.ledger.event import EVENTS, Event, SourceSeen
from tidemill.ledger.governance_events import ReviewOpened
from tidemill.ledger.review import HeldRows
from tidemill.ledger.stored_objects import NEEDING, needed_objects, pulled_objects
from tidemill.testing import records as samples

OBJECT = re.compile(r"[0-9a-f]{64}(?:\.[a-z0-9]+)+")
# Kinds of events that name no stored object. A new kind is read, and then added here or to the module.
NAMING_NONE = """
EnvironmentCreated EnvironmentDropped RunStarted RunEnded Attempted Removed RecipeChanged Settled Judged
DriftJudged DriftAlarmed Decided EffectDone TokenCreated TokenRevoked Served RolloutStepped RulesLoaded
PolicyDecided ContractPublished Waived WaiverEnded Voted ReviewExtended ReviewClosed NoticeSent
LineageDropped Erased Acted IncidentOpened IncidentChanged IncidentClosed AlertSent AlertFailed Silenced
SilenceEnded ScheduleChanged SchedulePaused ScheduleResumed Ticked SweepMarked SweepConfirmed DataPinned
DataUnpinned StagesUndeclared RetentionDeclared Compacted PricesSet WorkDeferred StorageMetered
ChangesSeen NoteSent
"""


def with_objects(event: Event) -> Event:
    """The event with an object in each field that can have one, as far as samples leave them empty."""
    if isinstance(event, SourceSeen):
        file = replace(samples.source_file("batch 1"), digest=samples.object_name("pulled"))
        return replace(event, files=(file,))
    if isinstance(event, ReviewOpened):
        held = HeldRows(
            partition="p", object=samples.object_name("held"), fixed=samples.object_name("fixed")
        )
        return replace(event, review=replace(event.review, held=held))
    return event


def test_each_kind_of_event_was_considered() -> None:
    needing = {kind.__name__ for kind in NEEDING} | {"SourceSeen"}
    none = {*NAMING_NONE.split()}
    assert needing | none == {kind.__name__ for kind in EVENTS}
    assert not needing & none


@pytest.mark.parametrize(
    "event", samples.events_of_every_kind(), ids=lambda event: type(event).__name__
)
def test_no_event_names_an_object_that_is_not_kept(event: Any) -> None:
    event = with_objects(event)
    named = {*OBJECT.findall(encode_event(event))}
    known = {*needed_objects(event)}
    if isinstance(event, SourceSeen):
        known = {*pulled_objects(event)}
    assert named <= known


def test_the_source_of_a_model_is_kept_with_it() -> None:
    event = samples.delivered_event()
    source = samples.object_name("source", ".source.json")
    artifact = replace(event.delivery.artifact, source=source, golden=samples.object_name("golden"))
    event = replace(event, delivery=replace(event.delivery, artifact=artifact))
    assert needed_objects(event) == (artifact.object, artifact.golden, source)
    product = replace(samples.product(), artifact=artifact)
    bound = samples.published_event(bound=samples.binding(output=product))
    assert {artifact.object, artifact.golden, source} < {*needed_objects(bound)}


def test_a_file_that_is_named_like_a_batch_is_no_object() -> None:
    assert pulled_objects(samples.source_seen_event("batch 1")) == ()
    name = samples.object_name("pulled")
    assert pulled_objects(samples.source_seen_event("x.parquet", digest=name)) == ()
    assert pulled_objects(samples.source_seen_event("batch 00000001", digest=name)) == (name,)
