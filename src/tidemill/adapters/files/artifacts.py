"""Store immutable objects as local files: `objects/ab/abcdef....parquet`, named by their SHA-256.

Writes are atomic: an object is written under a unique name in `tmp/`, synced to disk and renamed.
Equal content has one name, so writers never overwrite each other with different bytes. An empty file in
`damaged/` remembers that the object of that name is missing or isn't what was stored; storing it again
removes the file. One in `renewed/` has the time when somebody stored an object that was there already: its
own file stays as it is, because readers notice any change of it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from tidemill.adapters.files.disk import (
    make_folder,
    storage_error,
    sync_all,
    sync_folder,
    translate_os_errors,
)
from tidemill.core.errors import DamagedObjectError, StorageError
from tidemill.core.fingerprint import is_object_name, object_name
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.payload import Payload, byte_count
from tidemill.ledger.io.home_files import make_private_folder, open_private
from tidemill.ports.upkeep import Discarded, StoredObject

_DAY_S = 86_400.0
# Files open at once; some systems allow a process only 256.
_MAX_OPEN_FILES = 64
# Linux reads at most 2 GiB at once, and macOS refuses to read more.
_MAX_READ = 1 << 30
_COMPARED_AT_ONCE = 1 << 20


@dataclass(slots=True)
class _OpenFile:
    """An opened file; its version is what the file system changes when the file is written or replaced."""

    descriptor: int
    size: int
    version: object

    def read(self, offset: int, length: int) -> bytes:
        end, parts = min(offset + length, self.size), []
        while offset < end:
            found = os.pread(self.descriptor, min(end - offset, _MAX_READ), offset)
            if not found:
                break  # the file is shorter now
            parts.append(found)
            offset += len(found)
        return parts[0] if len(parts) == 1 else b"".join(parts)


class FileArtifacts:
    """Objects below the folder `root`, which is created when it is missing; `clock` gives Unix seconds."""

    def __init__(self, root: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._root = os.path.abspath(root)
        self._objects = os.path.join(self._root, "objects")
        self._temporary = os.path.join(self._root, "tmp")
        self._damaged = os.path.join(self._root, "damaged")
        self._renewed = os.path.join(self._root, "renewed")
        with translate_os_errors(self._root):
            make_folder(self._objects)
            make_folder(self._temporary)
            make_folder(self._renewed)
        self._clear_leftovers()

    def put_all(self, objects: Sequence[tuple[Payload, str]]) -> list[str]:
        named = [(object_name(payload, suffix), payload) for payload, suffix in objects]
        wanted = {self.uri(name): payload for name, payload in named}
        fresh = [item for item in wanted.items() if not self._renew(*item)]
        for start in range(0, len(fresh), _MAX_OPEN_FILES):
            self._write(dict(fresh[start : start + _MAX_OPEN_FILES]))
        # Sync even if nothing is new: another writer may have renamed a file without syncing its folder.
        sync_all(_sync_folder, {self._objects, *map(os.path.dirname, wanted)})
        names = [name for name, _ in named]
        self._forget_damage(names)
        return names

    def get(self, name: str) -> bytes:
        try:
            with self.open(name) as file:
                payload = file.read(0, file.size)
        except StorageError:
            if _stat(self.uri(name)) is None:
                self._remember_damage(name)
            raise
        if hashlib.sha256(payload).hexdigest() != name[:64]:
            raise self._damage(name, "its content doesn't match its name")
        return payload

    @contextmanager
    def open(self, name: str) -> Iterator[_OpenFile]:
        path = self.uri(name)
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except (FileNotFoundError, NotADirectoryError):
            raise StorageError(
                f"the object {path} is missing: it was removed; run again to recompute it"
            ) from None
        except OSError as error:
            raise storage_error(error, path) from error
        try:
            found = os.fstat(descriptor)
            yield _OpenFile(descriptor, found.st_size, _version(found))
        except OSError as error:
            if error.errno != errno.EIO:
                raise storage_error(error, path) from error
            # The disk can't read what it stored.
            raise self._damage(name, "the disk can't read it") from error
        finally:
            os.close(descriptor)

    def uri(self, name: str) -> str:
        """The absolute path of an object, stored or not."""
        if not is_object_name(name):
            raise StorageError(
                f"{name!r} isn't an object name: expected 64 hex digits and a suffix like .parquet"
            )
        return f"{self._objects}{os.sep}{name[:2]}{os.sep}{name}"

    def fetch(self, names: Collection[str]) -> None:
        """Do nothing: they are near."""

    def find_missing(self, names: Collection[str]) -> dict[str, str]:
        """Those of `names` that can't be used, in order."""
        if not names:
            return {}
        damaged, absent = self._list_damaged(), {}
        for name in names:
            if _stat(self.uri(name)) is None:
                absent[name] = "missing"
            elif name in damaged:
                absent[name] = "damaged"
        return absent

    def versions(self, names: Collection[str]) -> dict[str, object]:
        found = {}
        for name in names:
            if (known := _stat(self.uri(name))) is not None:
                found[name] = _version(known)
        return found

    def names(self, *, damaged: bool = False) -> Iterable[str]:
        """Every stored object, in no particular order; other files are skipped."""
        if damaged:
            yield from sorted(self._list_damaged())
            return
        try:
            yield from self._list_objects()
        except OSError as error:
            raise storage_error(error, self._objects) from error

    def remove(self, names: Iterable[str]) -> int:
        """Delete objects and return the number of bytes freed; names that aren't stored are ignored."""
        freed, names = 0, [*names]
        for name in names:
            path = self.uri(name)
            try:
                known = _stat(path)
                if known is not None:
                    os.unlink(path)
                    freed += known.st_size
            except FileNotFoundError:
                continue  # another process removed it in between
            except OSError as error:
                raise storage_error(error, path) from error
        self._forget_damage(names)
        return freed

    def stored(self) -> Iterator[StoredObject]:
        for name in self.names():
            found = _stat(self.uri(name))
            if found is not None:
                written = max(found.st_mtime, self._renewal(name))
                yield StoredObject(name=name, bytes=found.st_size, written=written)

    def sizes(self, names: Collection[str]) -> dict[str, int]:
        found = {name: _stat(self.uri(name)) for name in names}
        return {name: known.st_size for name, known in found.items() if known is not None}

    def discard(self, names: Sequence[str], *, before: float) -> Discarded:
        sizes: dict[str, int] = {}
        recent: list[str] = []
        failed: dict[str, str] = {}
        for name in names:
            try:
                size = self._discard(name, before)
            except OSError as error:
                failed[name] = str(storage_error(error, self.uri(name)))
                continue
            except StorageError as error:
                failed[name] = str(error)
                continue
            if size is None:
                recent.append(name)
            else:
                sizes[name] = size
        self._forget_damage(sizes)
        return Discarded(sizes=sizes, recent=tuple(recent), failed=failed)

    def remove_leftovers(self, before: float, *, dry_run: bool = False) -> int:
        folders = (self._temporary, self._renewed)
        return sum(_remove_older(folder, before, dry_run=dry_run) for folder in folders)

    def _discard(self, name: str, before: float) -> int | None:
        """Delete an object and return its size; None if it was stored since a time.

        It is moved away before its renewal is looked at again: whoever stores it meanwhile either finds it
        gone and writes it, or noted the renewal before.
        """
        path = self.uri(name)
        found = _stat(path)
        if found is None:
            return 0
        if max(found.st_mtime, self._renewal(name)) >= before:
            return None
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it isn't a file", path)
        moved = os.path.join(self._temporary, _unique_name())
        os.rename(path, moved)
        if self._renewal(name) >= before:
            os.replace(moved, path)
            return None
        os.unlink(moved)
        with suppress(OSError):
            os.unlink(os.path.join(self._renewed, name))
        return found.st_size

    def _renew(self, path: str, payload: Payload) -> bool:
        """Whether an object is stored undamaged; then note that somebody needs it now."""
        if not _is_stored(path, payload):
            return False
        mark = os.path.join(self._renewed, os.path.basename(path))
        # Without the note a sweep may delete it before it is bound, and then nothing is bound.
        with suppress(OSError):
            file = open_private(mark, os.O_WRONLY | os.O_CREAT)
            try:
                self._set_time(file)
            finally:
                os.close(file)
        # A sweep may have moved it away until now.
        return _stat(path) is not None

    def _renewal(self, name: str) -> float:
        found = _stat(os.path.join(self._renewed, name))
        return 0.0 if found is None else found.st_mtime

    def _set_time(self, file: int) -> None:
        now = self._clock()
        os.utime(file, (now, now))

    def _damage(self, name: str, how: str) -> DamagedObjectError:
        """Remember that an object is damaged, and return the error that says so."""
        self._remember_damage(name)
        return DamagedObjectError(f"the object {self.uri(name)} is damaged: {how}; check the disk")

    def _remember_damage(self, name: str) -> None:
        with suppress(OSError):
            make_folder(self._damaged)
            os.close(open_private(os.path.join(self._damaged, name), os.O_WRONLY | os.O_CREAT))

    def _list_damaged(self) -> frozenset[str]:
        try:
            return frozenset(filter(is_object_name, os.listdir(self._damaged)))
        except FileNotFoundError:
            return frozenset()
        except OSError as error:
            raise storage_error(error, self._damaged) from error

    def _forget_damage(self, names: Iterable[str]) -> None:
        for name in self._list_damaged().intersection(names):
            with suppress(OSError):
                os.unlink(os.path.join(self._damaged, name))

    def _write(self, objects: Mapping[str, Payload]) -> None:
        """Write each file atomically; the caller syncs the folders.

        All files are written before the first is synced, so that the disk can batch the work.
        """
        temporary = {path: os.path.join(self._temporary, _unique_name()) for path in objects}
        try:
            with translate_os_errors(self._temporary), ExitStack() as opened:
                files = {}
                for path, payload in objects.items():
                    with translate_os_errors(path):
                        file = opened.enter_context(
                            open(temporary[path], "xb", buffering=0, opener=open_private)
                        )
                        _write_all(file, payload)
                        self._set_time(file.fileno())
                    files[path] = file
                sync_all(_sync_file, files.items())
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
                # What people put there isn't ours: a link, a folder, or a file in another place.
                found = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
            begin = os.path.basename(folder)
            yield from (name for name in found if name.startswith(begin) and is_object_name(name))

    def _clear_leftovers(self) -> None:
        """Remove what crashed writers left a day ago; a write takes seconds."""
        _remove_older(self._temporary, self._clock() - _DAY_S)


def _remove_older(folder: str, before: float, *, dry_run: bool = False) -> int:
    """Remove the files of a folder that weren't written since a time; return their bytes."""
    freed = 0
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                found = entry.stat()
                if found.st_mtime < before:
                    if not dry_run:
                        os.unlink(entry.path)
                    freed += found.st_size
    return freed


def _stat(path: str) -> os.stat_result | None:
    """The status of a file; None if it doesn't exist. StorageError if it can't be told."""
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise storage_error(error, path) from error


def _version(found: os.stat_result) -> object:
    # Any write, and any replacement, changes the time of the change, which no program can set.
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _is_stored(path: str, payload: Payload) -> bool:
    """Whether the object is stored; a damaged file must be rewritten."""
    with translate_os_errors(path):
        known = _stat(path)
        if known is None or known.st_size != byte_count(payload):
            return False
        try:
            with open(path, "rb") as file:
                return _has_rest(file, memoryview(payload).cast("B"))
        except OSError as error:
            if error.errno == errno.EIO:
                return False  # the disk can't read what it stored
            raise


def _has_rest(file: BinaryIO, expected: memoryview) -> bool:
    """Whether the rest of a file is as expected; it is compared in parts, because a model may be large."""
    while part := file.read(_COMPARED_AT_ONCE):
        if expected[: len(part)] != part:
            return False
        expected = expected[len(part) :]
    return not expected


def _write_all(file: FileIO, payload: Payload) -> None:
    """Write all of the bytes; an unbuffered `write` may accept only some of them."""
    rest = memoryview(payload)
    while rest:
        rest = rest[file.write(rest) :]


def _sync_file(entry: tuple[str, FileIO]) -> None:
    """Sync an open file that becomes the one at a path."""
    path, file = entry
    with translate_os_errors(path):
        os.fsync(file.fileno())


def _sync_folder(folder: str) -> None:
    with translate_os_errors(folder):
        sync_folder(folder)


def _move_into_place(temporary: str, path: str) -> None:
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        make_private_folder(folder, below=os.path.dirname(folder))
    os.replace(temporary, path)


def _unique_name() -> str:
    """A file name that is unique across processes, threads and hosts."""
    return f"{os.getpid()}-{threading.get_ident()}-{os.urandom(8).hex()}"
