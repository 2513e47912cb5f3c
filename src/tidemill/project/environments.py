"""List, create, compare and drop the environments of a project."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.partition import WHOLE
from tidemill.environments.io.compare import StageDiff as StageDiff
from tidemill.environments.io.compare import diff_environments, diff_partition
from tidemill.environments.io.environment_options import options_text as options_text
from tidemill.environments.io.environments import (
    DropResult,
    Environments,
    forget_stages,
    load_state,
)
from tidemill.governance.permissions import Permission
from tidemill.project.trusted_branches import require_trusted_branch
from tidemill.project.workflow_ledger import WorkflowLedger
from tidemill.project.workspace import Workspace
from tidemill.workflow.environment import PRODUCTION, Environment

if TYPE_CHECKING:
    from tidemill.environments.row_diff import RowDiff as RowDiff


class ProjectEnvironments(Environments):
    """The environments of a project, and how they differ from the workspace's own."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace.tools, workspace.options)
        self._workspace = workspace

    def list(self) -> tuple[Environment, ...]:
        self._workspace.require(Permission.READ)
        return super().list()

    def create(
        self,
        name: str,
        *,
        parent: str = PRODUCTION,
        ttl: str | float | None = None,
        sample: float | None = None,
        profile: str | None = None,
        actor: str = "",
    ) -> Environment:
        actor = self._workspace.require(Permission.CREATE_ENVIRONMENT).name
        require_trusted_branch(self._workspace, name, parent)
        return super().create(
            name, parent=parent, ttl=ttl, sample=sample, profile=profile, actor=actor
        )

    def drop(
        self, names: Iterable[str] = (), *, expired: bool = False, actor: str = ""
    ) -> DropResult:
        actor = self._workspace.require(Permission.DROP_ENVIRONMENT).name
        return super().drop(names, expired=expired, actor=actor)

    def adopt(self, workflow: str) -> tuple[str, ...]:
        """Continue the environments of another workflow of this home, whose name this one had before.

        Returns their names. Raises ConflictError when this workflow has state already, UsageError when
        there is no such workflow.
        """
        acted = self._workspace.action_event(Permission.ADOPT_WORKFLOW, workflow)
        ledger = self._workspace.tools.ledger
        assert isinstance(ledger, WorkflowLedger)
        if workflow not in ledger.others():
            advice = did_you_mean(workflow, ledger.others())
            raise UsageError(f"no other workflow {workflow!r} has state here ({advice})")
        return ledger.adopt(workflow, acted, now=self._workspace.tools.clock())

    def diff(self, other: str, stage: str = "", *, one: str = "") -> tuple[StageDiff, ...]:
        """The stages whose partitions or recipes differ from those in `other`; no rows are read.

        They are those of the workspace's environment, or of the environment `one`. UsageError when either
        doesn't exist.
        """
        space = self._workspace
        space.require(Permission.READ)
        here = one or space.environment
        if stage:
            stages = [space.known_stage(stage).name]
        else:
            gone = {
                name
                for environment in (here, other)
                for name in space.undeclared(load_state(space.tools.ledger, environment))
            }
            stages = [*space.flow.names, *sorted(gone)]
        found = diff_environments(space.tools, stages, here, other)
        return tuple(replace(item, declared=item.stage in space.flow.names) for item in found)

    def diff_rows(self, other: str, stage: str, partition: str = WHOLE) -> RowDiff:
        """How the rows of a partition differ from those in `other`, matched by their key."""
        space = self._workspace
        subject = space.known_stage(stage)
        return diff_partition(space.tools, subject, space.environment, other, partition)

    def forget(self, stages: Iterable[str]) -> dict[str, int]:
        """Remove what stages published that are no longer declared; return their numbers of partitions.

        Stored objects and known results stay. Raises UsageError for a stage that is declared, or that has
        published nothing.
        """
        space = self._workspace
        space.require(Permission.FORGET_STAGES)
        names = tuple(dict.fromkeys(stages))
        for name in names:
            if name in space.flow.names:
                raise UsageError(
                    f"{name} is declared in {space.flow.name}: remove it from the workflow first"
                )
            space.known_stage(name)
        acted = space.action_event(Permission.FORGET_STAGES, ", ".join(names))
        return forget_stages(space.tools, space.environment, names, [acted])
