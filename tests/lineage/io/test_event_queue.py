"""The queue of events: never waits for the receiver, and counts what is dropped."""

from __future__ import annotations

import threading
from collections import Counter
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.core.errors import SendError
from tidemill.lineage.io import event_queue
from tidemill.lineage.io.event_queue import EventQueue, SentEvents
from tidemill.lineage.openlineage.facets import Json
from tidemill.ports.lineage import LineageTransport
from tidemill.testing.doubles import MemoryLineage

THREAD = "tidemill-lineage"


def encode(event: Json) -> bytes:
    return b"%d" % event["n"]


class Queue(EventQueue):
    """A queue of the events of one run."""

    def add(self, n: int) -> None:
        self.put("run", lambda: {"n": n})

    def end(self, within_s: float | None = 60) -> SentEvents:
        return self.finish(within_s).get("run", SentEvents())


def queue(transport: LineageTransport, most: int = 100) -> Queue:
    return Queue(transport, most_waiting=most, encode=encode)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == THREAD]


def test_events_are_sent_in_order_and_the_thread_ends() -> None:
    transport = MemoryLineage()
    sending = queue(transport)
    for n in range(50):
        sending.add(n)
    assert sending.end() == SentEvents(sent=50)
    assert transport.events == [b"%d" % n for n in range(50)]
    assert transport.closed
    assert threads() == []


def test_without_events_there_is_no_thread() -> None:
    transport = MemoryLineage()
    assert queue(transport).end() == SentEvents()
    assert not transport.closed


def test_a_full_queue_drops_events_and_never_waits() -> None:
    begun, go = threading.Event(), threading.Event()

    def hold(event: bytes) -> None:
        begun.set()
        assert go.wait(60)

    transport = MemoryLineage(hold)
    sending = queue(transport, most=2)
    sending.add(0)
    assert begun.wait(60)
    for n in range(1, 6):
        sending.add(n)
    go.set()
    assert sending.end() == SentEvents(sent=3, dropped=3, reason="the queue was full")
    assert transport.events == [b"0", b"1", b"2"]


def test_a_receiver_that_hangs_is_left_when_the_time_is_over() -> None:
    begun, go = threading.Event(), threading.Event()

    def hang(event: bytes) -> None:
        begun.set()
        assert go.wait(60)

    sending = queue(MemoryLineage(hang))
    for n in range(3):
        sending.add(n)
    assert begun.wait(60)
    found = sending.end(0.01)
    reason = "the time at the end of the run was over"
    assert found == SentEvents(sent=0, dropped=3, reason=reason)
    go.set()
    # What the hanging call sent after all isn't counted.
    assert sending.end() == found
    assert threads() == []


def test_a_receiver_that_fails_isnt_tried_for_ever() -> None:
    tried: list[bytes] = []

    def refuse(event: bytes) -> None:
        tried.append(event)
        raise SendError(f"refused {event.decode()}")

    sending = queue(MemoryLineage(refuse))
    for n in range(9):
        sending.add(n)
    assert sending.end() == SentEvents(dropped=9, reason="refused 0")
    assert tried == [b"0", b"1", b"2"]


def test_single_failures_dont_stop_the_others() -> None:
    def refuse(event: bytes) -> None:
        if int(event) % 3:
            raise SendError("refused")

    sending = queue(MemoryLineage(refuse))
    for n in range(9):
        sending.add(n)
    assert sending.end(None) == SentEvents(sent=3, dropped=6, reason="refused")


def test_a_receiver_that_refuses_everything_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    transport = MemoryLineage()

    def refuse() -> None:
        raise SendError("exited with 1")

    monkeypatch.setattr(transport, "close", refuse)
    sending = queue(transport)
    sending.add(1)
    assert sending.end() == SentEvents(dropped=1, reason="exited with 1")


def test_events_after_the_end_and_those_that_cant_be_made_are_dropped() -> None:
    sending = queue(MemoryLineage())
    sending.drop("run", "can't be made")
    assert sending.end() == SentEvents(dropped=1, reason="can't be made")
    sending.add(1)
    assert sending.end().dropped == 2


def test_each_run_has_its_own_count() -> None:
    def refuse(event: bytes) -> None:
        if int(event) == 1:
            raise SendError("refused")

    sending = queue(MemoryLineage(refuse))
    for n, run in enumerate(("old", "old", "new")):
        sending.put(run, partial(dict, n=n))
    assert sending.finish(60) == {
        "old": SentEvents(sent=1, dropped=1, reason="refused"),
        "new": SentEvents(sent=1),
    }


def test_an_event_that_cant_be_made_or_encoded_loses_no_other() -> None:
    sending = queue(MemoryLineage())
    for make in (dict[str, Any], lambda: {"n": "x"}, lambda: {"n": 1}):
        sending.put("run", make)
    reason = "an event couldn't be made: KeyError: 'n'"
    assert sending.end() == SentEvents(sent=1, dropped=2, reason=reason)


def test_events_are_made_in_the_thread() -> None:
    go, names = threading.Event(), list[str]()

    def make() -> Json:
        assert go.wait(60)
        names.append(threading.current_thread().name)
        return {"n": 1}

    sending = queue(MemoryLineage())
    sending.put("run", make)
    go.set()
    assert sending.end().sent == 1
    assert names == [THREAD]


@pytest.mark.parametrize("error", [ValueError("a bug"), SystemExit("a bug")])
def test_whatever_a_transport_raises_is_counted(error: BaseException) -> None:
    def fail(event: bytes) -> None:
        if int(event) == 1:
            raise error

    transport = MemoryLineage(fail)
    sending = queue(transport)
    for n in range(4):
        sending.add(n)
    reason = f"sending failed: {type(error).__name__}: a bug"
    assert sending.end() == SentEvents(sent=1, dropped=3, reason=reason)
    assert transport.closed


def test_without_another_thread_everything_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(thread: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    sending = queue(MemoryLineage())
    for n in range(2):
        sending.add(n)
    assert sending.end() == SentEvents(dropped=2, reason="can't start new thread")


def test_an_interrupt_ends_the_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    join = threading.Thread.join

    def interrupt(thread: threading.Thread, within_s: float | None = None) -> None:
        if within_s == 60:
            raise KeyboardInterrupt
        go.set()
        join(thread, 60)

    sending = queue(MemoryLineage(lambda event: go.wait(60)))
    sending.add(1)
    monkeypatch.setattr(threading.Thread, "join", interrupt)
    reason = "it was interrupted at the end of the run"
    assert sending.end() == SentEvents(dropped=1, reason=reason)


@pytest.mark.parametrize("at", ["abort", "join"])
def test_a_second_interrupt_loses_no_count(monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    go = threading.Event()
    join = threading.Thread.join
    transport = MemoryLineage(lambda event: go.wait(60))

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    def wait(thread: threading.Thread, within_s: float | None = None) -> None:
        if within_s == 60 or at == "join":
            raise KeyboardInterrupt

    sending = queue(transport)
    sending.add(1)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "join", wait)
        if at == "abort":
            patched.setattr(transport, "abort", interrupt)
        reason = "it was interrupted at the end of the run"
        assert sending.end() == SentEvents(dropped=1, reason=reason)
    go.set()
    for thread in threading.enumerate():
        if thread.name == THREAD:
            join(thread, 60)


def test_what_a_transport_that_confirms_nothing_took_counts_once_it_is_closed() -> None:
    begun, go = threading.Event(), threading.Event()

    def hang(event: bytes) -> None:
        if int(event) == 1:
            begun.set()
            assert go.wait(60)

    for confirms, sent in ((False, 0), (True, 1)):
        begun.clear()
        go.clear()
        sending = queue(MemoryLineage(hang, confirms=confirms))
        for n in range(3):
            sending.add(n)
        assert begun.wait(60)
        assert sending.end(0).sent == sent
        go.set()
    sending = queue(MemoryLineage(confirms=False))
    sending.add(0)
    assert sending.end() == SentEvents(sent=1)


class Unruly:
    """A transport that does at each call what it is told; one that hangs does so until `go`."""

    def __init__(self, sends: list[str], close: str, abort: str, *, confirms: bool) -> None:
        self.confirms = confirms
        self.received = 0
        self.go = threading.Event()
        self._sends, self._close, self._abort = iter(sends), close, abort

    def send(self, event: bytes) -> None:
        self._act(next(self._sends, "work"))
        self.received += 1

    def abort(self) -> None:
        self._act(self._abort)

    def close(self) -> None:
        self._act(self._close)

    def _act(self, what: str) -> None:
        match what:
            case "hang":
                assert self.go.wait(60)
            case "refuse":
                raise SendError("refused")
            case "raise":
                raise OSError("a bug")
            case "die":
                raise SystemExit(1)


ACTS = st.sampled_from(["work", "work", "work", "refuse", "raise", "die", "hang"])
ENDS = st.sampled_from(["work", "refuse", "raise", "die", "hang"])


@given(
    sends=st.lists(ACTS, max_size=12),
    makes=st.lists(st.sampled_from(["make", "make", "raise", "unfit"]), max_size=15),
    close=ENDS,
    abort=st.sampled_from(["work", "raise"]),
    confirms=st.booleans(),
    most=st.integers(1, 20),
)
def test_every_event_is_sent_or_counted_as_dropped(
    sends: list[str], makes: list[str], close: str, abort: str, confirms: bool, most: int
) -> None:
    def make(what: str) -> Json:
        if what == "raise":
            raise LookupError("a bug")
        return {"n": 1 if what == "make" else "x"}

    transport = Unruly(sends, close, abort, confirms=confirms)
    sending = queue(transport, most)
    for number, what in enumerate(makes):
        sending.put(f"run {number % 2}", partial(make, what))
    hangs = "hang" in {*sends, close}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(event_queue, "_ABORT_S", 0.0)
        found = sending.finish(0.001 if hangs else 60)
    # Nothing waited for a transport that hangs.
    assert not transport.go.is_set()
    assert {run: each.sent + each.dropped for run, each in found.items()} == Counter(
        f"run {number % 2}" for number in range(len(makes))
    )
    assert sum(each.sent for each in found.values()) <= transport.received
    assert all(bool(each.reason) == bool(each.dropped) for each in found.values())
    transport.go.set()
    for thread in threading.enumerate():
        if thread.name == THREAD:
            thread.join(60)
    assert threads() == []
