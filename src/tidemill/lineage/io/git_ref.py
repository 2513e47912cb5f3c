"""The stages of a workflow as it was at a git ref, told by a process that imports it from there.

The ref's files are written into a temporary folder, without touching the repository or its index; the
folder is removed again, whatever happens.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tidemill.core.errors import TidemillError, UsageError
from tidemill.lineage.stage_changes import Member, heard


def stages_at(root: Path, ref: str, workflow: str | None) -> Mapping[str, Member]:
    """Each stage of the workflow, with its contract, at `ref`; `workflow` overrides the settings there.

    UsageError without a git repository, such a ref, or the project in it; TidemillError when the
    workflow can't be imported.
    """
    top = Path(
        _git(root, "rev-parse", "--show-toplevel", problem=f"{root} is in no git repository")
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
        return _asked(at, ref, workflow, Path(folder) / "stages.json")


def _check_out(top: Path, commit: str, tree: Path, index: Path) -> None:
    # An index of our own: the user's, with what is staged in it, stays as it is. Large files that lie
    # elsewhere aren't fetched: no workflow needs data to be imported.
    environment = {"GIT_INDEX_FILE": str(index), "GIT_LFS_SKIP_SMUDGE": "1"}
    problem = f"the files of {commit} can't be read"
    _git(top, "read-tree", commit, problem=problem, **environment)
    prefix = f"--prefix={tree}/"
    _git(top, "checkout-index", "--all", "--quiet", prefix, problem=problem, **environment)
    tree.mkdir(exist_ok=True)


def _git(folder: Path, *arguments: str, problem: str, **environment: str) -> str:
    try:
        done = _run(["git", "-C", str(folder), *arguments], folder, environment)
    except FileNotFoundError:
        raise UsageError("there is no `git` on the path; --against needs it") from None
    if done.returncode != 0:
        raise UsageError(problem)
    return done.stdout.strip()


def _asked(at: Path, ref: str, workflow: str | None, into: Path) -> Mapping[str, Member]:
    named = ("-w", workflow) if workflow else ()
    command = [
        sys.executable,
        "-m",
        "tidemill",
        "-C",
        str(at),
        *named,
        "check",
        "--tell",
        str(into),
    ]
    # What the workflow prints has no place in the answer, so that goes into a file.
    done = _run(command, at, {"PYTHONDONTWRITEBYTECODE": "1"})
    if done.returncode != 0 or not into.exists():
        told = done.stderr.strip().replace(f"{at}{os.sep}", "").replace(str(at), "the project")
        raise TidemillError(f"the workflow at {ref} can't be read:\n{told or 'it said nothing'}")
    return heard(json.loads(into.read_text(encoding="utf-8")))


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
