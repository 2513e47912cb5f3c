"""The quarantine of a project: list, export, release, correct and drop rejected rows."""

from __future__ import annotations

from functools import partial
from importlib import import_module

from tidemill.contracts.row_ruling import Disposition
from tidemill.governance.permissions import Permission
from tidemill.project.enforcement import is_governed
from tidemill.project.ruling_permissions import RULING_PERMISSIONS
from tidemill.project.workspace import Workspace
from tidemill.quarantine.io.release import Quarantine as Quarantine
from tidemill.quarantine.io.release import QuarantinedPartition as QuarantinedPartition
from tidemill.quarantine.release_request import ReleaseConsent, ReleaseRequest


def open_quarantine(workspace: Workspace) -> Quarantine:
    """The quarantine of the workspace's environment."""

    def authorize(disposition: Disposition) -> str:
        return workspace.require(RULING_PERMISSIONS[disposition]).name

    def decide(request: ReleaseRequest) -> ReleaseConsent:
        # Only a release needs it.
        policy = import_module("tidemill.project.release_policy")
        consent: ReleaseConsent = policy.decide_release(workspace, request)
        return consent

    return Quarantine(
        workspace.tools,
        workspace.environment,
        workspace.known_stage,
        workspace.read_state,
        authorize,
        decide if is_governed(workspace) else None,
        partial(workspace.note_action, Permission.EXPORT_ROWS),
    )
