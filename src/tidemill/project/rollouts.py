"""Rollouts of new versions at endpoints: what is recorded, and people who hold and resume them."""

from __future__ import annotations

from tidemill.core.errors import UnknownNameError, UsageError, did_you_mean
from tidemill.core.recorded_reason import checked_note
from tidemill.governance.permissions import Permission
from tidemill.ledger.event import RolloutStepped
from tidemill.ledger.rollout import EndpointStatus, RolloutStep
from tidemill.ports.ledger import State
from tidemill.project.server_statuses import running_servers
from tidemill.project.workspace import Workspace
from tidemill.serving.endpoint_record import EndpointRecord, endpoint_records, steps_of
from tidemill.serving.endpoint_state import pause, recorded_state
from tidemill.serving.endpoint_status import endpoint_status
from tidemill.serving.running_servers import ObservedEndpoints, observed_endpoints
from tidemill.workflow.endpoint import Endpoint
from tidemill.workflow.environment import history_filter

_KINDS = (RolloutStepped.__name__,)


def read_records(space: Workspace, state: State | None = None) -> dict[str, EndpointRecord]:
    """Read the record of each endpoint of the environment, up to a state of the ledger or up to now."""
    ours = history_filter((state or space.state()).environments, space.environment)
    facts = space.tools.ledger.events(kinds=_KINDS)
    return endpoint_records(facts, ours, until=None if state is None else state.seq)


class Rollouts:
    """The rollouts at the endpoints of the environment of a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def steps(self, endpoint: str) -> tuple[RolloutStep, ...]:
        """All recorded steps of an endpoint, oldest first; UsageError for an unknown one."""
        space, name = self._workspace, self._endpoint(endpoint).name
        ours = history_filter(space.state().environments, space.environment)
        return steps_of(space.tools.ledger.events(kinds=_KINDS), name, ours)

    def statuses(self) -> tuple[EndpointStatus, ...]:
        """The state of each endpoint as far as it is recorded: without what a server observed since then."""
        found, records = [], read_records(self._workspace)
        for endpoint in self._workspace.flow.endpoints:
            state = recorded_state(records.get(endpoint.name), endpoint.rollout)
            found.append(endpoint_status(endpoint, state))
        return tuple(found)

    def observed(self) -> ObservedEndpoints:
        """The state of each endpoint now, as the running server says that judges its rollout.

        Servers on this machine are asked. Without a server it is what is recorded, as `statuses` returns it.
        """
        servers, problems = running_servers(self._workspace)
        return observed_endpoints(self.statuses(), servers, problems)

    def hold(self, endpoint: str, *, reason: str = "", note: str = "") -> RolloutStep:
        """Keep the candidate at its share until somebody resumes; it still goes back if it is worse.

        Does nothing if it is held. UsageError without a rollout that is under way.
        """
        return self._pause(endpoint, held=True, reason=reason, note=note)

    def resume(self, endpoint: str, *, reason: str = "", note: str = "") -> RolloutStep:
        """Let a rollout go on that was held; as `hold`."""
        return self._pause(endpoint, held=False, reason=reason, note=note)

    def _pause(self, name: str, *, held: bool, reason: str, note: str) -> RolloutStep:
        space = self._workspace
        actor = space.require(Permission.STEER_ROLLOUT).name
        endpoint = self._endpoint(name)
        record = read_records(space).get(name)
        before = recorded_state(record, endpoint.rollout)
        if record is None or endpoint.rollout is None or before.rollout is None:
            raise UsageError(f"no rollout is under way at endpoint {name!r}")
        now = space.tools.clock()
        words = {"reason": checked_note(reason, "reason"), "note": checked_note(note)}
        step = pause(before, endpoint.rollout, now, held=held, actor=actor, **words)
        if step is None:
            return record.hold or record.last
        event = RolloutStepped(environment=space.environment, endpoint=name, step=step)
        space.tools.ledger.append([event], now=now)
        return step

    def _endpoint(self, name: str) -> Endpoint:
        endpoints = {endpoint.name: endpoint for endpoint in self._workspace.flow.endpoints}
        if name not in endpoints:
            raise UnknownNameError(
                f"there is no endpoint {name!r} ({did_you_mean(name, endpoints)})"
            )
        return endpoints[name]
