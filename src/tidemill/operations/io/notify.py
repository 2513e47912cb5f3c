"""Send alerts that are due, and record for each channel what it accepted, or why it accepted nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict

from tidemill.core.errors import ConflictError, StorageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.event import Event
from tidemill.ledger.incident_events import AlertFailed, AlertSent
from tidemill.ledger.io.lease_holder import is_dead, this_process
from tidemill.notices.channel_settings import Channel
from tidemill.notices.io.channels import send_notice
from tidemill.notices.io.dispatch import dispatch
from tidemill.notices.notice import Notice
from tidemill.operations.alerts import ChannelState, DueAlert
from tidemill.ports.ledger import Lease, Ledger

LATE = "it didn't answer in time"
_LEASE = "alerts"
# What a lease that no process holds has: alerts that were accepted, but not recorded.
_ACCEPTED = "accepted"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertMessage:
    """A message to a channel: the notice, the alerts that it tells, and how the channel did before."""

    channel: Channel
    notice: Notice
    alerts: tuple[DueAlert, ...]
    state: ChannelState


def send_alerts(
    ledger: Ledger,
    compose: Callable[[], Sequence[AlertMessage]],
    environment: str,
    *,
    clock: Callable[[], float],
    budget_s: float,
    repeat_s: float,
) -> tuple[str, ...]:
    """Send what `compose` finds due, one process at a time; return what wasn't accepted and why.

    At least once: what a channel accepted is recorded at once, and not sent again. Never takes longer than
    the budget, and raises nothing of a channel. StorageError if that can't be recorded: nothing is sent then
    until it is, for at most `repeat_s` seconds.
    """
    lease = _acquire(ledger, clock(), ttl=2 * budget_s)
    if lease is None:
        # Another process sends them.
        return ()
    accepted: list[Event] = []
    try:
        messages = compose()
        waiting, problems = dict(enumerate(messages)), list[str]()
        notices = [(message.channel, message.notice) for message in messages]
        for number, problem in dispatch(notices, send_notice, now=clock(), budget_s=budget_s):
            message = waiting.pop(number)
            problems += _failures(message, problem)
            accepted += _record(ledger, _answers(message, problem, environment), clock())
        for message in waiting.values():
            problems += _failures(message, LATE)
            accepted += _record(ledger, _answers(message, LATE, environment), clock())
    finally:
        if not accepted:
            ledger.release(lease)
    if accepted:
        _keep(ledger, accepted, clock(), repeat_s)
    return tuple(problems)


def _acquire(ledger: Ledger, now: float, *, ttl: float) -> Lease | None:
    """Take the right to send, once all that was accepted is recorded; None if another process has it."""
    holder = this_process("alerts")
    try:
        return ledger.acquire(_LEASE, holder, now=now, ttl=ttl, dead=is_dead)
    except ConflictError as error:
        if _ACCEPTED not in error.holder:
            return None
        kept = json.loads(error.holder[_ACCEPTED])
        ledger.append([AlertSent(**each) for each in kept], now=now)
    with suppress(ConflictError):
        return ledger.acquire(_LEASE, holder, now=now, ttl=ttl, dead=lambda held: _ACCEPTED in held)
    return None


def _keep(ledger: Ledger, accepted: Sequence[Event], now: float, ttl: float) -> None:
    """Keep what was accepted in the lease, for which there is room while there is none for events.

    No process holds it, so that each that wants to send records that first.
    """
    kept = {
        _ACCEPTED: json.dumps([asdict(event) for event in accepted if isinstance(event, AlertSent)])
    }
    with suppress(StorageError):
        # Taken over from this process.
        ledger.acquire(_LEASE, {"command": "alerts", **kept}, now=now, ttl=ttl, dead=lambda _: True)
    raise StorageError(
        "alerts were sent, but the ledger can't record that: none are sent until it can be written"
    )


def _record(ledger: Ledger, events: Sequence[Event], now: float) -> Sequence[Event]:
    """Record what a channel answered; return what it accepted if that isn't possible."""
    try:
        ledger.append(events, now=now)
    except StorageError:
        return [event for event in events if isinstance(event, AlertSent)]
    return ()


def _failures(message: AlertMessage, problem: str) -> list[str]:
    return [f"no alert by {message.channel.name}: {problem}"] if problem else []


def _answers(message: AlertMessage, problem: str, environment: str) -> list[Event]:
    name = message.channel.name
    if problem:
        failed = AlertFailed(
            environment=environment,
            channel=name,
            reason=problem,
            failures=message.state.failures + 1,
            alerts=len(message.alerts),
        )
        return [failed]
    return [
        AlertSent(
            environment=environment,
            incident=alert.state.id,
            channel=name,
            about=alert.about,
            kind=str(alert.kind),
        )
        for alert in message.alerts
    ]
