"""Copies of source files on this machine, by the SHA-256 of their content, so that none is fetched twice.

`ab/abcdef.../content` is what was fetched. Beside it are links to it, with the endings and folders that say
how a file is read. A copy is verified before a process uses it, so that none has to be synced to the disk.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tidemill.adapters.files.disk import make_folder, open_like_folder, translate_os_errors
from tidemill.adapters.objectstore.cache_room import CacheRoom, last_use, note_use
from tidemill.core.errors import SourceError, StorageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.payload import Payload

# Somebody may still read what was used so lately: files are looked for just before they are read.
_IN_USE_S = 600.0
_CONTENT, _DRAFTS = "content", "drafts"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedFile:
    """What was received of a file, by two digests: some stores tell that of MD5."""

    digest: str
    md5: str


class SourceCopies:
    """Copies below the folder `root`, which several processes share.

    They take up about `limit` bytes, or what was used within ten minutes, if that is more.
    """

    def __init__(self, root: Path, limit: int, *, clock: Callable[[], float] = time.time) -> None:
        self._root, self._room, self._clock = root, CacheRoom(limit), clock
        # Files that have their content, by its digest and what changes with them.
        self._verified: set[tuple[str, int, int, int]] = set()

    def add(self, chunks: Iterable[Payload], size: int) -> ReceivedFile:
        """Keep a file of `size` bytes; SourceError if there are more or fewer of them."""
        drafts = self._root / _DRAFTS
        draft = drafts / secrets.token_hex(8)
        with _told(self._root), translate_os_errors(str(draft)):
            make_folder(str(drafts))
            try:
                found = _write(draft, chunks, size)
                folder = self._folder(found.digest)
                make_folder(str(folder))
                os.replace(draft, folder / _CONTENT)
                self._verified.add((found.digest, *_state(os.stat(folder / _CONTENT))))
            except BaseException:
                with suppress(OSError):
                    draft.unlink()
                raise
        if self._room.add(size):
            self._make_room()
        return found

    def has(self, digest: str) -> bool:
        """Whether there is a copy; one that was damaged is deleted."""
        folder = self._folder(digest)
        found = self._sound(folder / _CONTENT, digest)
        if found is None:
            shutil.rmtree(folder, ignore_errors=True)
            return False
        note_use(str(folder / _CONTENT), found, self._clock())
        return True

    def path(self, digest: str, name: str) -> Path | None:
        """The path of a copy that ends in `name`; None if there is none."""
        if not self.has(digest):
            return None
        path = self._folder(digest) / name
        with translate_os_errors(str(path)):
            try:
                if self._sound(path, digest) is None:
                    self._link(digest, path)
            except FileNotFoundError:
                # Somebody deleted it just now.
                return None
        return path

    def _link(self, digest: str, path: Path) -> None:
        folder = self._folder(digest)
        content, draft = folder / _CONTENT, folder / secrets.token_hex(8)
        make_folder(str(path.parent))
        try:
            os.link(content, draft)
        except OSError:
            # Not every file system has links.
            shutil.copyfile(content, draft)
        os.replace(draft, path)

    def _folder(self, digest: str) -> Path:
        return self._root / digest[:2] / digest

    def _sound(self, path: Path, digest: str) -> os.stat_result | None:
        """The state of a file that has the content; None if it hasn't, or is absent."""
        try:
            found = os.stat(path)
            if (digest, *_state(found)) not in self._verified:
                with path.open("rb") as file:
                    if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                        return None
        except OSError:
            return None
        self._verified.add((digest, *_state(found)))
        return found

    def _make_room(self) -> None:
        """Delete those that were used the longest time ago until there is some room; none in use."""
        found: list[tuple[float, int, Path]] = []
        for path in (*self._root.glob(f"??/*/{_CONTENT}"), *self._root.glob(f"{_DRAFTS}/*")):
            with suppress(OSError):
                known = path.stat()
                found.append((last_use(known), known.st_size, path))
        for path in self._room.surplus(found, self._clock() - _IN_USE_S):
            if path.name == _CONTENT:
                shutil.rmtree(path.parent, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


@contextmanager
def _told(root: Path) -> Iterator[None]:
    """Say in a StorageError what the files are that there is no room for."""
    try:
        yield
    except StorageError as error:
        raise StorageError(
            f"{error} (copies of files in object stores lie in {root}, which may be deleted while nothing "
            "runs; `artifacts_cache` limits them)"
        ) from error


def _state(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_size, found.st_mtime_ns


def _write(path: Path, chunks: Iterable[Payload], size: int) -> ReceivedFile:
    digest, md5, written = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    with open(path, "xb", opener=open_like_folder) as out:
        for chunk in chunks:
            out.write(chunk)
            digest.update(chunk)
            md5.update(chunk)
            written += memoryview(chunk).nbytes
    if written != size:
        raise SourceError(f"{written} of {size} bytes came")
    return ReceivedFile(digest=digest.hexdigest(), md5=md5.hexdigest())
