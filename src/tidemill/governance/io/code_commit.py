"""Find the commit of the code that a run executes."""

from __future__ import annotations

import subprocess
from pathlib import Path

_SECONDS = 10.0


def code_commit(root: Path) -> dict[str, str]:
    """The commit of the project's folder, and whether tracked files differ from it ("yes").

    Empty without git, without a repository, and if git takes too long.
    """
    commit = _git(root, "rev-parse", "--verify", "--quiet", "HEAD")
    if not commit:
        return {}
    changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".")
    return {"commit": commit, **({"changed": "yes"} if changed != "" else {})}


def _git(root: Path, *arguments: str) -> str | None:
    """What git says; None if it fails."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "--no-optional-locks", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
