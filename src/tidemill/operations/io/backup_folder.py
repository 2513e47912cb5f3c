"""A folder with a backup: each file stands under the digest of its content, and is written once."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from tidemill.core.errors import ConflictError, StorageError, UsageError
from tidemill.ledger.io.home_files import make_private_folder, open_private
from tidemill.operations.backup_manifest import (
    BackedUpFile,
    BackupManifest,
    OtherManifestError,
    parse_manifest,
    parse_object_list,
)

MANIFEST = "backup.json"
_LOCK = "backup.lock"
_FILES, _OBJECTS = "files", "objects"
_CHUNK = 1 << 20
_WRITERS = 8


class BackupFolder:
    """The backup in a folder, which is created with the first one. OSErrors are raised as StorageErrors.

    Files that it has already are read, and written anew if they are damaged; with `is_quick` only their sizes
    are compared. `mended` are the paths of those that were written anew.
    """

    def __init__(self, root: Path, *, is_quick: bool = False) -> None:
        self.root = root.absolute()
        self.mended: list[Path] = []
        self._is_quick = is_quick
        self._changed: set[Path] = set()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Keep other backups out.

        Raises UsageError for a folder with something else, ConflictError if another backup is going on.
        """
        with _translate(self.root):
            if os.path.lexists(self.root) and not self.root.is_dir():
                raise UsageError(f"{self.root} isn't a folder: name a new one, or that of a backup")
            if self.root.exists() and not self._is_backup():
                raise UsageError(
                    f"{self.root} has other files than a backup: name a new folder, or that of a backup"
                )
            make_private_folder(self.root)
            with open(self.root / _LOCK, "w", opener=open_private) as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise ConflictError(
                        f"another backup to {self.root} is going on: wait for it to end"
                    ) from None
                yield

    def _is_backup(self) -> bool:
        names = {*os.listdir(self.root)}
        return not names or _LOCK in names or MANIFEST in names

    def read(self) -> BackupManifest:
        """The manifest of the backup; UsageError if there is none, StorageError if it can't be used."""
        path = self.root / MANIFEST
        try:
            return self._parse()
        except (FileNotFoundError, NotADirectoryError):
            raise UsageError(
                f"{self.root} has no complete backup: there is no {MANIFEST}"
            ) from None
        except (ValueError, UnicodeDecodeError) as error:
            raise StorageError(f"the backup's {path} can't be used: {error}") from error
        except OSError as error:
            raise StorageError(f"{path} can't be read: {error.strerror}") from error

    def read_previous(self) -> BackupManifest | None:
        """The manifest of the backup before, None if there is none or it is damaged.

        StorageError for one of a newer version.
        """
        try:
            return self._parse()
        except OtherManifestError:
            return self.read()
        except (OSError, ValueError):
            return None

    def _parse(self) -> BackupManifest:
        return parse_manifest((self.root / MANIFEST).read_text(encoding="utf-8"))

    def read_objects(self, manifest: BackupManifest) -> dict[str, int]:
        """The bytes of each object that a backup has; StorageError if its list can't be used."""
        path = self.path_of(manifest.objects)
        try:
            return parse_object_list(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise StorageError(f"the backup's {path} can't be used: {error}") from error

    def add(self, path: str, source: Path) -> BackedUpFile | None:
        """Store a file that is called `path`; None if it is gone meanwhile."""
        with _translate(self.root), self._temporary() as target:
            try:
                digest, size = copy_file(source, target)
            except FileNotFoundError:
                return None
            file = BackedUpFile(path=path, bytes=size, sha256=digest)
            place = self.path_of(file)
            if not self._has(place, digest, size):
                self._move(target, place)
        return file

    def add_text(self, path: str, text: str) -> BackedUpFile:
        """Store a text."""
        with _translate(self.root), self._temporary() as source:
            with open(source, "w", encoding="utf-8", opener=open_private) as file:
                file.write(text)
            found = self.add(path, source)
        assert found is not None
        return found

    def add_objects(self, names: Collection[str], home: Path) -> dict[str, int]:
        """Store objects of a home; return the bytes of those that are there and intact."""
        sources = [home / _OBJECTS / name[:2] / name for name in names]
        # The disk syncs several files at once as fast as one.
        with ThreadPoolExecutor(_WRITERS) as pool:
            sizes = [*pool.map(self.add_object, names, sources)]
        return {name: size for name, size in zip(names, sizes, strict=True) if size is not None}

    def add_object(self, name: str, source: Path) -> int | None:
        """Store an object and return its bytes; None if neither the home nor the backup has it intact."""
        place, digest = self.object_path(name), name[:64]
        with _translate(self.root), self._temporary() as target, suppress(FileNotFoundError):
            if self._has(place, digest, source.stat().st_size):
                return place.stat().st_size
            copied, size = copy_file(source, target)
            if copied == digest:
                self._move(target, place)
                return size
        # What the home lost is kept here.
        return place.stat().st_size if file_is_sound(place, digest) else None

    def _has(self, place: Path, digest: str, size: int) -> bool:
        """Whether a file is stored that need not be written."""
        try:
            if place.stat().st_size != size:
                return False
        except FileNotFoundError:
            return False
        return self._is_quick or file_is_sound(place, digest)

    def path_of(self, file: BackedUpFile) -> Path:
        """Where a file is stored."""
        return self.root / _FILES / file.sha256[:2] / file.sha256

    def object_path(self, name: str) -> Path:
        """Where an object is stored."""
        return self.root / _OBJECTS / name[:2] / name

    def finish(self, manifest: BackupManifest, objects: Collection[str]) -> None:
        """Write the manifest: from now on the folder has this backup. Then remove what it doesn't need."""
        with _translate(self.root):
            for folder in sorted(self._changed):
                _sync(folder)
            with self._temporary() as new:
                with open(new, "w", encoding="utf-8", opener=open_private) as file:
                    file.write(manifest.text)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(new, self.root / MANIFEST)
            _sync(self.root)
            self._remove_others(_FILES, {file.sha256 for file in manifest.stored})
            self._remove_others(_OBJECTS, {*objects})

    def _remove_others(self, folder: str, kept: Collection[str]) -> None:
        for path in (self.root / folder).glob("*/*"):
            if path.name not in kept:
                path.unlink()

    def _move(self, new: Path, place: Path) -> None:
        make_private_folder(place.parent)
        if place.exists():
            self.mended.append(place)
        os.replace(new, place)
        self._changed |= {place.parent, place.parent.parent}

    @contextmanager
    def _temporary(self) -> Iterator[Path]:
        path = self.root / f"new-{os.getpid()}-{os.urandom(8).hex()}"
        try:
            yield path
        finally:
            with suppress(FileNotFoundError):
                path.unlink()

    def clear_leftovers(self) -> None:
        """Remove what an interrupted backup left beside its files; only while no other is going on."""
        with _translate(self.root):
            for path in self.root.glob("new-*"):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()


def copy_file(source: Path, target: Path) -> tuple[str, int]:
    """Copy a file durably; return the SHA-256 and the size of what was copied."""
    digest, size = hashlib.sha256(), 0
    with open(source, "rb") as file, open(target, "wb", opener=open_private) as copy:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            copy.write(chunk)
            size += len(chunk)
        copy.flush()
        os.fsync(copy.fileno())
    return digest.hexdigest(), size


def file_digest(path: Path) -> str:
    """The SHA-256 of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_is_sound(path: Path, digest: str) -> bool:
    """Whether a file can be read and has a digest."""
    try:
        return file_digest(path) == digest
    except OSError:
        return False


def list_files(folder: Path) -> list[str]:
    """The paths of all files below a folder, relative to it; links are left out."""
    found = []
    for where, folders, names in os.walk(folder):
        folders.sort()
        base = Path(where)
        found += [
            (base / name).relative_to(folder).as_posix()
            for name in sorted(names)
            if not (base / name).is_symlink()
        ]
    return found


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _translate(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename or path
        raise StorageError(
            f"{where} can't be read or written ({error.strerror}): what the backup had before is kept; call "
            "it again when that is mended"
        ) from error
