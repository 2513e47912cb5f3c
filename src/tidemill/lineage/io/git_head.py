"""Read which commit a folder has checked out, from the files of its repository and without a process."""

from __future__ import annotations

import re
from pathlib import Path

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_REF, _LINK = "ref: ", "gitdir: "
# A head that git writes where its refs aren't in files.
_ELSEWHERE = "refs/heads/.invalid"
_MOST_BYTES = 1 << 24


def find_repository(folder: Path) -> Path | None:
    """The folder in which git keeps the state of the work tree that a folder is in; None without one."""
    for place in (folder, *folder.parents):
        found = place / ".git"
        if found.is_dir():
            return found
        if (linked := _text(found)) is not None:
            if not linked.startswith(_LINK):
                return None
            return place / linked.removeprefix(_LINK).strip()
    return None


def read_head(repository: Path) -> str | None:
    """The commit that is checked out, "" before the first one; None if only git can tell."""
    head = _text(repository / "HEAD")
    if head is None:
        return None
    head = head.strip()
    if not head.startswith(_REF):
        return head if _COMMIT.fullmatch(head) else None
    ref = head.removeprefix(_REF)
    shared = shared_folder(repository)
    if ref == _ELSEWHERE or (shared / "reftable").exists():
        return None
    for place in (repository / ref, shared / ref):
        found = _text(place)
        if found is not None:
            return found.strip() if _COMMIT.fullmatch(found.strip()) else None
    return _packed(shared, ref)


def shared_folder(repository: Path) -> Path:
    """The folder that all work trees of a repository share."""
    common = _text(repository / "commondir")
    return repository if common is None else repository / common.strip()


def is_shallow(repository: Path) -> bool:
    """Whether the history of a clone was cut off."""
    return (shared_folder(repository) / "shallow").exists()


def _packed(shared: Path, ref: str) -> str:
    for line in (_text(shared / "packed-refs") or "").splitlines():
        commit, _, name = line.partition(" ")
        if name == ref and _COMMIT.fullmatch(commit):
            return commit
    return ""


def _text(path: Path) -> str | None:
    """The text of a file of git; None if there is none, or it can't be read."""
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES).decode("utf-8", "surrogateescape")
    except (OSError, ValueError):
        return None
