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

from tidemill.adapters.files.disk import (
    make_folder,
    storage_error,
    sync_folder,
    translate_os_errors,
)
from tidemill.core.errors import StorageError
from tidemill.core.fingerprint import object_name

_NAME_PATTERN = re.compile(r"[0-9a-f]{64}(\.[a-z0-9]+)*")
_DAY_S = 86_400.0
# Files open at once; some systems allow a process only 256.
_MAX_OPEN_FILES = 64


class FileArtifacts:
    """Objects below the folder `root`, which is created when it is missing."""

    def __init__(self, root: Path) -> None:
        self._root = os.path.abspath(root)
        self._objects = os.path.join(self._root, "objects")
        self._temporary = os.path.join(self._root, "tmp")
        with translate_os_errors(self._root):
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
        fresh = [item for item in wanted.items() if not _is_stored(*item)]
        for start in range(0, len(fresh), _MAX_OPEN_FILES):
            self._write(dict(fresh[start : start + _MAX_OPEN_FILES]))
        # Sync even if nothing is new: another writer may have renamed a file without syncing its folder.
        for folder in dict.fromkeys([self._objects, *map(os.path.dirname, wanted)]):
            with translate_os_errors(folder):
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
            raise storage_error(error, path) from error
        if hashlib.sha256(payload).hexdigest() != name[:64]:
            raise StorageError(
                f"the object {path} is damaged: its content doesn't match its name; check the disk, "
                "delete the file and run again"
            )
        return payload

    def uri(self, name: str) -> str:
        """The absolute path of an object, stored or not."""
        if not _NAME_PATTERN.fullmatch(name):
            raise StorageError(
                f"{name!r} isn't an object name: expected 64 hex digits and a suffix like .parquet"
            )
        return os.path.join(self._objects, name[:2], name)

    def find_missing(self, names: Collection[str]) -> Collection[str]:
        """Those of `names` that aren't stored, in order."""
        absent = []
        for name in names:
            path = self.uri(name)
            with translate_os_errors(path):
                if _file_size(path) is None:
                    absent.append(name)
        return absent

    def names(self) -> Iterable[str]:
        """Every stored object, in no particular order; other files are skipped."""
        try:
            yield from self._list_objects()
        except OSError as error:
            raise storage_error(error, self._objects) from error

    def remove(self, names: Iterable[str]) -> int:
        """Delete objects and return the number of bytes freed; names that aren't stored are ignored."""
        freed = 0
        for name in names:
            path = self.uri(name)
            try:
                size = _file_size(path)
                if size is not None:
                    os.unlink(path)
                    freed += size
            except FileNotFoundError:
                continue  # another process removed it in between
            except OSError as error:
                raise storage_error(error, path) from error
        return freed

    def _write(self, objects: Mapping[str, bytes]) -> None:
        """Write each file atomically; the caller syncs the folders.

        All files are written before the first is synced, so that the disk can batch the work.
        """
        temporary = {path: os.path.join(self._temporary, _unique_name()) for path in objects}
        try:
            with translate_os_errors(self._temporary), ExitStack() as opened:
                files = {}
                for path, payload in objects.items():
                    with translate_os_errors(path):
                        file = opened.enter_context(open(temporary[path], "xb", buffering=0))
                        _write_all(file, payload)
                    files[path] = file
                for path, file in files.items():
                    with translate_os_errors(path):
                        os.fsync(file.fileno())
            for path in objects:
                with translate_os_errors(path):
                    _move_into_place(temporary[path], path)
        except BaseException:
            for left in temporary.values():
                with suppress(OSError):
                    os.unlink(left)
            raise

    def _list_objects(self) -> Iterator[str]:
        with os.scandir(self._objects) as shards:
            folders = [shard.path for shard in shards if shard.is_dir()]
        for folder in folders:
            with os.scandir(folder) as entries:
                found = [entry.name for entry in entries]
            yield from (name for name in found if _NAME_PATTERN.fullmatch(name))

    def _clear_leftovers(self) -> None:
        """Remove temporary files older than a day, left by crashed writers; a write takes seconds."""
        limit = time.time() - _DAY_S
        with suppress(OSError), os.scandir(self._temporary) as entries:
            for entry in entries:
                with suppress(OSError):
                    if entry.stat().st_mtime < limit:
                        os.unlink(entry.path)


def _file_size(path: str) -> int | None:
    """The size of a file in bytes; None if it doesn't exist."""
    try:
        return os.stat(path).st_size
    except (FileNotFoundError, NotADirectoryError):
        return None


def _is_stored(path: str, payload: bytes) -> bool:
    """Whether the object is stored; a file of another length is damaged and must be rewritten."""
    with translate_os_errors(path):
        return _file_size(path) == len(payload)


def _write_all(file: FileIO, payload: bytes) -> None:
    """Write all of the bytes; an unbuffered `write` may accept only some of them."""
    rest = memoryview(payload)
    while rest:
        rest = rest[file.write(rest) :]


def _move_into_place(temporary: str, path: str) -> None:
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        os.makedirs(folder, exist_ok=True)
    os.replace(temporary, path)


def _unique_name() -> str:
    """A file name that is unique across processes, threads and hosts."""
    return f"{os.getpid()}-{threading.get_ident()}-{os.urandom(8).hex()}"
