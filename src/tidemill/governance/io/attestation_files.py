"""Keep attestations in the home, and hash the files that they are about."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tidemill.core.errors import StorageError, UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.io.home_files import make_private_folder, open_private
from tidemill.ports.artifacts import Artifacts

SUFFIX = ".dsse.json"
_CHUNK = 1 << 22
# An attestation of a table with a million partitions has some 200 MB.
_LARGEST = 1 << 30


@dataclass(frozen=True, slots=True)
class AttestationFolder:
    """The attestations of an environment, as files `NAME-VERSION.dsse.json`; of a table by run."""

    path: Path

    def file(self, name: str, version: str) -> Path:
        """The path of an attestation, written or not."""
        return self.path / f"{name}-{version}{SUFFIX}"

    def write(self, name: str, version: str, text: str) -> Path:
        """Write an attestation in place of an earlier one; StorageError if that fails."""
        target = self.file(name, version)
        write_file(target, text)
        return target

    def all_of(self, name: str) -> list[Path]:
        """The attestations of a name, newest version of a table first."""
        found = self.path.glob(f"{name}-*{SUFFIX}")
        # Names have no hyphen, so what follows the first one is the version.
        own = (path for path in found if path.name.partition("-")[0] == name)
        return sorted(own, key=lambda path: path.name, reverse=True)


def write_file(target: Path, text: str) -> None:
    """Write a file whole or not at all, readable by its owner; StorageError if that fails."""
    part = target.with_name(f".{target.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        make_private_folder(target.parent)
        try:
            with open(part, "w", encoding="utf-8", opener=open_private) as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise
    except OSError as error:
        raise StorageError(f"{target} can't be written: {error.strerror or error}") from error


def read_file(path: Path) -> bytes:
    """The content of an attestation; UsageError if it can't be read."""
    try:
        with open(path, "rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror or error}") from error
    if len(content) > _LARGEST:
        raise UsageError(f"{path} is too large to be an attestation")
    return content


def object_digest(artifacts: Artifacts, name: str) -> str:
    """The SHA-256 of the bytes that are stored as an object; StorageError if they are missing."""
    hashed, at = hashlib.sha256(), 0
    with artifacts.open(name) as stored:
        while chunk := stored.read(at, _CHUNK):
            hashed.update(chunk)
            at += len(chunk)
    return hashed.hexdigest()


def file_digests(place: Path) -> dict[str, str]:
    """The SHA-256 of a file, by its name, or of each file below a folder, by its path there with slashes.

    UsageError if there is no such place, or if a file can't be read.
    """
    folder = place if place.is_dir() else place.parent
    found: dict[str, str] = {}
    for path in _files(place):
        try:
            with open(path, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise UsageError(f"{path} can't be read: {error.strerror or error}") from error
        found[path.relative_to(folder).as_posix()] = digest
    return found


def _files(place: Path) -> Iterator[Path]:
    if not place.is_dir():
        yield place
        return
    yield from sorted(path for path in place.rglob("*") if path.is_file())
