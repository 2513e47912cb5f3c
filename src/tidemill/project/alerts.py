"""Check what is wrong with a project, open and close incidents, and alert whom they concern."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path

from tidemill.core.errors import (
    ConflictError,
    SendError,
    UnknownNameError,
    did_you_mean,
)
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.io.recorded_reviews import open_reviews
from tidemill.governance.permissions import Permission
from tidemill.ledger.io.lease_holder import is_dead
from tidemill.notices.io.channels import channel_secrets, send_notice
from tidemill.notices.io.dispatch import dispatch
from tidemill.notices.io.heartbeat import send_heartbeat
from tidemill.notices.notice import Notice
from tidemill.offpeak.io.recorded_works import recorded_works
from tidemill.operations.alert_notice import alert_notice
from tidemill.operations.alert_settings import AlertSettings
from tidemill.operations.alerts import ChannelState, due_alerts, next_check, notifier_problems
from tidemill.operations.incident import IncidentState
from tidemill.operations.incidents import (
    IncidentEvent,
    IncidentRules,
    ProblemCheck,
    next_incidents,
)
from tidemill.operations.io.activity_reader import ActivityReader
from tidemill.operations.io.notify import LATE, AlertMessage, send_alerts
from tidemill.operations.io.up_files import killed_at
from tidemill.operations.ledger_problems import (
    StageActivity,
    activity_problems,
    budget_problems,
    delivery_problems,
    disk_problems,
    late_work_problems,
    lost_run_problem,
    review_problems,
    supervisor_problems,
)
from tidemill.operations.problem import Problem
from tidemill.ports.ledger import State
from tidemill.project.incidents import Incidents
from tidemill.project.metrics import Metrics
from tidemill.project.workspace import Workspace
from tidemill.workflow.environment import PRODUCTION
from tidemill.workflow.upstream import upstream_names

# All alerts of a check together may take so long; what isn't accepted then is due again.
BUDGET_S = 10.0
_TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertReport:
    """What a check found: the `events` that it recorded, the incidents that are open, and `failures`.

    Failures say why alerts weren't accepted; they are sent again, and fail no run. The next check has
    something to do at `due` (Unix seconds), if nothing happens before.
    """

    events: tuple[IncidentEvent, ...]
    open: tuple[IncidentState, ...]
    failures: tuple[str, ...] = ()
    due: float | None = None


class Alerts:
    """Checks of an environment. It remembers what it read, so that a check costs what is new."""

    def __init__(self, workspace: Workspace, incidents: Incidents, metrics: Metrics) -> None:
        self._workspace, self._incidents, self._metrics = workspace, incidents, metrics
        names = [stage.name for stage in workspace.declared.stages]
        self._activity = ActivityReader(workspace.tools.ledger, workspace.environment, names)

    @property
    def settings(self) -> AlertSettings:
        """The settings of alerts."""
        return self._workspace.settings.alerts

    def check(self, problems: Iterable[Problem] = (), *, budget_s: float = BUDGET_S) -> AlertReport:
        """Find what is wrong, open and close incidents, and send the alerts that are due.

        `problems` are what the caller found beside, such as that nothing watched the project for a while.
        Raises nothing of a channel, and takes at most `budget_s` seconds each for alerts and the heartbeat.
        AccessError without the role.
        """
        self._workspace.require(Permission.MANAGE_INCIDENTS)
        events = self._record(tuple(problems))
        failures = (*self._send(budget_s), *self._send_heartbeat(budget_s))
        return AlertReport(
            events=events, open=self._incidents.open(), failures=failures, due=self.due()
        )

    def due(self) -> float | None:
        """When the next check has something to do (Unix seconds) if nothing happens before; None if never."""
        log, now = self._incidents.log, self._workspace.tools.clock()
        return next_check(log.incidents, log.channels, self.settings, now)

    def test_channel(self, name: str, *, budget_s: float = BUDGET_S) -> None:
        """Send a test by a channel, for at most `budget_s` seconds.

        UsageError for an unknown one, SendError if it isn't accepted.
        """
        space = self._workspace
        space.require(Permission.MANAGE_INCIDENTS)
        channels = self.settings.channels
        if name not in channels:
            advice = did_you_mean(name, channels) if channels else "none is configured"
            raise UnknownNameError(f"there is no channel {name!r} ({advice})")
        space.record_action(Permission.MANAGE_INCIDENTS, f"a test of {name}")
        space.redactor.learn(channel_secrets([channels[name]]))
        now = space.tools.clock()
        id = f"test-{secrets.token_hex(4)}"
        document = {
            "schema": "tidemill.alerts/1", "id": id,
            "workflow": space.declared.name, "environment": space.environment, "alerts": [],
        }  # fmt: skip
        notice = Notice(
            id=id, title=f"{space.declared.name}: a test", command="tidemill incidents",
            lines=("Alerts of this project arrive here.",), document=document,
        )  # fmt: skip
        sent = dispatch([(channels[name], notice)], send_notice, now=now, budget_s=budget_s)
        if problem := dict(sent).get(0, LATE):
            raise SendError(f"{name} accepted nothing: {problem}")

    def _record(self, problems: Sequence[Problem]) -> tuple[IncidentEvent, ...]:
        """Record what opened, changed and closed, unless another process did it meanwhile."""
        tools, settings = self._workspace.tools, self.settings
        rules = IncidentRules(hold_s=settings.hold_s, reopen_s=settings.reopen_s)
        tries = 0
        while True:
            log = self._incidents.log
            now = tools.clock()
            check = self._checked(problems, now, log.seq)
            events = next_incidents(log.incidents, check, rules)
            if not events:
                return ()
            try:
                tools.ledger.append(events, now=now, guard=log.guard)
            except ConflictError:
                tries += 1
                if tries == _TRIES:
                    raise
            else:
                return events

    def _checked(self, problems: Sequence[Problem], now: float, seq: int) -> ProblemCheck:
        space = self._workspace
        state = space.tools.ledger.state(space.environment)
        activity = self._activity.read(state.seq)
        flow = space.declared
        return ProblemCheck(
            environment=space.environment,
            now=now,
            seq=seq,
            problems=(
                *problems,
                *self._metrics.problems(),
                *self._other_problems(state, activity, now),
            ),
            upstream={stage.name: frozenset(upstream_names(flow, stage)) for stage in flow.stages},
            facts=activity.facts,
        )

    def _other_problems(
        self, state: State, activity: StageActivity, now: float
    ) -> Iterator[Problem]:
        space, settings = self._workspace, self.settings
        here = space.environment
        yield from activity_problems(activity)
        dead = [run for run in state.open_runs if is_dead(run.holder)]
        # The next run records their end.
        yield from (lost_run_problem(run.id, run.started, here) for run in dead[:1])
        yield from delivery_problems(state.pending_effects, here, settings.stuck_s, now)
        reviews = open_reviews(space.tools.ledger, here)
        yield from review_problems(reviews.values(), here, now)
        yield from notifier_problems(self._incidents.log.channels, settings, here, now)
        killed = killed_at(space.home, space.declared.name, here)
        yield from supervisor_problems(killed, here)
        free = shutil.disk_usage(_existing(space.home)).free
        if space.has_budgets(state):
            statuses = import_module("tidemill.project.budgets").statuses_of(space, state)
            yield from budget_problems(statuses, here, now)
        if space.settings.offpeak.is_set:
            yield from late_work_problems(recorded_works(space.tools.ledger, here), here, now)
        yield from disk_problems(free, settings.disk_free, here, now)

    def _send(self, budget_s: float) -> tuple[str, ...]:
        space = self._workspace
        channels = self.settings.channels
        if not channels or not self._compose():
            return ()
        space.redactor.learn(channel_secrets(channels.values()))
        return send_alerts(
            space.tools.ledger,
            self._compose,
            space.environment,
            clock=space.tools.clock,
            budget_s=budget_s,
            repeat_s=self.settings.repeat_s,
        )

    def _send_heartbeat(self, budget_s: float) -> Iterator[str]:
        """Show that production is looked after, unless nobody could be told what is wrong."""
        space, settings = self._workspace, self.settings
        if settings.heartbeat is None or space.environment != PRODUCTION:
            return
        known = self._incidents.log.channels
        failing = [name for name, each in known.items() if each.failures >= settings.failures]
        if settings.channels and not {*settings.channels} - {*failing}:
            yield "no heartbeat: no channel accepts alerts"
            return
        space.redactor.learn(channel_secrets([settings.heartbeat]))
        if problem := send_heartbeat(settings.heartbeat, budget_s):
            yield f"no heartbeat: {problem}"

    def _compose(self) -> Sequence[AlertMessage]:
        """The messages that are due now, by what the ledger tells."""
        log, owners = self._incidents.log, self._incidents.owners()
        space, settings = self._workspace, self.settings
        now = space.tools.clock()
        silences = [state for state in log.silences if self._incidents.is_in_force(state)]
        due = due_alerts(log.incidents, log.channels, silences, settings, owners, now)
        return [
            AlertMessage(
                channel=settings.channels[name],
                notice=alert_notice(
                    alerts, settings, owners, workflow=space.declared.name, now=now
                ),
                alerts=alerts,
                state=log.channels.get(name, ChannelState()),
            )
            for name, alerts in due.items()
        ]


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above that exists."""
    return next(each for each in (path, *path.parents) if each.exists())
