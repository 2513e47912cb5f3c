"""Say what others have computed of an environment's results."""

from __future__ import annotations

import socket
from collections import Counter

from tidemill.governance.permissions import Permission
from tidemill.ledger.event import RunStarted
from tidemill.ledger.io.lease_holder import this_user
from tidemill.ledger.shared_work import SharedWork, shared_work
from tidemill.ports.ledger import State
from tidemill.project.workspace import Workspace
from tidemill.runs.io.run_starters import makers_of


class Sharing:
    """Tells whose work the results of a workspace's environment are."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def read(self) -> SharedWork:
        """Who computed the published partitions of each stage, wherever and in which environment it was.

        AccessError if the actor may not read.
        """
        space = self._workspace
        space.require(Permission.READ)
        who, here = self._people(), f"{this_user()}@{socket.gethostname()}"

        def computed_by(runs: tuple[str, ...]) -> str:
            makers = [who.get(run, "unknown") for run in runs]
            return next((maker for maker in makers if maker != here), here)

        def counted(state: State) -> SharedWork:
            made: dict[str, Counter[str]] = {}
            for stage, head in state.heads.items():
                made[stage] = Counter()
                for runs, count in makers_of(head.partitions).items():
                    made[stage][computed_by(runs)] += count
            return shared_work(here, made, state.costs)

        return space.read_state(counted)

    def _people(self) -> dict[str, str]:
        """Who started each run, on which host."""
        facts = self._workspace.tools.ledger.events(kinds=(RunStarted.__name__,))
        events = [fact.event for fact in facts]
        return {
            event.run: f"{event.holder.get('user', '?')}@{event.holder.get('host', '?')}"
            for event in events
            if isinstance(event, RunStarted)
        }
