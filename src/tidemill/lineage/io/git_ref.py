"""Load the stages of a workflow at a git ref, in a process that imports it from there.

The files of the ref are written into a temporary folder, which is always removed; the repository and its
index aren't touched.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tidemill.core.errors import TidemillError, UsageError
from tidemill.core.python_command import python_module
from tidemill.lineage.stage_changes import StageEntry, stages_from_json


def stages_at(root: Path, ref: str, workflow: str | None) -> Mapping[str, StageEntry]:
    """Load the stages of the workflow at `ref`; `workflow` overrides the settings there.

    Raises UsageError if there is no git repository, no such ref, or no project at it; TidemillError if
    the workflow can't be imported.
    """
    top = Path(
        _git(root, "rev-parse", "--show-toplevel", problem=f"{root} isn't in a git repository")
    )
    missing = f"there is no commit {ref!r} in {top}; name a branch, a tag or a commit"
    if ref.startswith("-"):
        raise UsageError(missing)
    commit = _git(root, "rev-parse", "--verify", "--quiet", ref + "^{commit}", problem=missing)
    with tempfile.TemporaryDirectory(prefix="tidemill-") as folder:
        tree = Path(folder) / "tree"
        _check_out(top, commit, tree, Path(folder) / "index")
        at = tree / root.relative_to(top)
        if not at.is_dir():
            raise UsageError(f"at {ref} there is no folder {root.relative_to(top)}")
        return _import_stages(at, ref, workflow, Path(folder) / "stages.json")


def _check_out(top: Path, commit: str, tree: Path, index: Path) -> None:
    # Use a separate index to leave the user's with its staged changes alone. Don't fetch large files from
    # Git LFS: importing a workflow needs no data.
    environment = {"GIT_INDEX_FILE": str(index), "GIT_LFS_SKIP_SMUDGE": "1"}
    problem = f"can't read the files of {commit}"
    _git(top, "read-tree", commit, problem=problem, **environment)
    prefix = f"--prefix={tree}/"
    _git(top, "checkout-index", "--all", "--quiet", prefix, problem=problem, **environment)
    tree.mkdir(exist_ok=True)


def _git(folder: Path, *arguments: str, problem: str, **environment: str) -> str:
    try:
        done = _run(["git", "-C", str(folder), *arguments], folder, environment)
    except FileNotFoundError:
        raise UsageError("can't find `git` on the path; --against needs it") from None
    if done.returncode != 0:
        raise UsageError(problem)
    return done.stdout.strip()


def _import_stages(
    at: Path, ref: str, workflow: str | None, into: Path
) -> Mapping[str, StageEntry]:
    named = ("-w", workflow) if workflow else ()
    command = python_module("tidemill", "-C", str(at), *named, "check", "--tell", str(into))
    # The stages go into a file, because the workflow may print to stdout.
    done = _run(command, at, {"PYTHONDONTWRITEBYTECODE": "1"})
    if done.returncode != 0 or not into.exists():
        error = done.stderr.strip().replace(f"{at}{os.sep}", "").replace(str(at), "the project")
        raise TidemillError(f"can't load the workflow at {ref}:\n{error or 'no error message'}")
    return stages_from_json(json.loads(into.read_text(encoding="utf-8")))


def _run(
    command: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
