"""Create the keys that sign attestations and checkpoints."""

from __future__ import annotations

from pathlib import Path

from tidemill.governance.io.signing_keys import PublicKey, create_key, public_path
from tidemill.project.workspace import Workspace


class Keys:
    """Creates keys, none of which may lie in the home of the workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def create(self, path: str | Path) -> tuple[PublicKey, Path]:
        """Create a private key in `path`, and the public one beside it; return that, and its path.

        UsageError if there is a file of that name, or if the path lies in the home.
        """
        target = Path(path).expanduser()
        return create_key(target, self._workspace.home), public_path(target)
