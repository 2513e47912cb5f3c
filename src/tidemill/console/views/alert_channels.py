"""The channels by which people are alerted, whether they work, and which alerts go where."""

from __future__ import annotations

from collections.abc import Mapping

from tidemill.console.views.action_right import ActionRight, action_right
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.permissions import Permission
from tidemill.notices.channel_settings import ChannelKind
from tidemill.operations.alert_settings import AlertRoute
from tidemill.operations.alerts import ChannelState
from tidemill.project.project import Project


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelLine:
    """A channel, without the address that it is reached at, which may be secret.

    It accepted its last message at `last`, and `failures` in a row failed since, the last at `failed`.
    """

    name: str
    kind: ChannelKind
    last: float | None
    failures: int
    failed: float | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertChannelsView:
    """The channels of alerts; without `routes` each gets all. `owners` are those of stages by pattern.

    Reminders come after `repeat_s` seconds; what is well for `hold_s` is closed. With `has_heartbeat` a hook
    is asked for after each check of production.
    """

    channels: tuple[ChannelLine, ...]
    routes: tuple[AlertRoute, ...]
    owners: Mapping[str, str]
    runbook: str
    repeat_s: float
    hold_s: float
    most_per_hour: int
    has_heartbeat: bool
    right: ActionRight


@dataclass(frozen=True, slots=True, kw_only=True)
class TestedChannel:
    """A channel that accepted a test; `told` says so."""

    channel: str
    told: str


def list_channels(project: Project) -> AlertChannelsView:
    """List the channels of alerts: their kinds, what they accepted last, and whether they fail."""
    settings, known = project.settings.alerts, project.incidents.log.channels
    return AlertChannelsView(
        channels=tuple(
            _line(name, each.kind, known.get(name, ChannelState()))
            for name, each in settings.channels.items()
        ),
        routes=settings.routes,
        owners=settings.owners,
        runbook=settings.runbook,
        repeat_s=settings.repeat_s,
        hold_s=settings.hold_s,
        most_per_hour=settings.most_per_hour,
        has_heartbeat=settings.heartbeat is not None,
        right=action_right(project, Permission.MANAGE_INCIDENTS),
    )


def try_channel(project: Project, channel: str) -> TestedChannel:
    """Send a test by a channel, which takes at most ten seconds."""
    project.alerts.test_channel(channel)
    return TestedChannel(channel=channel, told=f"{channel} accepted a test.")


def _line(name: str, kind: ChannelKind, state: ChannelState) -> ChannelLine:
    sent = [alert.at for alerts in state.sent.values() for alert in alerts]
    return ChannelLine(
        name=name,
        kind=kind,
        last=max(sent, default=None),
        failures=state.failures,
        failed=state.failed if state.failures else None,
        reason=state.reason if state.failures else "",
    )
