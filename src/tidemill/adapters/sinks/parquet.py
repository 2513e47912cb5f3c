"""Deliver partitions as Parquet files in a folder, replacing each file atomically.

A file is named by its partition, percent-encoded. A name that would be too long for file systems ends in
`+` and a hash of the partition; no encoded name has a `+`.
"""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from tidemill.adapters.files.disk import sync_folder
from tidemill.core.errors import StorageError
from tidemill.ledger.delivery import Effect
from tidemill.ports.artifacts import Artifacts

# File systems allow 255 bytes, of which a temporary name and other tools take some.
_MAX_NAME = 200
_HASH = 32
# Many readers skip files whose name begins so.
_HIDDEN = {".", "_"}


def file_name(partition: str) -> str:
    """Return the name of a partition's file: readable, unique, and never longer than a file system takes."""
    name = quote(partition, safe="")
    if name[:1] in _HIDDEN:
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if len(name) > _MAX_NAME:
        digest = hashlib.sha256(partition.encode()).hexdigest()[:_HASH]
        name = f"{name[: _MAX_NAME - _HASH - 1]}+{digest}"
    return f"{name}.parquet"


def find_obstacle(target: str, root: Path) -> str:
    """Return why no file can be written to a folder, such as a file in its place; empty if one can."""
    if "\0" in target:
        return "its name has a NUL character"
    folder = root / target
    try:
        # Whether the longest path would be too long.
        os.lstat(folder / f"{'x' * _MAX_NAME}.parquet")
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
            return error.strerror or str(error)
    there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not there.is_dir():
        return f"{there} is not a folder"
    return "" if os.access(there, os.W_OK | os.X_OK) else f"{there} is not writable"


def deliver(effect: Effect, root: Path, artifacts: Artifacts) -> Mapping[str, str]:
    """Write or remove one file, idempotently; StorageError names the file."""
    target = root / effect.target / file_name(effect.partition)
    try:
        if effect.action == "remove":
            target.unlink(missing_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            _replace_file(target, artifacts.get(effect.object))
    except OSError as error:
        raise StorageError(
            f"{effect.stage} {effect.partition} can't be delivered to {target}: {error.strerror}; "
            "it stays queued, and the next run will deliver it"
        ) from error
    return {"file": str(target.relative_to(root)) if target.is_relative_to(root) else str(target)}


def _replace_file(target: Path, payload: bytes) -> None:
    temporary = target.with_name(f".{target.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(payload)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(str(target.parent))
