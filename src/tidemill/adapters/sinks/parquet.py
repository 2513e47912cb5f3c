"""Deliver partitions as Parquet files in a folder, replacing each file atomically."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

from tidemill.adapters.files.disk import sync_all, sync_folder
from tidemill.core.errors import StorageError
from tidemill.core.partition_file import MOST_BYTES, has_usual_case, partition_stem
from tidemill.ledger.delivery import Effect
from tidemill.ports.artifacts import Artifacts
from tidemill.ports.formats import EffectResult

# Files are synced together, as many as have so many bytes: until then each needs the room of two.
_TOGETHER_BYTES = 64_000_000


class ParquetFolders:
    """Delivers each partition as a file of a folder."""

    batch = 64

    def deliver_all(
        self, effects: Sequence[Effect], root: Path, artifacts: Artifacts, /
    ) -> Iterator[tuple[Effect, EffectResult]]:
        folder = root / effects[0].target
        begun: list[_Delivery] = []
        results: list[tuple[Effect, EffectResult]] = []
        try:
            for effect in effects:
                begun.append(_Delivery(effect, folder))
                begun[-1].attempt(partial(begun[-1].write, artifacts))
                if sum(each.size for each in begun) >= _TOGETHER_BYTES:
                    results += _finish(begun, root)
                    begun = []
            results += _finish(begun, root)
        finally:
            for each in begun:
                each.discard()
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


class _Delivery:
    """Carries out an effect on a folder, step by step: after one that failed, none is taken.

    A file is written beside its target, which it replaces when it is on the disk.
    """

    def __init__(self, effect: Effect, folder: Path) -> None:
        self.effect = effect
        self.size = 0
        self.error: StorageError | None = None
        self.target = folder / _file_name(effect.partition)
        self._folder = folder
        self._temporary = ""
        self._stream: BinaryIO | None = None

    def attempt(self, step: Callable[[], None]) -> None:
        """Take a step; keep the error if it fails."""
        if self.error is not None:
            return
        try:
            step()
        except StorageError as error:
            self.error = error
        except OSError as error:
            name = f"{self.effect.stage} {self.effect.partition}"
            self.error = StorageError(
                f"{name} can't be delivered to {self.target}: {error.strerror}; "
                "it stays queued, and the next run will deliver it"
            )
            self.error.__cause__ = error

    def write(self, artifacts: Artifacts) -> None:
        """Write the file beside its target, if there is one to write."""
        if self.effect.action == "remove":
            return
        if not self._folder.is_dir():
            self._folder.mkdir(parents=True, exist_ok=True)
        payload = artifacts.get(self.effect.object)
        # Another effect of the batch may be on the same partition.
        unique = f"{os.getpid()}-{threading.get_ident()}-{id(self)}"
        self._temporary = f"{self._folder}/.{self.target.name}.{unique}.tmp"
        self._stream = open(self._temporary, "xb")  # noqa: SIM115 - it is synced with others
        self._stream.write(payload)
        self._stream.flush()
        self.size = len(payload)

    def sync(self) -> None:
        """Wait until the file is on the disk."""
        if self._stream is not None:
            os.fsync(self._stream.fileno())
            self._stream.close()

    def replace(self) -> None:
        """Replace the target by the file, or remove it."""
        if not has_usual_case(self.effect.partition) and self._folder.is_dir():
            self.target = _choose_name(self._folder, self.effect.partition)
        if self.effect.action == "remove":
            self.target.unlink(missing_ok=True)
        else:
            os.replace(self._temporary, self.target)
            self._temporary = ""

    def discard(self) -> None:
        """Remove the file if it didn't replace its target."""
        if self._stream is not None:
            self._stream.close()
        if self._temporary:
            with suppress(OSError):
                os.unlink(self._temporary)


def _finish(begun: Sequence[_Delivery], root: Path) -> Iterator[tuple[Effect, EffectResult]]:
    """Replace the targets of deliveries, in their order, when the files of all are on the disk."""
    sync_all(lambda each: each.attempt(each.sync), begun)
    for each in begun:
        each.attempt(each.replace)
        each.discard()
        file = str(each.target).removeprefix(f"{root}{os.sep}")
        yield each.effect, each.error or {"file": file}


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
