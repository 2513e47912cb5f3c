"""Watch files by globs: by events where the system has them, else by listing them."""

from __future__ import annotations

import errno
import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tidemill.core.file_pattern import FilePattern
from tidemill.operations.io.inotify import (
    CLOSE_WRITE,
    CREATE,
    DELETE,
    DELETE_SELF,
    IGNORED,
    IS_FOLDER,
    MODIFY,
    MOVE_SELF,
    MOVED_FROM,
    MOVED_TO,
    OVERFLOW,
    Inotify,
)

_MOUNTS = Path("/proc/self/mountinfo")
_LIMIT = Path("/proc/sys/fs/inotify/max_user_watches")
# File systems on which others write without this system being told.
_REMOTE = (
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "vboxsf", "fuse",
)  # fmt: skip


class SeenChange(NamedTuple):
    """A file of a source changed; `example` is its path, "" if only that something changed is known."""

    source: str
    example: str


class FileWatcher:
    """Watches the files that match the `patterns` of each source, absolute globs.

    `notes` say what can't be watched, and why: these sources are `unwatched`, and have to be listed. Events
    tell which files of sources a process is `writing`, and since when; a source that is listed is `unsettled`
    until two looks see the same. These times are of a clock that never jumps. Nobody waits for code, which is
    the source "".
    """

    def __init__(self, patterns: Mapping[str, Sequence[str]]) -> None:
        self._patterns = {
            source: tuple(FilePattern(os.path.normpath(text)) for text in texts)
            for source, texts in patterns.items()
        }
        self._folders: dict[int, set[str]] = {}
        self._numbers: dict[str, int] = {}
        self._signatures: dict[str, int] = {}
        self.unwatched: dict[str, str] = {}
        self.writing: dict[str, float] = {}
        self.unsettled: dict[str, float] = {}
        self._inotify = self._open()
        if self._inotify is not None:
            self._watch_all()
        for source in self._patterns:
            self._signatures[source] = self._signature(source)

    def _open(self) -> Inotify | None:
        try:
            return Inotify()
        except OSError as error:
            why = f"inotify can't be used: {error.strerror or error}"
            self.unwatched |= dict.fromkeys(self._patterns, why)
            return None

    @property
    def notes(self) -> tuple[str, ...]:
        """Which sources can't be watched, and why."""
        return tuple(f"{source} is listed: {why}" for source, why in self.unwatched.items())

    def fileno(self) -> int | None:
        """What becomes readable when something changes; None if nothing does."""
        return None if self._inotify is None else self._inotify.fileno()

    def read(self, now: float) -> Iterator[SeenChange]:
        """What changed since the last call, by events."""
        if self._inotify is None:
            return
        for number, mask, name in self._inotify.read():
            if mask & OVERFLOW:
                # Events were lost: whatever there is may have changed.
                self.writing.clear()
                self._watch_all()
                yield from (SeenChange(source, "") for source in self._patterns)
                return
            for folder in tuple(self._folders.get(number, ())):
                yield from self._changes(folder, mask, name, now)

    def list_changes(self, now: float, longest: float, *, every: bool) -> Iterator[SeenChange]:
        """The sources that changed and were the same in two looks, or differed in all for the `longest` time.

        Of those that aren't watched, or of `every` one.
        """
        for source in self._patterns:
            if every or source in self.unwatched or source in self.unsettled:
                before, found = self._signatures[source], self._signature(source)
                self._signatures[source] = found
                if source and found != before:
                    if now - self.unsettled.setdefault(source, now) < longest:
                        continue
                    self.unsettled[source] = now
                elif found == before and self.unsettled.pop(source, None) is None:
                    continue
                yield SeenChange(source, "")

    def close(self) -> None:
        """Stop watching."""
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None

    def _changes(self, folder: str, mask: int, name: str, now: float) -> Iterator[SeenChange]:
        if mask & (DELETE_SELF | MOVE_SELF | IGNORED):
            self._forget(folder)
            for source in self._holding(folder):
                self._watch_source(source)
                yield SeenChange(source, folder)
            return
        path = os.path.join(folder, name)
        if mask & IS_FOLDER:
            yield from self._folder_changes(path, mask)
            return
        for source, patterns in self._patterns.items():
            if any(pattern.matches(path) for pattern in patterns):
                if source:
                    self._note_writer(path, mask, now)
                yield SeenChange(source, path)

    def _note_writer(self, path: str, mask: int, now: float) -> None:
        """Follow whether a file is open for writing: from its first change until it is closed, or gone."""
        if mask & (CLOSE_WRITE | MOVED_FROM | MOVED_TO | DELETE):
            self.writing.pop(path, None)
        elif mask & MODIFY or _is_empty(path):
            # A link is created with all that it has.
            self.writing.setdefault(path, now)

    def _folder_changes(self, path: str, mask: int) -> Iterator[SeenChange]:
        if mask & (MOVED_FROM | DELETE):
            for known in [each for each in self._numbers if f"{each}/".startswith(f"{path}/")]:
                self._forget(known)
        if not mask & (CREATE | MOVED_TO | MOVED_FROM | DELETE):
            return
        for source in self._holding(path):
            if mask & (CREATE | MOVED_TO):
                self._watch_tree(source, path)
            # Files may have been in it before it was watched.
            yield SeenChange(source, path)

    def _holding(self, folder: str) -> list[str]:
        return [
            source
            for source, patterns in self._patterns.items()
            if any(pattern.may_hold(folder) for pattern in patterns)
        ]

    def _watch_all(self) -> None:
        remote = _remote_folders()
        for source, patterns in self._patterns.items():
            kinds = (_file_system(pattern.base, remote) for pattern in patterns)
            if kind := next(filter(None, kinds), ""):
                self.unwatched[source] = f"its files are on a file system of others ({kind})"
            else:
                self._watch_source(source)

    def _watch_source(self, source: str) -> None:
        """Watch the folders of a source, and those above them up to the first that exists."""
        for pattern in self._patterns[source]:
            folder = pattern.base
            # A folder that is renamed takes those below along, and only the one above is told.
            self._watch(source, os.path.dirname(folder))
            while not os.path.isdir(folder) and folder != "/":
                folder = os.path.dirname(folder)
                self._watch(source, folder)
            self._watch_tree(source, folder)

    def _watch_tree(self, source: str, folder: str) -> None:
        waiting, known = [folder], set[tuple[int, int]]()
        while waiting and source not in self.unwatched:
            path = waiting.pop()
            with suppress(OSError):
                stat = os.stat(path)
                # A link may lead to a folder above it.
                if (stat.st_dev, stat.st_ino) in known:
                    continue
                known.add((stat.st_dev, stat.st_ino))
                self._watch(source, path)
                waiting += self._folders_in(source, path)

    def _folders_in(self, source: str, path: str) -> list[str]:
        patterns = self._patterns[source]
        if not any(len(p.segments) - 1 > path.count("/") or "**" in p.segments for p in patterns):
            return []
        with os.scandir(path) as entries:
            found = [entry.path for entry in entries if entry.is_dir()]
        return [folder for folder in found if any(p.may_hold(folder) for p in patterns)]

    def _watch(self, source: str, folder: str) -> None:
        if self._inotify is None or folder in self._numbers or source in self.unwatched:
            return
        try:
            number = self._inotify.add(folder)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                limit = f" ({_LIMIT.read_text().strip()})" if _LIMIT.exists() else ""
                self.unwatched[source] = (
                    f"the limit of watches{limit} is reached; raise it with `sysctl "
                    "fs.inotify.max_user_watches=1048576`"
                )
            elif error.errno not in (errno.ENOENT, errno.ENOTDIR):
                self.unwatched[source] = f"{folder} can't be watched: {error.strerror}"
            return
        self._numbers[folder] = number
        self._folders.setdefault(number, set()).add(folder)

    def _forget(self, folder: str) -> None:
        for path in [each for each in self.writing if os.path.dirname(each) == folder]:
            del self.writing[path]
        number = self._numbers.pop(folder, None)
        if number is None or self._inotify is None:
            return
        left = self._folders[number] = self._folders[number] - {folder}
        if not left:
            del self._folders[number]
            self._inotify.remove(number)

    def _signature(self, source: str) -> int:
        """A number that changes with the files of a source: their paths, sizes, times and inodes."""
        total = 0
        for pattern in self._patterns[source]:
            for path in glob.iglob(pattern.text, recursive=True):
                with suppress(OSError):
                    stat = os.stat(path)
                    total ^= hash((path, stat.st_size, stat.st_mtime_ns, stat.st_ino))
        return total


def _is_empty(path: str) -> bool:
    try:
        return os.lstat(path).st_size == 0
    except OSError:
        return False


def _remote_folders() -> list[tuple[str, str]]:
    """The mounted file systems of others, the deepest first, and all below which there may be one."""
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        before, _, after = line.partition(" - ")
        kind = after.partition(" ")[0]
        place = before.split()[4].encode().decode("unicode_escape")
        found.append((place, kind if kind.partition(".")[0] in _REMOTE else ""))
    return sorted(found, key=lambda mount: len(mount[0]), reverse=True)


def _file_system(folder: str, mounts: Sequence[tuple[str, str]]) -> str:
    """The kind of the file system of a folder if others write there, else ""."""
    real = os.path.realpath(folder)
    for place, kind in mounts:
        if f"{real}/".startswith(f"{place.rstrip('/')}/"):
            return kind
    return ""
