"""Rollouts of new versions at endpoints: read and record their steps, hold and resume them."""

from __future__ import annotations

from collections.abc import Sequence

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.ledger.event import RolloutStepped
from tidemill.ledger.io.lease_holder import this_user
from tidemill.ledger.model_version import Moved
from tidemill.ledger.rollout import EndpointStatus, RolloutStep
from tidemill.project.live_models import LiveModels
from tidemill.project.workspace import Workspace
from tidemill.serving.endpoint_state import after_restart, last_steps, moves_back, pause, steps_of
from tidemill.serving.endpoint_status import endpoint_status, serving_since
from tidemill.workflow.endpoint import Endpoint
from tidemill.workflow.environment import history_filter

_KINDS = (RolloutStepped.__name__,)


class Rollouts:
    """The rollouts at the endpoints of the environment of a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def last(self) -> dict[str, RolloutStep]:
        """The last recorded step of each endpoint."""
        space = self._workspace
        ours = history_filter(space.state().environments, space.environment)
        return last_steps(space.tools.ledger.events(kinds=_KINDS), ours)

    def steps(self, endpoint: str) -> tuple[RolloutStep, ...]:
        """All recorded steps of an endpoint, oldest first; UsageError for an unknown one."""
        space, name = self._workspace, self._endpoint(endpoint).name
        ours = history_filter(space.state().environments, space.environment)
        return steps_of(space.tools.ledger.events(kinds=_KINDS), name, ours)

    def statuses(self) -> tuple[EndpointStatus, ...]:
        """The state of each endpoint as far as it is recorded: without what a server observed since then."""
        found = []
        for endpoint in self._workspace.flow.endpoints:
            steps = self.steps(endpoint.name)
            state = after_restart(steps[-1] if steps else None, endpoint.rollout)
            found.append(endpoint_status(endpoint, state, since=serving_since(steps)))
        return tuple(found)

    def record(self, endpoint: str, steps: Sequence[RolloutStep]) -> None:
        """Record steps of an endpoint, all or none."""
        space = self._workspace
        events = [
            RolloutStepped(environment=space.environment, endpoint=endpoint, step=step)
            for step in steps
        ]
        if events:
            space.tools.ledger.append(events, now=space.tools.clock())

    def move_back(self, endpoint: str, step: RolloutStep) -> Moved | None:
        """Make the version before live again, if `step` rolled the live one back and nobody moved it since.

        Raises as `LiveModels.rollback` does.
        """
        if not moves_back(step, self._workspace.state().live):
            return None
        return LiveModels(self._workspace).rollback(
            step.model, to=step.incumbent, reason=step.reason, by=f"rollout of endpoint {endpoint}"
        )

    def hold(self, endpoint: str, *, reason: str = "", by: str = "") -> RolloutStep:
        """Keep the candidate at its share until somebody resumes; it still goes back if it is worse.

        Does nothing if it is held. UsageError without a rollout that is under way.
        """
        return self._pause(endpoint, held=True, reason=reason, by=by)

    def resume(self, endpoint: str, *, reason: str = "", by: str = "") -> RolloutStep:
        """Let a rollout go on that was held; as `hold`."""
        return self._pause(endpoint, held=False, reason=reason, by=by)

    def _pause(self, name: str, *, held: bool, reason: str, by: str) -> RolloutStep:
        endpoint, last = self._endpoint(name), self.last().get(name)
        before = after_restart(last, endpoint.rollout)
        if last is None or endpoint.rollout is None or before.rollout is None:
            raise UsageError(f"no rollout is under way at endpoint {name!r}")
        after = pause(
            before,
            endpoint.rollout,
            self._workspace.tools.clock(),
            held=held,
            actor=by.strip() or this_user(),
            reason=reason.strip(),
        )
        self.record(name, after.records)
        return after.last or last

    def _endpoint(self, name: str) -> Endpoint:
        endpoints = {endpoint.name: endpoint for endpoint in self._workspace.flow.endpoints}
        if name not in endpoints:
            raise UsageError(f"there is no endpoint {name!r} ({did_you_mean(name, endpoints)})")
        return endpoints[name]
