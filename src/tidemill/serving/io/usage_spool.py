"""Keep on this machine what a server used while the ledger is away, until a server records it."""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from tidemill.core.errors import StorageError
from tidemill.ledger.event import Served

_log = logging.getLogger("tidemill.serving")
_KEPT = msgspec.json.Decoder(tuple[Served, ...])


class UsageSpool:
    """A file of this process in a folder; those that ended processes left are another server's to record.

    A lock, which the system releases when a process ends, tells whose are left, in any container.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / f"{secrets.token_hex(8)}.json"
        self._lock: int | None = None

    def keep(self, events: Sequence[Served]) -> None:
        """Replace what is kept of this process; StorageError if it can't be written."""
        try:
            if self._lock is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._lock = _locked(self._file)
            temporary = self._file.with_suffix(".tmp")
            temporary.write_bytes(msgspec.json.encode(events))
            os.replace(temporary, self._file)
        except OSError as error:
            raise StorageError(
                f"usage that the ledger can't take now can't be kept in {self._folder} either "
                f"({error.strerror or error}): make it writable, or it is lost when the server ends"
            ) from error

    def amend(self, events: Sequence[Served]) -> None:
        """Replace what is kept, if anything is; where it can't be written, nothing is kept any more."""
        if self._lock is not None:
            try:
                self.keep(events)
            except StorageError:
                self.clear()

    def clear(self) -> None:
        """Keep nothing of this process: it is recorded."""
        if self._lock is not None:
            _remove(self._file)
        self.close()

    def close(self) -> None:
        """Leave what is kept to another server."""
        if self._lock is not None:
            os.close(self._lock)
        self._lock = None

    def has_left(self) -> bool:
        """Whether processes that have ended left something."""
        with _all_left(self._folder, self._file) as files:
            return bool(files)

    @contextmanager
    def left(self) -> Iterator[Sequence[Served]]:
        """What processes left that have ended; it is removed after the block, which records it."""
        with _all_left(self._folder, self._file) as files:
            events: list[Served] = []
            for each in files:
                try:
                    events += _KEPT.decode(each.read_bytes())
                except (OSError, msgspec.DecodeError) as error:
                    _log.error("the usage in %s is lost, which can't be read: %s", each, error)
            yield events
            for each in files:
                _remove(each)


@contextmanager
def _all_left(folder: Path, own: Path) -> Iterator[Sequence[Path]]:
    """The files of ended processes, which nobody else takes in the block."""
    locks, files = list[int](), list[Path]()
    try:
        for each in sorted(folder.glob("*.json")):
            with suppress(OSError):
                if each != own:
                    locks.append(_locked(each))
                    # Another server may have recorded it meanwhile.
                    files += [each] if each.exists() else []
        yield files
    finally:
        for lock in locks:
            os.close(lock)


def _lock_of(file: Path) -> Path:
    return file.with_suffix(".lock")


def _remove(file: Path) -> None:
    """Remove what is recorded; where that can't be done, whoever finds it sees that it is recorded."""
    with suppress(OSError):
        file.unlink(missing_ok=True)
        _lock_of(file).unlink(missing_ok=True)


def _locked(file: Path) -> int:
    """Lock a file of usage; OSError if another process has it."""
    lock = os.open(_lock_of(file), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever had it may have removed it meanwhile, and locked another one in its place.
        if not os.path.samestat(os.fstat(lock), os.stat(_lock_of(file))):
            raise BlockingIOError(f"{file} was just recorded")
    except OSError:
        os.close(lock)
        raise
    return lock
