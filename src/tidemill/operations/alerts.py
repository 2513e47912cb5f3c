"""Decide which alerts of incidents are due to which channel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from enum import StrEnum
from fnmatch import fnmatchcase

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.event import RecordedEvent
from tidemill.ledger.incident import IncidentChange
from tidemill.ledger.incident_events import AlertFailed, AlertSent, IncidentChanged
from tidemill.operations.alert_settings import AlertRoute, AlertSettings
from tidemill.operations.incident import IncidentState, IncidentStatus
from tidemill.operations.incidents import SEVERITIES, elapsed
from tidemill.operations.problem import Problem, ProblemKind, ProblemSeverity, problem_key
from tidemill.operations.silences import SilenceState

# What `fold_channels` reads.
ALERT_EVENTS = tuple(kind.__name__ for kind in (AlertSent, AlertFailed))
_HOUR_S = 3_600.0
_FIRST_RETRY_S = 60.0
# A channel that wasn't tried for so long is no problem any more.
_FORGOTTEN_S = 86_400.0


class AlertKind(StrEnum):
    """Why an alert is due."""

    OPENED = "opened"
    WORSENED = "worsened"
    REMINDER = "reminder"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class SentAlert:
    """An alert that a channel accepted at a time, about an event."""

    at: float
    about: int
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelState:
    """What a channel accepted: alerts by incident, and times of messages of the last hour.

    It failed `failures` times in a row, from `failing_since` until `failed`, for a `reason`.
    """

    sent: Mapping[str, tuple[SentAlert, ...]] = field(default_factory=dict)
    messages: tuple[float, ...] = ()
    failures: int = 0
    failing_since: float = 0.0
    failed: float = 0.0
    reason: str = ""

    @property
    def pause_s(self) -> float:
        """How long it isn't tried: after failures less and less often, from once a minute to once an hour."""
        pause = _FIRST_RETRY_S * 2.0 ** min(self.failures - 1, 10)
        return min(_HOUR_S, pause) if self.failures else 0.0

    def may_try(self, now: float) -> bool:
        """Whether it may be tried now."""
        return elapsed(now, self.failed) >= self.pause_s


@dataclass(frozen=True, slots=True, kw_only=True)
class DueAlert:
    """An alert about the event number `about` of an incident, the `number`-th of it that a channel gets."""

    channel: str
    state: IncidentState
    kind: AlertKind
    about: int
    number: int

    @property
    def id(self) -> str:
        """What identifies the alert, so that one that comes twice can be told."""
        return f"{self.state.id}-{self.about}-{self.number}"


def fold_channels(
    facts: Iterable[RecordedEvent],
    environment: str,
    known: Mapping[str, ChannelState] | None = None,
) -> dict[str, ChannelState]:
    """What the channels accepted of an environment's alerts by their name, after more events."""
    found = dict(known or {})
    sent: dict[str, dict[str, list[SentAlert]]] = {}
    for fact in facts:
        event = fact.event
        if not isinstance(event, AlertSent | AlertFailed) or event.environment != environment:
            continue
        state = found.get(event.channel, ChannelState())
        if isinstance(event, AlertSent):
            alert = SentAlert(fact.at, event.about, event.kind)
            sent.setdefault(event.channel, {}).setdefault(event.incident, []).append(alert)
            found[event.channel] = _accepted(state, fact.at)
        else:
            since = fact.at if event.failures <= 1 else state.failing_since or fact.at
            found[event.channel] = replace(
                state, failures=event.failures, failing_since=since, failed=fact.at,
                reason=event.reason,
            )  # fmt: skip
    for name, new in sent.items():
        before = found[name].sent
        added = {id: (*before.get(id, ()), *alerts) for id, alerts in new.items()}
        found[name] = replace(found[name], sent={**before, **added})
    return found


def _accepted(state: ChannelState, at: float) -> ChannelState:
    """The channel after a message at a time, in which there may be several alerts."""
    if state.messages and state.messages[-1] == at:
        return replace(state, failures=0) if state.failures else state
    recent = (each for each in state.messages if elapsed(at, each) < _HOUR_S)
    return replace(state, messages=(*recent, at), failures=0)


def due_alerts(
    incidents: Iterable[IncidentState],
    channels: Mapping[str, ChannelState],
    silences: Sequence[SilenceState],
    settings: AlertSettings,
    owners: Mapping[str, str],
    now: float,
) -> dict[str, tuple[DueAlert, ...]]:
    """The alerts that are due now, by channel; all of a channel are one message.

    `owners` are those of stages; "" stands for all others. A channel that failed lately, or that got as many
    messages in the last hour as it may, gets none; what is due to it stays due.
    """
    states = [*incidents]
    found = {}
    for name in settings.channels:
        channel = channels.get(name, ChannelState())
        own = [
            state for state in states
            if is_routed(state, name, settings.routes, owners)
            and not any(silence.holds(state, now) for silence in silences)
        ]  # fmt: skip
        due = [each for state in own if (each := _due(state, name, channel, settings, now))]
        ripe = any(_is_ripe(each, settings, now) for each in due)
        if ripe and channel.may_try(now) and not _is_full(channel, settings, now):
            found[name] = tuple(sorted(due, key=_urgency))
    return found


def next_check(
    incidents: Iterable[IncidentState],
    channels: Mapping[str, ChannelState],
    settings: AlertSettings,
    now: float,
) -> float | None:
    """When a check has to do something next if nothing happens until then; None if never.

    An incident was well for long enough, a new one needn't wait for others any more, or a channel that failed
    may be tried again.
    """
    times = []
    for state in incidents:
        if state.is_open and state.recovered is not None:
            times.append(state.recovered + settings.hold_s)
        elif state.is_open:
            times.append(state.opened_at + settings.group_s)
    times += [
        channel.failed + channel.pause_s
        for name, channel in channels.items()
        if name in settings.channels and channel.failures
    ]
    return min((at for at in times if at > now), default=None)


def is_routed(
    state: IncidentState, channel: str, routes: Sequence[AlertRoute], owners: Mapping[str, str]
) -> bool:
    """Whether alerts of an incident go to a channel."""
    return not routes or any(
        channel in route.to and _fits(route, state, owners) for route in routes
    )


def owner_of(stage: str, owners: Mapping[str, str]) -> str:
    """Who owns a stage, or what concerns no single stage."""
    return owners.get(stage, "") or owners.get("", "")


def _fits(route: AlertRoute, state: IncidentState, owners: Mapping[str, str]) -> bool:
    cause = state.cause
    owner = owner_of(cause.stage, owners)
    return _rank(state.severity) >= _rank(route.severity) and all(
        any(fnmatchcase(value, pattern) for pattern in patterns)
        for value, patterns in (
            (cause.stage, route.stages),
            (owner, route.owners),
            (cause.kind, route.kinds),
        )
    )


def _due(
    state: IncidentState, name: str, channel: ChannelState, settings: AlertSettings, now: float
) -> DueAlert | None:
    """The alert of an incident that is due to a channel; one that waits for others is due already."""
    every = channel.sent.get(state.id, ())
    sent = [alert for alert in every if alert.about >= state.opened]
    worsened = _worsened(state)
    kind, about = None, max(state.opened, worsened)
    if not state.is_open:
        if settings.resolved and sent and sent[-1].kind != AlertKind.RESOLVED:
            kind, about = AlertKind.RESOLVED, state.events[-1].seq
    elif state.status is IncidentStatus.RECOVERING:
        # It is closed soon, or bad again.
        return None
    elif not sent:
        kind = AlertKind.OPENED
    elif worsened > max(alert.about for alert in sent):
        kind = AlertKind.WORSENED
    elif elapsed(now, sent[-1].at) >= settings.repeat_s:
        kind, about = AlertKind.REMINDER, state.events[-1].seq
    if kind is None:
        return None
    return DueAlert(channel=name, state=state, kind=kind, about=about, number=len(every) + 1)


def _worsened(state: IncidentState) -> int:
    """The number of the event by which the incident became worse last; 0 if it never did."""
    return max(
        (
            fact.seq
            for fact in state.events
            if isinstance(fact.event, IncidentChanged)
            and fact.event.change is IncidentChange.WORSENED
        ),
        default=0,
    )


def _is_ripe(alert: DueAlert, settings: AlertSettings, now: float) -> bool:
    """Whether an alert needn't wait for others any more."""
    is_new = alert.kind is AlertKind.OPENED
    return not is_new or elapsed(now, alert.state.opened_at) >= settings.group_s


def _is_full(channel: ChannelState, settings: AlertSettings, now: float) -> bool:
    recent = [at for at in channel.messages if elapsed(now, at) < _HOUR_S]
    return len(recent) >= settings.most_per_hour


def _urgency(alert: DueAlert) -> tuple[bool, int, int]:
    return alert.kind is AlertKind.RESOLVED, -_rank(alert.state.severity), alert.state.opened


def _rank(severity: str) -> int:
    return SEVERITIES.index(ProblemSeverity(severity))


def notifier_problems(
    channels: Mapping[str, ChannelState], settings: AlertSettings, environment: str, now: float
) -> tuple[Problem, ...]:
    """The channels that accept no alerts."""
    return tuple(
        Problem(
            kind=ProblemKind.FAILED_NOTIFIER,
            key=problem_key(ProblemKind.FAILED_NOTIFIER, environment, name),
            since=state.failing_since,
            severity=ProblemSeverity.TICKET,
            title=f"the channel {name} accepts no alerts",
            environment=environment,
            evidence={"reason": state.reason, "failures in a row": str(state.failures)},
            command=f"tidemill alerts test {name}",
        )
        for name, state in sorted(channels.items())
        if name in settings.channels
        and state.failures >= settings.failures
        and elapsed(now, state.failed) < _FORGOTTEN_S
    )
