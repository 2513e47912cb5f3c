"""Deliver partitions as Parquet files in a folder, replacing each file atomically."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tidemill.adapters.files.disk import sync_folder
from tidemill.core.errors import StorageError
from tidemill.core.partition_file import MOST_BYTES, has_usual_case, partition_stem
from tidemill.ledger.delivery import Effect
from tidemill.ports.artifacts import Artifacts
from tidemill.ports.formats import EffectResult


class ParquetFolders:
    """Delivers each partition as a file of a folder."""

    batch = 64

    def deliver_all(
        self, effects: Sequence[Effect], root: Path, artifacts: Artifacts, /
    ) -> Iterator[tuple[Effect, EffectResult]]:
        results: list[tuple[Effect, EffectResult]] = []
        for effect in effects:
            try:
                result: EffectResult = deliver(effect, root, artifacts, durable=False)
            except StorageError as error:
                result = error
            results.append((effect, result))
        folder = root / effects[0].target
        if folder.is_dir():
            # Once for all new names.
            sync_folder(str(folder))
        yield from results

    def find_obstacle(self, effect: Effect, root: Path, /) -> str:
        return find_obstacle(effect.target, root)

    def find_fault(
        self, effect: Effect, detail: Mapping[str, str], root: Path, artifacts: Artifacts, /
    ) -> str | None:
        path = root / detail["file"]
        try:
            payload = path.read_bytes()
        except FileNotFoundError:
            return "" if effect.action == "remove" else f"the delivered file {path} was deleted"
        except OSError as error:
            return f"the delivered file {path} can't be read: {error.strerror}"
        if effect.action == "remove":
            return f"the file {path} is there again, although its delivery was removed"
        if hashlib.sha256(payload).hexdigest() != effect.object[:64]:
            return f"the delivered file {path} was changed"
        return ""


def find_obstacle(target: str, root: Path) -> str:
    """Return why no file can be written to a folder, such as a file in its place; empty if one can."""
    if "\0" in target:
        return "its name has a NUL character"
    folder = root / target
    try:
        # Whether the longest path would be too long.
        os.lstat(folder / f"{'x' * MOST_BYTES}.parquet")
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
            return error.strerror or str(error)
    there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not there.is_dir():
        return f"{there} is not a folder"
    return "" if os.access(there, os.W_OK | os.X_OK) else f"{there} is not writable"


def deliver(
    effect: Effect, root: Path, artifacts: Artifacts, *, durable: bool = True
) -> Mapping[str, str]:
    """Write or remove one file, idempotently; StorageError names the file.

    Without `durable` the caller syncs the folder, so that the new name survives a power failure.
    """
    folder = root / effect.target
    target = folder / _file_name(effect.partition)
    try:
        if effect.action == "write" and not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
        if not has_usual_case(effect.partition) and folder.is_dir():
            target = _choose_name(folder, effect.partition)
        if effect.action == "remove":
            target.unlink(missing_ok=True)
        else:
            _replace_file(target, artifacts.get(effect.object))
            if durable:
                sync_folder(str(folder))
    except OSError as error:
        raise StorageError(
            f"{effect.stage} {effect.partition} can't be delivered to {target}: {error.strerror}; "
            "it stays queued, and the next run will deliver it"
        ) from error
    return {"file": str(target).removeprefix(f"{root}{os.sep}")}


def _file_name(partition: str, *, ignores_case: bool = False) -> str:
    return f"{partition_stem(partition, ignores_case=ignores_case)}.parquet"


def _choose_name(folder: Path, partition: str) -> Path:
    """Return the file of a partition with capital letters; remove the one that it had in another folder.

    A project may have moved between file systems since the partition was delivered.
    """
    ignores_case = _ignores_case(folder)
    target = folder / _file_name(partition, ignores_case=ignores_case)
    former = folder / _file_name(partition, ignores_case=not ignores_case)
    # Where case is ignored, a file of that name may be of another partition.
    if former != target and os.path.lexists(former) and former.name in os.listdir(folder):
        former.unlink(missing_ok=True)
    return target


def _ignores_case(folder: Path) -> bool:
    """Whether names that differ only in case are one file in a folder."""
    probe = folder / f".tidemill-{os.getpid()}-{threading.get_ident()}.tmp"
    try:
        probe.touch()
        return probe.with_name(probe.name.upper()).exists()
    finally:
        probe.unlink(missing_ok=True)


def _replace_file(target: Path, payload: bytes) -> None:
    temporary = f"{target.parent}/.{target.name}.{os.getpid()}-{threading.get_ident()}.tmp"
    try:
        with open(temporary, "wb") as stream:
            stream.write(payload)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
