"""Create the keys that sign attestations and checkpoints."""

from __future__ import annotations

from pathlib import Path

from tidemill.governance.io.signing_keys import PublicKey, create_key, public_path
from tidemill.governance.permissions import Permission
from tidemill.project.workspace import Workspace


class Keys:
    """Creates keys, none of which may lie in the home of the workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def create(self, path: str | Path) -> tuple[PublicKey, Path]:
        """Create a private key in `path`, and the public one beside it; return that, and its path.

        Who created which key is recorded. AccessError if the actor may not manage keys; UsageError if there
        is a file of that name, or if the path lies in the home.
        """
        space, target = self._workspace, Path(path).expanduser()
        space.require(Permission.MANAGE_AUDIT)
        created = create_key(target, space.home)
        space.record_action(Permission.MANAGE_AUDIT, f"key {created.id}", "created")
        return created, public_path(target)
