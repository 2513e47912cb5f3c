"""Find where the files of a project are in its git repository, and on the pages of the server."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from time import monotonic
from urllib.parse import quote

from tidemill.core.lazy_dataclass import dataclass
from tidemill.lineage.openlineage.facets import CodeLocation

# `git@host:path`, or a URL with or without a user.
_REMOTE = re.compile(
    r"(?:(?:https?|ssh|git)://(?:[^/@]*@)?(?P<host>[^/:]+)(?::\d+)?/|(?:[^/@:]+@)?(?P<short>[^/:]+):(?!/))"
    r"(?P<path>.+?)(?:\.git)?/?"
)
# What stands between the repository and the commit in the address of a file.
_PAGES = {"gitlab": "-/blob", "bitbucket": "src"}


def find_code(
    folder: Path, files: Collection[Path], limit_s: float = 2.0
) -> Mapping[Path, CodeLocation]:
    """Where some files are, of those that the repository of a folder has as they are.

    A file isn't known that differs from the commit. None is without git, a repository, a commit or a server
    with pages, and if git takes longer than `limit_s` seconds in all.
    """
    git = _Git(folder, monotonic() + limit_s)
    named = (git("rev-parse", "--show-toplevel", "HEAD") or "").split("\n")
    if len(named) != 2:
        return {}
    top, commit = Path(named[0]), named[1]
    page = page_of(git("remote", "get-url", "origin") or "")
    paths = {file: path for file in files if (path := _path_in(top, file))}
    if not (page and paths):
        return {}
    # What is named is a file, whatever characters are in its name.
    only = ("-z", "--", *(f":(top,literal){path}" for path in paths.values()))
    changed = git("status", "--porcelain", "--no-renames", "--untracked-files=no", *only)
    known = git("ls-tree", "--name-only", "--full-tree", "-z", commit, "--", *paths.values())
    if changed is None or known is None:
        return {}
    same = {*known.split("\0")} - {entry[3:] for entry in changed.split("\0")}
    return {file: _location(page, commit, path) for file, path in paths.items() if path in same}


def _path_in(top: Path, file: Path) -> str:
    with suppress(OSError, ValueError):
        return file.resolve().relative_to(top).as_posix()
    return ""


def _location(page: str, commit: str, path: str) -> CodeLocation:
    host = page.split("/")[2]
    kind = next((word for name, word in _PAGES.items() if name in host), "blob")
    return CodeLocation(
        url=f"{page}/{kind}/{commit}/{quote(path)}", repository=page, path=path, commit=commit
    )


def page_of(remote: str) -> str:
    """The page of a repository, by the address that git fetches it from; "" for a folder."""
    found = _REMOTE.fullmatch(remote)
    if found is None:
        return ""
    return f"https://{found['host'] or found['short']}/{quote(found['path'])}"


@dataclass(frozen=True, slots=True)
class _Git:
    """Runs git in a folder until a moment of the monotonic clock."""

    folder: Path
    end: float

    def __call__(self, *arguments: str) -> str | None:
        """What git prints; None if it fails, takes too long or isn't installed."""
        try:
            done = subprocess.run(
                # It mustn't wait for another one, or make one wait.
                ["git", "-C", str(self.folder), "--no-optional-locks", *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="surrogateescape",
                timeout=max(0.0, self.end - monotonic()),
                check=False,
            )
        except (OSError, ValueError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip("\n") if done.returncode == 0 else None
