"""Say what others have computed of an environment's results."""

from __future__ import annotations

import socket

from tidemill.governance.permissions import Permission
from tidemill.ledger.binding import Binding
from tidemill.ledger.event import RunStarted
from tidemill.ledger.io.lease_holder import this_user
from tidemill.ledger.shared_work import SharedWork, shared_work
from tidemill.project.workspace import Workspace

# So many keys are looked up at once.
_KEYS = 10_000


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
        state = space.read_state(lambda found: found)
        heads = {stage: [*head.partitions.values()] for stage, head in state.heads.items()}
        first = self._first_results([bound.key for held in heads.values() for bound in held])
        who = self._people()

        def computed_by(bound: Binding) -> str:
            return who.get(first.get(bound.key, bound).run, "unknown")

        return shared_work(
            f"{this_user()}@{socket.gethostname()}",
            {stage: [computed_by(bound) for bound in held] for stage, held in heads.items()},
            state.costs,
        )

    def _first_results(self, keys: list[str]) -> dict[str, Binding]:
        """What was recorded first under each key: whoever bound it later didn't compute it."""
        ledger, found = self._workspace.tools.ledger, dict[str, Binding]()
        for start in range(0, len(keys), _KEYS):
            found.update(ledger.traces(keys[start : start + _KEYS]))
        return found

    def _people(self) -> dict[str, str]:
        """Who started each run, on which host."""
        facts = self._workspace.tools.ledger.events(kinds=(RunStarted.__name__,))
        events = [fact.event for fact in facts]
        return {
            event.run: f"{event.holder.get('user', '?')}@{event.holder.get('host', '?')}"
            for event in events
            if isinstance(event, RunStarted)
        }
