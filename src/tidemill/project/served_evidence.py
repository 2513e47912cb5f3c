"""The mail of an environment's servers to the one that judges rollouts: a lease that is a letter box."""

from __future__ import annotations

from collections.abc import Mapping

from tidemill.core.errors import ConflictError
from tidemill.project.workspace import Workspace

# A message that nobody took for so long is from a time in which nobody judged.
_KEPT_S = 60.0
_MESSAGE = "evidence"


class ServedEvidence:
    """Leaves and takes messages, each in one transaction of the ledger; there is room for one."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._name = f"evidence:{workspace.environment}"

    def post(self, message: str) -> bool:
        """Leave a message; False while another one waits."""
        tools = self._workspace.tools
        holder = {"command": "tidemill serve", _MESSAGE: message}
        try:
            tools.ledger.acquire(
                self._name, holder, now=tools.clock(), ttl=_KEPT_S, dead=lambda _: False
            )
        except ConflictError:
            return False
        return True

    def take(self) -> str:
        """Take the message that waits; "" if there is none."""
        tools, found = self._workspace.tools, [""]

        def read(holder: Mapping[str, str]) -> bool:
            found.append(holder.get(_MESSAGE, ""))
            return True

        holder = {"command": "tidemill serve"}
        lease = tools.ledger.acquire(self._name, holder, now=tools.clock(), ttl=_KEPT_S, dead=read)
        tools.ledger.release(lease)
        return found[-1]
