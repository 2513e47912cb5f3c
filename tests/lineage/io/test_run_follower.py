"""Following runs: the same events as afterwards, also for a run that died; nothing is ever raised."""

from __future__ import annotations

import json

from tests.support.openlineage.flows import context
from tidemill.ledger.event import Event, RunEnded
from tidemill.ledger.run import Status
from tidemill.lineage.io.event_queue import EventQueue, SentEvents
from tidemill.lineage.io.followed_ledger import FollowedLedger
from tidemill.lineage.io.run_follower import RunFollower, events_of_run
from tidemill.lineage.openlineage.event_text import encode_event
from tidemill.lineage.openlineage.lineage_context import LineageContext
from tidemill.testing.doubles import MemoryLedger, MemoryLineage
from tidemill.testing.records import attempted_event, published_event, run_started_event

RUN: list[list[Event]] = [
    [run_started_event()],
    [attempted_event("clean"), published_event(stage="clean")],
    [RunEnded(run="run-1", status=Status.OK)],
]


def exported(ledger: MemoryLedger, run: str) -> list[bytes]:
    return [encode_event(make()) for make in events_of_run(ledger, run, context())]


def test_what_is_sent_is_what_is_exported_later() -> None:
    ledger, transport = MemoryLedger(), MemoryLineage()
    queue = EventQueue(transport)
    followed = FollowedLedger(ledger, RunFollower(ledger, queue, context).notify, str)
    for number, events in enumerate(RUN):
        followed.append(events, now=float(number))
    assert queue.finish(60) == {"run-1": SentEvents(sent=6)}
    assert transport.events == exported(ledger, "run-1")
    assert exported(ledger, "run-2") == []


def test_a_run_that_still_runs_is_exported_as_far_as_it_is_known() -> None:
    ledger = MemoryLedger()
    for events in RUN[:2]:
        ledger.append(events, now=1.0)
    kinds = [json.loads(event)["eventType"] for event in exported(ledger, "run-1")]
    assert kinds == ["START", "START"]


def test_a_run_that_died_is_told_when_the_next_one_closes_it() -> None:
    ledger, transport = MemoryLedger(), MemoryLineage()
    for events in RUN[:2]:
        ledger.append(events, now=1.0)
    queue = EventQueue(transport)
    follower = RunFollower(ledger, queue, context)
    followed = FollowedLedger(ledger, follower.notify, str)
    followed.append([RunEnded(run="run-1", status=Status.LOST)], now=9.0)
    followed.append([run_started_event("run-2")], now=10.0)
    followed.append([RunEnded(run="run-2", status=Status.OK)], now=11.0)
    assert {run: found.sent for run, found in queue.finish(60).items()} == {"run-1": 6, "run-2": 2}
    assert transport.events == exported(ledger, "run-1") + exported(ledger, "run-2")
    kinds = {json.loads(e)["job"]["name"]: json.loads(e)["eventType"] for e in transport.events[:6]}
    assert set(kinds.values()) == {"ABORT", "COMPLETE"}
    assert kinds["my shop.eu.clean"] == "ABORT"


def test_events_before_a_run_begins_are_ignored() -> None:
    ledger, transport = MemoryLedger(), MemoryLineage()
    queue = EventQueue(transport)
    followed = FollowedLedger(ledger, RunFollower(ledger, queue, context).notify, str)
    followed.append([published_event()], now=1.0)
    assert queue.finish(60) == {}


def test_a_fault_in_the_description_is_counted_and_not_raised() -> None:
    def broken() -> LineageContext:
        raise LookupError("no such thing")

    ledger = MemoryLedger()
    queue = EventQueue(MemoryLineage())
    followed = FollowedLedger(ledger, RunFollower(ledger, queue, broken).notify, str)
    followed.append([run_started_event()], now=1.0)
    reason = "an event couldn't be made: LookupError: no such thing"
    assert queue.finish(60) == {"run-1": SentEvents(dropped=1, reason=reason)}
