"""List, create, compare and drop the environments of a project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.core.partition import WHOLE
from tidemill.environments.io.compare import StageApart as StageApart
from tidemill.environments.io.compare import differ, differ_in_rows
from tidemill.environments.io.environments import Environments
from tidemill.environments.io.terms import told as told
from tidemill.project.workspace import Workspace

if TYPE_CHECKING:
    from tidemill.environments.row_diff import RowsApart


class ProjectEnvironments(Environments):
    """The environments of a project, and how they differ from the workspace's own."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace.tools, workspace.options)
        self._workspace = workspace

    def diff(self, other: str, stage: str = "") -> tuple[StageApart, ...]:
        """The stages whose partitions or recipes differ from those in `other`; no rows are read.

        UsageError when either environment doesn't exist.
        """
        space = self._workspace
        stages = [space.stage(stage).name] if stage else space.flow.names
        return differ(space.tools, stages, space.environment, other)

    def diff_rows(self, other: str, stage: str, partition: str = WHOLE) -> RowsApart:
        """How the rows of a partition differ from those in `other`, matched by their key."""
        space = self._workspace
        return differ_in_rows(space.tools, space.stage(stage), space.environment, other, partition)
