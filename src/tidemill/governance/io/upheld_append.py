"""Record changes that were decided on, unless people decided against them since."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from tidemill.core.errors import ConflictError, GateError
from tidemill.governance.change_verdict import overruling
from tidemill.ledger.event import Event
from tidemill.ledger.governance_events import ReviewClosed, WaiverEnded
from tidemill.ports.ledger import Guard, Ledger

_ENDS = (ReviewClosed.__name__, WaiverEnded.__name__)
# Each try takes milliseconds: another one is needed only if a review or waiver ended in between.
_TRIES = 8


def append_upheld(
    ledger: Ledger,
    environment: str,
    events: Sequence[Event],
    *,
    now: float,
    guard: Guard,
    rests_on: Collection[str] = (),
) -> None:
    """Append events to an environment that rest on open reviews and waivers, by id.

    GateError if a person ended one of them against the change, however long ago it was decided on.
    ConflictError and StorageError as `Ledger.append`.
    """
    if not rests_on:
        ledger.append(events, now=now, guard=guard)
        return
    problem = ConflictError("")
    for _ in range(_TRIES):
        seen = ledger.state(environment).seq
        against = overruling(rests_on, (fact.event for fact in ledger.events(kinds=_ENDS)))
        if against:
            raise GateError(f"{against}; nothing that rests on it was published")
        try:
            ledger.append(
                events, now=now, guard=replace(guard, unchanged=dict.fromkeys(_ENDS, seen))
            )
        except ConflictError as error:
            problem = error
        else:
            return
    raise problem
