"""The queue of events: never waits for the receiver, and counts what is dropped."""

from __future__ import annotations

import threading

import pytest

from tidemill.core.errors import SendError
from tidemill.lineage.io.event_queue import EventQueue, SentEvents
from tidemill.lineage.openlineage.facets import Json
from tidemill.testing.doubles import MemoryLineage

THREAD = "tidemill-lineage"


def encode(event: Json) -> bytes:
    return b"%d" % event["n"]


def queue(transport: MemoryLineage, most: int = 100) -> EventQueue:
    return EventQueue(transport, most_waiting=most, encode=encode)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == THREAD]


def test_events_are_sent_in_order_and_the_thread_ends() -> None:
    transport = MemoryLineage()
    sending = queue(transport)
    for n in range(50):
        sending.put({"n": n})
    assert sending.finish(60) == SentEvents(sent=50)
    assert transport.events == [b"%d" % n for n in range(50)]
    assert transport.closed
    assert threads() == []


def test_without_events_there_is_no_thread() -> None:
    transport = MemoryLineage()
    assert queue(transport).finish(60) == SentEvents()
    assert not transport.closed


def test_a_full_queue_drops_events_and_never_waits() -> None:
    begun, go = threading.Event(), threading.Event()

    def hold(event: bytes) -> None:
        begun.set()
        assert go.wait(60)

    transport = MemoryLineage(hold)
    sending = queue(transport, most=2)
    sending.put({"n": 0})
    assert begun.wait(60)
    for n in range(1, 6):
        sending.put({"n": n})
    go.set()
    assert sending.finish(60) == SentEvents(sent=3, dropped=3, reason="the queue was full")
    assert transport.events == [b"0", b"1", b"2"]


def test_a_receiver_that_hangs_is_left_when_the_time_is_over() -> None:
    begun, go = threading.Event(), threading.Event()

    def hang(event: bytes) -> None:
        begun.set()
        assert go.wait(60)

    sending = queue(MemoryLineage(hang))
    for n in range(3):
        sending.put({"n": n})
    assert begun.wait(60)
    found = sending.finish(0.01)
    reason = "the time at the end of the run was over"
    assert found == SentEvents(sent=0, dropped=3, reason=reason)
    go.set()
    # What the hanging call sent after all isn't counted.
    assert sending.finish(60) == found
    assert threads() == []


def test_a_receiver_that_fails_isnt_tried_for_ever() -> None:
    tried: list[bytes] = []

    def refuse(event: bytes) -> None:
        tried.append(event)
        raise SendError(f"refused {event.decode()}")

    sending = queue(MemoryLineage(refuse))
    for n in range(9):
        sending.put({"n": n})
    assert sending.finish(60) == SentEvents(dropped=9, reason="refused 0")
    assert tried == [b"0", b"1", b"2"]


def test_single_failures_dont_stop_the_others() -> None:
    def refuse(event: bytes) -> None:
        if int(event) % 3:
            raise SendError("refused")

    sending = queue(MemoryLineage(refuse))
    for n in range(9):
        sending.put({"n": n})
    assert sending.finish(None) == SentEvents(sent=3, dropped=6, reason="refused")


def test_a_receiver_that_refuses_everything_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    transport = MemoryLineage()

    def refuse() -> None:
        raise SendError("exited with 1")

    monkeypatch.setattr(transport, "close", refuse)
    sending = queue(transport)
    sending.put({"n": 1})
    assert sending.finish(60) == SentEvents(dropped=1, reason="exited with 1")


def test_events_after_the_end_and_those_that_cant_be_made_are_dropped() -> None:
    sending = queue(MemoryLineage())
    sending.drop("can't be made")
    assert sending.finish(60) == SentEvents(dropped=1, reason="can't be made")
    sending.put({"n": 1})
    assert sending.finish(60).dropped == 2
