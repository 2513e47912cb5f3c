"""Load the stages of a workflow at a git ref, in a process that imports it from there.

The files of the ref are written into a temporary folder, which is always removed; the repository and its
index aren't touched.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from tidemill.core.errors import TidemillError, UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.python_command import python_module
from tidemill.lineage.stage_changes import StageEntry, stages_from_json


def stages_at(root: Path, ref: str, workflow: str | None) -> Mapping[str, StageEntry]:
    """Load the stages of the workflow at `ref`; `workflow` overrides the settings there.

    Raises UsageError if there is no git repository, no such ref, or no project at it; TidemillError if
    the workflow can't be imported.
    """
    with project_at(root, ref) as found:
        if not found.folder.is_dir():
            raise UsageError(found.missing)
        told = ask_version(found, workflow, ("check", "--tell"))
    return stages_from_json(json.loads(told))


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectAtRef:
    """The files of a project at a git ref, in a temporary `folder`, which exists if the project did."""

    ref: str
    commit: str
    folder: Path
    missing: str


@contextmanager
def project_at(root: Path, ref: str) -> Iterator[ProjectAtRef]:
    """Write the files of the project in `root` at `ref` into a temporary folder, and remove it at the end.

    Raises UsageError if there is no git repository or no such ref.
    """
    top = Path(
        _git(root, "rev-parse", "--show-toplevel", problem=f"{root} isn't in a git repository")
    )
    commit = _commit_of(top, ref)
    with tempfile.TemporaryDirectory(prefix="tidemill-") as folder:
        tree = Path(folder) / "tree"
        _check_out(top, commit, tree, Path(folder) / "index")
        inner = root.relative_to(top)
        yield ProjectAtRef(
            ref=ref,
            commit=commit,
            folder=tree / inner,
            missing=f"at {ref} there is no folder {inner}",
        )


def _commit_of(top: Path, ref: str) -> str:
    missing = f"there is no commit {ref!r} in {top}; name a branch, a tag or a commit"
    if ref.startswith("-"):
        raise UsageError(missing)
    if _is_shallow(top):
        name = ref.rpartition("/")[2] or ref
        missing = (
            f"there is no commit {ref!r} in {top}, which is a shallow clone: fetch it first, for example "
            f"with `git fetch --depth=1 origin {shlex.quote(name)}` and --against FETCH_HEAD"
        )
    return _git(top, "rev-parse", "--verify", "--quiet", ref + "^{commit}", problem=missing)


def _is_shallow(top: Path) -> bool:
    return _git(top, "rev-parse", "--is-shallow-repository", problem="can't ask git") == "true"


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


def ask_version(found: ProjectAtRef, workflow: str | None, command: Sequence[str]) -> str:
    """Run a command on the project at a ref that writes a file, whose name is appended; return its text.

    TidemillError with what the process says if it fails.
    """
    at, into = found.folder, found.folder.parent / f"{uuid4().hex}.json"
    named = ("-w", workflow) if workflow else ()
    # The answer goes into a file, because the workflow may print to stdout.
    done = _run(
        python_module("tidemill", "-C", str(at), *named, *command, str(into)),
        at,
        {"PYTHONDONTWRITEBYTECODE": "1"},
    )
    if done.returncode != 0 or not into.exists():
        error = done.stderr.strip().replace(f"{at}{os.sep}", "").replace(str(at), "the project")
        raise TidemillError(
            f"can't load the workflow at {found.ref}:\n{error or 'no error message'}"
        )
    return into.read_text(encoding="utf-8")


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
