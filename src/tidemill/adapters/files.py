"""Immutable objects as local files: `objects/ab/abcdef....parquet`, named by their SHA-256.

An object appears whole or not at all: it is written under a name of its own in `tmp/`, forced to
the disk and renamed. Equal content has one name, so writers can't disagree or overwrite.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from tidemill.adapters.disk import explained, make_folder, sync_folder
from tidemill.domain.errors import StorageError

_NAME = re.compile(r"[0-9a-f]{64}(\.[a-z0-9]+)*")
_DAY_S = 86_400.0


class FileArtifacts:
    """Objects below the folder `root`, which is created when it is missing."""

    def __init__(self, root: Path) -> None:
        self._root = os.path.abspath(root)
        self._objects = os.path.join(self._root, "objects")
        self._temporary = os.path.join(self._root, "tmp")
        try:
            make_folder(self._objects)
            make_folder(self._temporary)
        except OSError as error:
            raise explained(error, self._root) from error
        self._clear_leftovers()

    def put(self, payload: bytes, suffix: str) -> str:
        """Store the bytes durably and return their name; a second time is a no-op."""
        name = hashlib.sha256(payload).hexdigest() + suffix
        path = self.uri(name)
        try:
            # A file of another length is damaged, and here is what it should hold.
            if _size(path) != len(payload):
                self._write(path, payload)
            # Also when it was there: another writer may have renamed it and not got further yet.
            sync_folder(os.path.dirname(path))
        except OSError as error:
            raise explained(error, path) from error
        return name

    def get(self, name: str) -> bytes:
        """The bytes, verified against their name; StorageError when missing or damaged."""
        path = self.uri(name)
        try:
            with open(path, "rb") as file:
                payload = file.read()
        except FileNotFoundError:
            raise StorageError(
                f"the object {path} is missing: something removed it; run again to make it anew"
            ) from None
        except OSError as error:
            raise explained(error, path) from error
        if hashlib.sha256(payload).hexdigest() != name[:64]:
            raise StorageError(
                f"the object {path} is damaged: its content doesn't match its name; delete the "
                "file and run again, and check the disk"
            )
        return payload

    def uri(self, name: str) -> str:
        """The absolute path of an object, stored or not."""
        if not _NAME.fullmatch(name):
            raise StorageError(
                f"{name!r} is no object's name: expected 64 hex digits and a suffix like .parquet"
            )
        return os.path.join(self._objects, name[:2], name)

    def missing(self, names: Collection[str]) -> Collection[str]:
        """Those of `names` that aren't stored, in their order."""
        absent = []
        for name in names:
            path = self.uri(name)
            try:
                if _size(path) is None:
                    absent.append(name)
            except OSError as error:
                raise explained(error, path) from error
        return absent

    def names(self) -> Iterable[str]:
        """Every stored object, in no order; files that aren't objects are passed over."""
        try:
            yield from self._listed()
        except OSError as error:
            raise explained(error, self._objects) from error

    def remove(self, names: Iterable[str]) -> int:
        """Delete objects, those that aren't there too; the number of bytes that were freed."""
        freed = 0
        for name in names:
            path = self.uri(name)
            try:
                size = _size(path)
                if size is not None:
                    os.unlink(path)
                    freed += size
            except FileNotFoundError:
                continue  # another process removed it between the two calls
            except OSError as error:
                raise explained(error, path) from error
        return freed

    def _write(self, path: str, payload: bytes) -> None:
        make_folder(os.path.dirname(path))
        temporary = os.path.join(self._temporary, _unique())
        try:
            with open(temporary, "xb") as file:
                file.write(payload)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise

    def _listed(self) -> Iterator[str]:
        with os.scandir(self._objects) as shards:
            folders = [shard.path for shard in shards if shard.is_dir()]
        for folder in folders:
            with os.scandir(folder) as entries:
                found = [entry.name for entry in entries]
            yield from (name for name in found if _NAME.fullmatch(name))

    def _clear_leftovers(self) -> None:
        """Remove what writers that died more than a day ago left; a live write takes seconds."""
        limit = time.time() - _DAY_S
        with suppress(OSError), os.scandir(self._temporary) as entries:
            for entry in entries:
                with suppress(OSError):
                    if entry.stat().st_mtime < limit:
                        os.unlink(entry.path)


def _size(path: str) -> int | None:
    """The length of a file; None when there is none."""
    try:
        return os.stat(path).st_size
    except (FileNotFoundError, NotADirectoryError):
        return None


def _unique() -> str:
    """A file name that no other process, thread, task or host can choose."""
    return f"{os.getpid()}-{threading.get_ident()}-{os.urandom(8).hex()}"
