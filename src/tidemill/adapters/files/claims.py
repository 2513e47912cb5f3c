"""Claim keys between the processes of one machine, by locking one byte of a file for each key.

The file stays empty; a key's first digits determine its byte. The kernel releases the locks of a
process that dies, so there is no heartbeat and nothing to clean up. The locks (POSIX record locks, the
same on Linux and macOS) belong to the process: a forked child has none, and holders within one process
are tracked in memory.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from weakref import WeakValueDictionary, finalize

from tidemill.adapters.files.disk import open_like_folder

try:
    import fcntl
except ImportError:
    # Windows: only holders in one process exclude each other. Two runs may then do the same work
    # twice; leases and heads still guard what they publish, so that costs only time.
    HAS_LOCKS = False
else:
    HAS_LOCKS = True

_KEY_DIGITS = 15  # 60 bits: the largest file offset that a lock may have
_FIRST_PAUSE_S = 0.001
_MAX_PAUSE_S = 0.02


class FileClaims:
    """One holder's claims through the lock file `path`, which is created on first use; thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = os.path.realpath(path)
        self._holder = object()
        self._file: _LockFile | None = None

    def take(self, key: str) -> bool:
        with _lock_files.lock:
            # The file stays open as long as one of its holders is alive.
            self._file = file = _open_lock_file(self._path)
            if key not in file.owners:
                if not file.try_lock(key):
                    return False
                file.owners[key] = self._holder
            return file.owners[key] is self._holder

    def wait(self, key: str, timeout_s: float) -> bool:
        # A blocking lock has no timeout and ignores other holders in this process.
        return try_until(lambda: self.take(key), timeout_s, _FIRST_PAUSE_S, _MAX_PAUSE_S)

    def release(self, key: str) -> None:
        with _lock_files.lock:
            file = _lock_files.files.get(self._path)
            if file is not None and file.owners.get(key) is self._holder:
                del file.owners[key]
                file.unlock(key)


def try_until(
    take: Callable[[], bool], timeout_s: float, first_pause_s: float, max_pause_s: float
) -> bool:
    """Call `take` until it succeeds, with pauses that grow; whether it did within `timeout_s`."""
    deadline, pause = time.monotonic() + timeout_s, first_pause_s
    while not take():
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(pause, left))
        pause = min(2 * pause, max_pause_s)
    return True


class _LockFile:
    """The lock file, opened once per process: closing any descriptor of it drops all locks."""

    def __init__(self, path: str) -> None:
        self.owners: dict[str, object] = {}
        self._descriptor: int | None = None
        if not HAS_LOCKS:
            return
        try:
            # Python closes descriptors on exec, so programs that a stage starts don't inherit it.
            self._descriptor = open_like_folder(path, os.O_RDWR | os.O_CREAT)
        except OSError:
            # The folder isn't writable. The ledger next to it reports that, so this can go on.
            return
        finalize(self, os.close, self._descriptor)

    def try_lock(self, key: str) -> bool:
        """Try to lock the key for this process; whether it succeeded."""
        if self._descriptor is None:
            return True
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _byte_offset(key))
        except (BlockingIOError, PermissionError):
            return False
        except OSError:
            return True  # a file system without locks: behave as on Windows
        return True

    def unlock(self, key: str) -> None:
        """Release the key's lock."""
        if self._descriptor is not None:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, _byte_offset(key))


class _OpenLockFiles:
    """The lock files that this process has open, by path; a forked child starts with none."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.files: WeakValueDictionary[str, _LockFile] = WeakValueDictionary()
        self.inherited: list[_LockFile] = []


_lock_files = _OpenLockFiles()


def _after_fork() -> None:
    global _lock_files
    parents, _lock_files = _lock_files, _OpenLockFiles()
    # Keep them open: closing one would drop locks that the child has since taken on the same file.
    _lock_files.inherited = [*parents.inherited, *parents.files.values()]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _open_lock_file(path: str) -> _LockFile:
    file = _lock_files.files.get(path)
    if file is None:
        file = _lock_files.files[path] = _LockFile(path)
    return file


def _byte_offset(key: str) -> int:
    return int(key[:_KEY_DIGITS], 16)
