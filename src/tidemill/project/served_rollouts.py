"""The records of rollouts for a server: one server of an environment has the lease to write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tidemill.ledger.event import RolloutStepped
from tidemill.ledger.io.lease_holder import is_dead, this_process
from tidemill.ledger.model_version import Moved
from tidemill.ledger.rollout import RolloutStep
from tidemill.ports.ledger import Guard, Lease, State
from tidemill.project.live_models import LiveModels
from tidemill.project.rollouts import read_records
from tidemill.project.workspace import Workspace
from tidemill.serving.endpoint_record import EndpointRecord
from tidemill.serving.endpoint_state import moves_back, taken_over
from tidemill.serving.io.rollout_judge import Takeover

# A server that hasn't renewed for this long counts as gone; on the same host that is seen at once.
LEASE_SECONDS = 30.0


class ServedRollouts:
    """Reads and records the rollouts of the environment of a workspace, for one server."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._holder = this_process("tidemill serve")

    def read(self, state: State) -> Mapping[str, EndpointRecord]:
        """The record of each endpoint up to a state of the ledger."""
        return read_records(self._workspace, state)

    def acquire(self) -> Lease:
        """Take the lease; ConflictError with its holder if another server has it."""
        tools, name = self._workspace.tools, f"serve:{self._workspace.environment}"
        return tools.ledger.acquire(
            name, self._holder, now=tools.clock(), ttl=LEASE_SECONDS, dead=is_dead
        )

    def renew(self, lease: Lease) -> Lease:
        """Keep the lease; ConflictError if another server took it."""
        tools = self._workspace.tools
        return tools.ledger.renew(lease, now=tools.clock(), ttl=LEASE_SECONDS)

    def release(self, lease: Lease) -> None:
        """Give the lease back."""
        self._workspace.tools.ledger.release(lease)

    def take_over(self, lease: Lease) -> Takeover:
        """Record that rollouts continue, and return them; ConflictError without the lease."""
        space = self._workspace
        state = space.state()
        records, now = read_records(space, state), space.tools.clock()
        found = {
            each.name: taken_over(
                records.get(each.name), state.live.get(each.model), each.rollout, now
            )
            for each in space.flow.endpoints
        }
        # In one transaction, before anything is judged: the evidence that was lost must count as lost.
        self._append([(name, step) for name, each in found.items() for step in each.records], lease)
        return Takeover(state=state, endpoints=found)

    def record(self, endpoint: str, steps: Sequence[RolloutStep], lease: Lease) -> None:
        """Record steps of an endpoint, all or none; ConflictError without the lease."""
        self._append([(endpoint, step) for step in steps], lease)

    def move_back(self, endpoint: str, step: RolloutStep, lease: Lease) -> Moved | None:
        """Make the version before live again, if `step` rolled the live one back and nobody moved it since.

        Raises as `LiveModels.rollback` does, but needs no permission.
        """
        if not moves_back(step, self._workspace.state().live):
            return None
        return LiveModels(self._workspace).move_back(
            step.model,
            step.incumbent,
            actor=f"rollout of endpoint {endpoint}",
            reason=step.reason,
            lease=lease,
        )

    def _append(self, steps: Sequence[tuple[str, RolloutStep]], lease: Lease) -> None:
        space = self._workspace
        events = [
            RolloutStepped(environment=space.environment, endpoint=endpoint, step=step)
            for endpoint, step in steps
        ]
        if events:
            guard = Guard(lease=lease)
            space.tools.ledger.append(events, now=space.tools.clock(), guard=guard)
