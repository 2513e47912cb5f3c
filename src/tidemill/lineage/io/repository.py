"""Find where the files of a project are in its git repository, and on the pages of the server."""

from __future__ import annotations

import re
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from tidemill.lineage.openlineage.facets import CodeLocation

_TIMEOUT_S = 5.0
# `git@host:path`, or a URL with or without a user.
_REMOTE = re.compile(
    r"(?:(?:https?|ssh|git)://(?:[^/@]*@)?(?P<host>[^/:]+)(?::\d+)?/|(?:[^/@:]+@)?(?P<short>[^/:]+):(?!/))"
    r"(?P<path>.+?)(?:\.git)?/?"
)
# What stands between the repository and the commit in the address of a file.
_PAGES = {"gitlab": "-/blob", "bitbucket": "src"}


@dataclass(slots=True)
class RepositoryFiles:
    """The files of a repository at its current commit; there is no repository without a `top`."""

    top: Path | None = None
    page: str = ""
    commit: str = ""
    _known: dict[Path, CodeLocation | None] = field(default_factory=dict)

    def location(self, file: Path) -> CodeLocation | None:
        """Where a file is; None for one that isn't in the repository, or differs from the commit."""
        if self.top is None:
            return None
        if file not in self._known:
            self._known[file] = self._found(self.top, file)
        return self._known[file]

    def _found(self, top: Path, file: Path) -> CodeLocation | None:
        with suppress(OSError, ValueError):
            path = file.resolve().relative_to(top).as_posix()
            if _git(top, "ls-tree", "--name-only", self.commit, "--", path) != path:
                return None
            if _git(top, "status", "--porcelain", "--", path) != "":
                return None
            host = self.page.split("/")[2]
            kind = next((word for name, word in _PAGES.items() if name in host), "blob")
            return CodeLocation(
                url=f"{self.page}/{kind}/{self.commit}/{quote(path)}",
                repository=self.page,
                path=path,
                commit=self.commit,
            )
        return None


def find_repository(folder: Path) -> RepositoryFiles:
    """The repository that a folder is in, if it has a commit and a server with pages."""
    top = _git(folder, "rev-parse", "--show-toplevel")
    commit = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD") if top else None
    remote = _git(folder, "remote", "get-url", "origin") if commit else None
    page = page_of(remote) if remote else ""
    if not (top and commit and page):
        return RepositoryFiles()
    return RepositoryFiles(Path(top), page, commit)


def page_of(remote: str) -> str:
    """The page of a repository, by the address that git fetches it from; "" for a folder."""
    found = _REMOTE.fullmatch(remote)
    if found is None:
        return ""
    return f"https://{found['host'] or found['short']}/{quote(found['path'])}"


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints; None if it fails, hangs or isn't installed."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip("\n") if done.returncode == 0 else None
