"""Send alerts that are due, and record for each channel what it accepted, or why it accepted nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tidemill.core.errors import ConflictError
from tidemill.core.redaction import Redactor
from tidemill.ledger.incident_events import AlertFailed, AlertSent
from tidemill.ledger.io.lease_holder import is_dead, this_process
from tidemill.notices.channel_settings import Channel
from tidemill.notices.io.channels import channel_secrets, send_notice
from tidemill.notices.io.dispatch import dispatch
from tidemill.notices.notice import Notice
from tidemill.operations.alerts import ChannelState, DueAlert
from tidemill.ports.ledger import Ledger

LATE = "it didn't answer in time"
_LEASE = "alerts"


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
    channels: Mapping[str, Channel],
    environment: str,
    *,
    redactor: Redactor,
    clock: Callable[[], float],
    budget_s: float,
) -> tuple[str, ...]:
    """Send what `compose` finds due, one process at a time; return what wasn't accepted and why.

    At least once: what a channel accepted is recorded at once, and not sent again. Never takes longer than
    the budget, and raises nothing of a channel.
    """
    holder = this_process("alerts")
    try:
        lease = ledger.acquire(_LEASE, holder, now=clock(), ttl=2 * budget_s, dead=is_dead)
    except ConflictError:
        # Another process sends them.
        return ()
    try:
        redactor.learn(channel_secrets(channels.values()))
        messages = compose()
        waiting, problems = dict(enumerate(messages)), list[str]()
        notices = [(message.channel, message.notice) for message in messages]
        for number, problem in dispatch(notices, send_notice, now=clock(), budget_s=budget_s):
            problems += _record(ledger, waiting.pop(number), problem, environment, clock())
        for message in waiting.values():
            problems += _record(ledger, message, LATE, environment, clock())
        return tuple(problems)
    finally:
        ledger.release(lease)


def _record(
    ledger: Ledger, message: AlertMessage, problem: str, environment: str, now: float
) -> list[str]:
    name = message.channel.name
    if problem:
        failed = AlertFailed(
            environment=environment,
            channel=name,
            reason=problem,
            failures=message.state.failures + 1,
            alerts=len(message.alerts),
        )
        ledger.append([failed], now=now)
        return [f"no alert by {name}: {problem}"]
    sent = [
        AlertSent(
            environment=environment,
            incident=alert.state.id,
            channel=name,
            about=alert.about,
            kind=str(alert.kind),
        )
        for alert in message.alerts
    ]
    ledger.append(sent, now=now)
    return []
