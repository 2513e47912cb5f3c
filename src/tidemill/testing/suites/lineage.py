"""The conformance suite of lineage transports: every event arrives whole, once and in order."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Protocol

import pytest

from tidemill.core.errors import SendError
from tidemill.ports.lineage import LineageTransport


class Receiver(Protocol):
    """A transport, and what arrived on its other side when it is closed."""

    transport: LineageTransport
    arrived: Callable[[], list[bytes]]


EVENTS = [
    json.dumps(event, ensure_ascii=False).encode()
    for event in ({"n": 1}, {"text": "Wörter ☃\n"}, {"long": "x" * 300_000}, {"n": 2})
]


class LineageTransportSuite:
    """Every transport passes these tests; a subclass gives the fixture `receiver`."""

    def test_events_arrive_whole_and_in_order(self, receiver: Receiver) -> None:
        for event in EVENTS:
            receiver.transport.send(event)
        receiver.transport.close()
        assert receiver.arrived() == EVENTS

    def test_one_that_is_closed_unused_has_sent_nothing(self, receiver: Receiver) -> None:
        receiver.transport.close()
        assert receiver.arrived() == []

    def test_nothing_is_sent_after_it_was_broken_off(self, receiver: Receiver) -> None:
        receiver.transport.abort()
        receiver.transport.abort()
        with pytest.raises(SendError):
            receiver.transport.send(EVENTS[0])
        receiver.transport.close()
        assert receiver.arrived() == []
