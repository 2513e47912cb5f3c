"""Ask git which commits that touch a project lie between two of its heads.

Nothing is written, no server is asked, and a git that fails or takes long only leaves commits unknown.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tidemill.lineage.code_changes import LOG_FORMAT, MOST_COMMITS, CommitRange, parse_log
from tidemill.lineage.io.git_head import is_shallow

_SECONDS = 10.0
# So many commits are listed that those which are left out can be counted, unless they are very many.
_LISTED = 10 * MOST_COMMITS
# The files that declare a workflow, its contracts, rules and settings; tests and pages aren't among them.
_TOUCHED = (
    *(f":(glob)**/*.{ending}" for ending in ("py", "toml", "yaml", "yml", "sql")),
    *(f":(exclude,glob)**/{name}/**" for name in ("tests", "docs", ".github")),
    *(f":(exclude,glob)**/{name}" for name in ("test_*.py", "*_test.py", "conftest.py")),
)
# What a hook of git sets is about the repository that it runs in.
_OF_A_HOOK = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR", "GIT_DIR", "GIT_GRAFT_FILE", "GIT_INDEX_FILE",
    "GIT_NAMESPACE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_SHALLOW_FILE", "GIT_WORK_TREE",
)  # fmt: skip
_CUT_OFF = "the commit of the run before isn't in this clone"


def read_commits(root: Path, repository: Path, before: str, head: str) -> CommitRange:
    """The commits that touch the project in `root` from `before` to `head`; "" asks for the newest one.

    The newest one also stands for all where `before` isn't in the repository any more, or was never.
    """
    try:
        if before and (found := _between(root, repository, before, head)) is not None:
            return found
        newest = parse_log(_git(root, "log", *_LOG, "--max-count=1", head, "--", *_TOUCHED))
    except _NoAnswer as error:
        return _unknown(error)
    return CommitRange(commits=newest.commits, problem=_CUT_OFF if before else "")


def read_commit(root: Path, head: str) -> CommitRange:
    """One commit, whatever it touches."""
    try:
        return parse_log(_git(root, "log", *_ANY, "--max-count=1", head))
    except _NoAnswer as error:
        return _unknown(error)


def ask_head(root: Path) -> str:
    """The commit that is checked out, as git says; "" if it doesn't."""
    try:
        return _git(root, "rev-parse", "--verify", "--quiet", "HEAD").strip()
    except _NoAnswer:
        return ""


def is_edited(root: Path) -> bool:
    """Whether tracked files of the project differ from the commit, or that can't be told."""
    try:
        return bool(_git(root, "status", "--porcelain", "--untracked-files=no", "--", "."))
    except _NoAnswer:
        return True


def _between(root: Path, repository: Path, before: str, head: str) -> CommitRange | None:
    """The commits that only one of two heads has; None if that isn't known."""
    sides = f"{before}...{head}"
    try:
        found = parse_log(
            _git(root, "log", *_LOG, f"--max-count={_LISTED}", sides, "--", *_TOUCHED)
        )
    except _GitFailed:
        return None
    # Where the history was cut off, what is common to both may be missing.
    return None if found.gone and is_shallow(repository) else found


class _NoAnswer(Exception):
    """Git said nothing that counts, because of what the message says."""


class _GitFailed(_NoAnswer):
    """Git ran and failed."""


_ANY = ("--no-color", "--no-show-signature", "--left-right", f"--format={LOG_FORMAT}")
# A merge changes nothing itself: what it merges does.
_LOG = (*_ANY, "--no-merges")


def _unknown(error: _NoAnswer) -> CommitRange:
    return CommitRange(problem=str(error), passing=not isinstance(error, _GitFailed))


def _git(root: Path, *arguments: str) -> str:
    environment = {name: text for name, text in os.environ.items() if name not in _OF_A_HOOK}
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "-c", "core.fsmonitor=false", *arguments],
            env=environment | quiet,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise _NoAnswer(f"git took longer than {_SECONDS:.0f} s") from None
    except OSError:
        raise _NoAnswer("git can't be started") from None
    if done.returncode != 0:
        raise _GitFailed("git didn't list the commits")
    return done.stdout
