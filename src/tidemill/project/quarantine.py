"""The quarantine of a project: list, export, release, correct and drop rejected rows."""

from __future__ import annotations

from functools import partial

from tidemill.project.workspace import Workspace
from tidemill.quarantine.io.release import Quarantine as Quarantine
from tidemill.quarantine.io.release import QuarantinedPartition as QuarantinedPartition


def open_quarantine(workspace: Workspace) -> Quarantine:
    """The quarantine of the workspace's environment."""
    state = partial(workspace.state, whole=True)
    return Quarantine(workspace.tools, workspace.environment, workspace.known_stage, state)
