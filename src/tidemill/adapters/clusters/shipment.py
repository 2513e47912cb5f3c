"""Pack the files of a project into an archive that its content names, and unpack it once per node."""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tidemill.core.errors import StorageError, UsageError
from tidemill.core.lazy_dataclass import dataclass

# Code is small: what is larger is data, which belongs where every node can read it.
MAX_BYTES = 100_000_000
_SKIPPED = frozenset({"__pycache__", "node_modules"})
_KEPT = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """An archive and the digest of its content."""

    digest: str
    data: bytes


def pack_files(files: Iterator[tuple[str, Path]]) -> Archive:
    """Pack files under the names they get; equal files make an equal archive, whenever they were written."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, path in sorted(files):
            data = path.read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o755 if os.access(path, os.X_OK) else 0o644
            archive.addfile(entry, io.BytesIO(data))
    data = out.getvalue()
    return Archive(digest=hashlib.sha256(data).hexdigest(), data=data)


def project_files(
    root: Path, is_data: Callable[[Path], bool] = lambda path: False
) -> Iterator[tuple[str, Path]]:
    """The files of a project that its code may need: all but hidden ones, environments, caches and data.

    `is_data` tells which files and folders are left out besides. UsageError if they are too large to be sent.
    """
    found = [path for path in _walk(root, is_data) if path.is_file()]
    total = sum(path.stat().st_size for path in found)
    if total > MAX_BYTES:
        largest = max(found, key=lambda path: path.stat().st_size)
        raise UsageError(
            f"the project's files in {root} are {total / 1e6:,.0f} MB, more than the "
            f"{MAX_BYTES / 1e6:.0f} MB that are sent to workers; the largest is {largest.relative_to(root)}: "
            "keep data in another folder, where all nodes can read it"
        )
    return ((path.relative_to(root).as_posix(), path) for path in found)


def _walk(folder: Path, is_data: Callable[[Path], bool]) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name in _SKIPPED or is_data(path):
            continue
        if not path.is_dir():
            yield path
        elif not (path / "pyvenv.cfg").exists():
            yield from _walk(path, is_data)


def unpack(digest: str, data: bytes | None, below: Path | None = None) -> str:
    """Unpack an archive into a folder that has its digest as name, once; return the folder.

    Without `data` it is only looked for: "" if it isn't there. StorageError for data of another digest.
    """
    parent = _private_folder() if below is None else below
    folder = parent / digest
    if folder.is_dir():
        os.utime(folder)
        return str(folder)
    if data is None:
        return ""
    if hashlib.sha256(data).hexdigest() != digest:
        raise StorageError(f"the archive {digest} was damaged on its way")
    draft = parent / f"{digest}-{secrets.token_hex(8)}.part"
    draft.mkdir()
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        archive.extractall(draft, filter="data")
    try:
        draft.rename(folder)
    except OSError:
        # Another worker of this node was first.
        shutil.rmtree(draft, ignore_errors=True)
        if not folder.is_dir():
            raise
    _forget_old(parent)
    return str(folder)


def _private_folder() -> Path:
    """A folder of this user on this node; StorageError if somebody else made it."""
    folder = Path(tempfile.gettempdir()) / f"tidemill-node-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise StorageError(f"{folder} belongs to another user: remove it")
    folder.chmod(0o700)
    return folder


def _forget_old(parent: Path) -> None:
    """Remove archives that weren't used for long, but for a few."""
    known = sorted((path.stat().st_mtime, path) for path in parent.iterdir())
    day = 86_400
    for used, path in known[:-_KEPT]:
        if known[-1][0] - used > day:
            shutil.rmtree(path, ignore_errors=True)
