"""Say how the environment of an open project is doing."""

from __future__ import annotations

from tidemill.governance.permissions import Permission
from tidemill.history.io.run_attempts import AttemptSums
from tidemill.operations.status_report import StatusReport
from tidemill.project.status import StatusMemory, own_reports, report_status
from tidemill.project.workspace import Workspace

# How long (seconds) what was said counts, unless something is recorded.
_KNOWN_S = 2.0


class Statuses:
    """Says how the environment of a workspace is doing, and remembers for a moment what it said."""

    def __init__(self, workspace: Workspace, attempts: AttemptSums) -> None:
        self._workspace = workspace
        self._memory = StatusMemory(
            workspace.settings,
            workspace.tools.ledger,
            workspace.declared.name,
            workspace.environment,
            attempts,
        )
        self._known: tuple[int, StatusReport] | None = None

    def read(self) -> StatusReport:
        """How the environment is doing; AccessError if the actor may not read.

        UsageError if there is no such environment.
        """
        space = self._workspace
        space.require(Permission.READ)
        ledger, name = space.tools.ledger, space.declared.name
        seq = next((fact.seq for fact in ledger.events(newest=True, limit=1)), 0)
        if self._known is not None:
            known, said = self._known
            if known == seq and 0.0 <= space.tools.clock() - said.at < _KNOWN_S:
                return said
        own = own_reports(space.settings, space.home, name, space.environment)
        found = report_status(space.settings, ledger, name, space.environment, own, self._memory)
        self._known = seq, found
        return found
