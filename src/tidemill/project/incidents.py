"""The incidents of a project as people handle them: list, show, open and resolve them, silence alerts."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from fnmatch import fnmatchcase

from tidemill.core.errors import UnknownNameError, UsageError, did_you_mean
from tidemill.core.recorded_reason import checked_note, checked_reason
from tidemill.core.short_id import ids_meant
from tidemill.core.units import parse_seconds
from tidemill.governance.permissions import Permission
from tidemill.ledger.incident import ClosingReason, Incident, IncidentCause, Silence
from tidemill.ledger.incident_events import (
    IncidentClosed,
    IncidentOpened,
    Silenced,
    SilenceEnded,
)
from tidemill.operations.alert_notice import incident_lines
from tidemill.operations.alerts import SentAlert
from tidemill.operations.incident import IncidentState, open_incidents
from tidemill.operations.io.incident_log import IncidentLog
from tidemill.operations.problem import ProblemKind, ProblemSeverity, problem_key
from tidemill.operations.silences import SilenceState, checked_silence
from tidemill.project.workspace import Workspace


class Incidents:
    """The incidents of an environment, and the silences of their alerts."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._log: IncidentLog | None = None

    @property
    def log(self) -> IncidentLog:
        """What the ledger tells of incidents now."""
        space = self._workspace
        space.require(Permission.READ)
        if self._log is None:
            self._log = IncidentLog(space.tools.ledger, space.environment)
        self._log.read()
        return self._log

    @property
    def _known(self) -> IncidentLog:
        """What was read last, without what others recorded since."""
        return self._log or self.log

    def alerts_of(self, state: IncidentState) -> tuple[tuple[str, SentAlert], ...]:
        """The alerts of an incident that were accepted, with their channels."""
        return tuple(
            (name, alert)
            for name, channel in self.log.channels.items()
            for alert in channel.sent.get(state.id, ())
        )

    def every(self) -> tuple[IncidentState, ...]:
        """All incidents, the newest first."""
        return self.log.incidents

    def open(self) -> tuple[IncidentState, ...]:
        """The incidents that aren't closed, the most severe first."""
        return open_incidents(self.log.incidents)

    def open_lines(self) -> tuple[str, ...]:
        """The open incidents, each in one line that also says by whom it is silenced."""
        log, now = self.log, self._workspace.tools.clock()
        silences = [state for state in log.silences if state.is_in_force(now)]
        return incident_lines(log.incidents, silences, self.owners(), now)

    def incident(self, id: str) -> IncidentState:
        """The incident whose id begins so; UsageError if there is none, or several."""
        known = {state.id: state for state in self.every()}
        found = ids_meant(id, known)
        if len(found) == 1:
            return known[found[0]]
        if found:
            raise UsageError(f"several incidents begin with {id!r}: name more of the id")
        raise UnknownNameError(f"there is no incident {id!r} ({did_you_mean(id, known)})")

    def report(
        self, title: str, *, severity: str, stage: str = "", reason: str = ""
    ) -> IncidentState:
        """Open an incident that a person saw; it lasts until a person closes it.

        UsageError for an unknown severity or stage. AccessError without the role.
        """
        space = self._workspace
        actor = space.require(Permission.MANAGE_INCIDENTS).name
        severities = [str(each) for each in ProblemSeverity]
        if severity not in severities:
            raise UsageError(f"severity {severity!r}: {did_you_mean(severity, severities)}")
        if stage:
            space.known_stage(stage)
        id, now = f"i{secrets.token_hex(5)}", space.tools.clock()
        key = problem_key(ProblemKind.REPORTED, space.environment, id)
        evidence = {"note": checked_note(reason, "reason")} if reason else {}
        cause = IncidentCause(
            key=key, kind=str(ProblemKind.REPORTED), stage=stage, evidence=evidence,
            title=checked_reason(title, "an incident"),
        )  # fmt: skip
        incident = Incident(
            id=id, cause=cause, severity=severity, since=now, detected=now, actor=actor
        )
        event = IncidentOpened(environment=space.environment, incident=incident)
        space.tools.ledger.append([event], now=now)
        return self.incident(id)

    def resolve(self, id: str, *, reason: str) -> IncidentState:
        """Close an incident, which stays closed until its problem begins once more.

        One that is closed already stays as it is. UsageError for an unknown one, or without a reason.
        """
        space = self._workspace
        actor = space.require(Permission.MANAGE_INCIDENTS).name
        why = checked_reason(reason, "the end of an incident")
        state = self.incident(id)
        if state.is_open:
            now = space.tools.clock()
            event = IncidentClosed(
                environment=space.environment, incident=state.id, how=ClosingReason.BY_PERSON,
                recovered=state.recovered or max(now, state.bad_since), actor=actor, reason=why,
            )  # fmt: skip
            space.tools.ledger.append([event], now=now, guard=self._known.guard)
        return self.incident(state.id)

    def silences(self) -> tuple[SilenceState, ...]:
        """All silences, also those that are over, oldest first."""
        return self.log.silences

    def is_in_force(self, state: SilenceState) -> bool:
        """Whether a silence holds alerts now."""
        return state.is_in_force(self._workspace.tools.clock())

    def silence(
        self,
        *,
        reason: str,
        ttl: str | float,
        stage: str = "*",
        kind: str = "*",
        severity: str = "*",
    ) -> Silence:
        """Hold the alerts of incidents that match all patterns, for at most 30 days.

        UsageError without a reason, for a longer time, or for a pattern that matches nothing.
        """
        space = self._workspace
        actor = space.require(Permission.MANAGE_INCIDENTS).name
        now = space.tools.clock()
        try:
            length = parse_seconds(ttl)
        except ValueError as error:
            raise UsageError(str(error)) from None
        made = Silence(
            id=f"s{secrets.token_hex(4)}", reason=checked_reason(reason, "a silence"), actor=actor,
            at=now, expires=now + length, stage=stage, kind=kind, severity=severity,
        )  # fmt: skip
        checked = checked_silence(made, [each.name for each in space.flow.stages])
        event = Silenced(environment=space.environment, silence=checked)
        space.tools.ledger.append([event], now=now)
        return checked

    def end_silence(self, id: str, *, reason: str = "") -> SilenceState:
        """End a silence; one that is over already stays as it is. UsageError for an unknown one."""
        space = self._workspace
        actor = space.require(Permission.MANAGE_INCIDENTS).name
        known = {state.silence.id: state for state in self.silences()}
        if id not in known:
            raise UnknownNameError(f"there is no silence {id!r} ({did_you_mean(id, known)})")
        if self.is_in_force(known[id]):
            event = SilenceEnded(
                environment=space.environment, silence=id, actor=actor,
                reason=checked_note(reason, "reason"),
            )  # fmt: skip
            space.tools.ledger.append([event], now=space.tools.clock())
        return next(state for state in self.silences() if state.silence.id == id)

    def owners(self) -> Mapping[str, str]:
        """Who owns each stage by the settings, and under "" who owns the workflow."""
        flow = self._workspace.declared
        return {"": flow.owner} | {stage.name: self.owner(stage.name) for stage in flow.stages}

    def owner(self, stage: str) -> str:
        """Who owns a stage by the settings, or else the workflow."""
        patterns = self._workspace.settings.alerts.owners.items()
        names = (owner for pattern, owner in patterns if stage and fnmatchcase(stage, pattern))
        return next(names, self._workspace.declared.owner)
