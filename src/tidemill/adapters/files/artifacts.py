"""Store immutable objects as local files: `objects/ab/abcdef....parquet`, named by their SHA-256.

Writes are atomic: an object is written under a unique name in `tmp/`, synced to disk and renamed.
Equal content has one name, so writers never overwrite each other with different bytes.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from io import FileIO
from pathlib import Path

from tidemill.adapters.files.disk import explained, explaining, make_folder, sync_folder
from tidemill.core.errors import StorageError
from tidemill.core.fingerprint import object_name

_NAME = re.compile(r"[0-9a-f]{64}(\.[a-z0-9]+)*")
_DAY_S = 86_400.0
# Files open at once; some systems allow a process only 256.
_TOGETHER = 64


class FileArtifacts:
    """Objects below the folder `root`, which is created when it is missing."""

    def __init__(self, root: Path) -> None:
        self._root = os.path.abspath(root)
        self._objects = os.path.join(self._root, "objects")
        self._temporary = os.path.join(self._root, "tmp")
        with explaining(self._root):
            make_folder(self._objects)
            make_folder(self._temporary)
        self._clear_leftovers()

    def put(self, payload: bytes, suffix: str) -> str:
        return self.put_all([(payload, suffix)])[0]

    def put_all(self, objects: Sequence[tuple[bytes, str]]) -> list[str]:
        """Store bytes with their suffixes durably and return their names, in order.

        Objects that are already stored aren't written again.
        """
        named = [(object_name(payload, suffix), payload) for payload, suffix in objects]
        wanted = {self.uri(name): payload for name, payload in named}
        fresh = [item for item in wanted.items() if not _holds(*item)]
        for start in range(0, len(fresh), _TOGETHER):
            self._write(dict(fresh[start : start + _TOGETHER]))
        # Sync even if nothing is new: another writer may have renamed a file without syncing its folder.
        for folder in dict.fromkeys([self._objects, *map(os.path.dirname, wanted)]):
            with explaining(folder):
                sync_folder(folder)
        return [name for name, _ in named]

    def get(self, name: str) -> bytes:
        path = self.uri(name)
        try:
            with open(path, "rb") as file:
                payload = file.read()
        except FileNotFoundError:
            raise StorageError(
                f"the object {path} is missing: it was removed; run again to recompute it"
            ) from None
        except OSError as error:
            raise explained(error, path) from error
        if hashlib.sha256(payload).hexdigest() != name[:64]:
            raise StorageError(
                f"the object {path} is damaged: its content doesn't match its name; check the disk, "
                "delete the file and run again"
            )
        return payload

    def uri(self, name: str) -> str:
        """The absolute path of an object, stored or not."""
        if not _NAME.fullmatch(name):
            raise StorageError(
                f"{name!r} isn't an object name: expected 64 hex digits and a suffix like .parquet"
            )
        return os.path.join(self._objects, name[:2], name)

    def missing(self, names: Collection[str]) -> Collection[str]:
        """Those of `names` that aren't stored, in order."""
        absent = []
        for name in names:
            path = self.uri(name)
            with explaining(path):
                if _size(path) is None:
                    absent.append(name)
        return absent

    def names(self) -> Iterable[str]:
        """Every stored object, in no particular order; other files are skipped."""
        try:
            yield from self._listed()
        except OSError as error:
            raise explained(error, self._objects) from error

    def remove(self, names: Iterable[str]) -> int:
        """Delete objects and return the number of bytes freed; names that aren't stored are ignored."""
        freed = 0
        for name in names:
            path = self.uri(name)
            try:
                size = _size(path)
                if size is not None:
                    os.unlink(path)
                    freed += size
            except FileNotFoundError:
                continue  # another process removed it in between
            except OSError as error:
                raise explained(error, path) from error
        return freed

    def _write(self, objects: Mapping[str, bytes]) -> None:
        """Write each file atomically; the caller syncs the folders.

        All files are written before the first is synced, so that the disk can batch the work.
        """
        temporary = {path: os.path.join(self._temporary, _unique()) for path in objects}
        try:
            with explaining(self._temporary), ExitStack() as opened:
                files = {}
                for path, payload in objects.items():
                    with explaining(path):
                        file = opened.enter_context(open(temporary[path], "xb", buffering=0))
                        _fill(file, payload)
                    files[path] = file
                for path, file in files.items():
                    with explaining(path):
                        os.fsync(file.fileno())
            for path in objects:
                with explaining(path):
                    _move(temporary[path], path)
        except BaseException:
            for left in temporary.values():
                with suppress(OSError):
                    os.unlink(left)
            raise

    def _listed(self) -> Iterator[str]:
        with os.scandir(self._objects) as shards:
            folders = [shard.path for shard in shards if shard.is_dir()]
        for folder in folders:
            with os.scandir(folder) as entries:
                found = [entry.name for entry in entries]
            yield from (name for name in found if _NAME.fullmatch(name))

    def _clear_leftovers(self) -> None:
        """Remove temporary files older than a day, left by crashed writers; a write takes seconds."""
        limit = time.time() - _DAY_S
        with suppress(OSError), os.scandir(self._temporary) as entries:
            for entry in entries:
                with suppress(OSError):
                    if entry.stat().st_mtime < limit:
                        os.unlink(entry.path)


def _size(path: str) -> int | None:
    """The size of a file in bytes; None if it doesn't exist."""
    try:
        return os.stat(path).st_size
    except (FileNotFoundError, NotADirectoryError):
        return None


def _holds(path: str, payload: bytes) -> bool:
    """Whether the object is stored; a file of another length is damaged and must be rewritten."""
    with explaining(path):
        return _size(path) == len(payload)


def _fill(file: FileIO, payload: bytes) -> None:
    """Write all of the bytes; an unbuffered `write` may accept only some of them."""
    rest = memoryview(payload)
    while rest:
        rest = rest[file.write(rest) :]


def _move(temporary: str, path: str) -> None:
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        os.makedirs(folder, exist_ok=True)
    os.replace(temporary, path)


def _unique() -> str:
    """A file name that is unique across processes, threads and hosts."""
    return f"{os.getpid()}-{threading.get_ident()}-{os.urandom(8).hex()}"
