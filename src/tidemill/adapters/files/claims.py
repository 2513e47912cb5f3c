"""Claims on keys between the processes of one machine: a lock on one byte of a file for each key.

Nobody writes the file; a key's first digits say which byte stands for it. The kernel lets go of the
locks of a process that dies, however it dies: no heartbeat, and nothing to clean up. These locks
(POSIX record locks, the same on Linux and macOS) belong to the process: a forked child has none, and
who of several holders in one process has a key is noted beside them.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from weakref import WeakValueDictionary, finalize

try:
    import fcntl
except ImportError:
    # Windows: only holders in one process exclude each other. Two runs may then do the same work
    # twice; what they publish is guarded by leases and heads, so that costs time and nothing else.
    LOCKS = False
else:
    LOCKS = True

_DIGITS = 15  # as many bits as a file may be long, and a key each: 60
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.001, 0.02


class FileClaims:
    """Claims of one holder by the file `path`, which is made when it is first needed; for any thread."""

    def __init__(self, path: Path) -> None:
        self._path = os.path.realpath(path)
        self._me = object()
        self._file: _File | None = None

    def take(self, key: str) -> bool:
        """Whether the key is ours now; never waits. Taking it a second time changes nothing."""
        with _process.lock:
            # Kept open for as long as one of its holders lives.
            self._file = file = _opened(self._path)
            if key not in file.owners:
                if not file.locked(key):
                    return False
                file.owners[key] = self._me
            return file.owners[key] is self._me

    def wait(self, key: str, timeout_s: float) -> bool:
        """Whether the key became ours within so many seconds."""
        deadline = time.monotonic() + timeout_s
        pause = _FIRST_PAUSE_S
        # Not one blocking call: that has no timeout, and sees no other holder in this process.
        while not self.take(key):
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(pause, left))
            pause = min(2 * pause, _LONGEST_PAUSE_S)
        return True

    def give(self, key: str) -> None:
        """Let others have the key; nothing happens when it isn't ours."""
        with _process.lock:
            file = _process.files.get(self._path)
            if file is not None and file.owners.get(key) is self._me:
                del file.owners[key]
                file.unlock(key)


class _File:
    """The file as this process has it open. It is opened once: closing any copy drops all locks."""

    def __init__(self, path: str) -> None:
        self.owners: dict[str, object] = {}
        self._descriptor: int | None = None
        if not LOCKS:
            return
        try:
            # Python's descriptors are closed on exec: programs that a stage starts don't get it.
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:
            # A folder that can't be written: the ledger beside it says so. No reason to stop here.
            return
        finalize(self, os.close, self._descriptor)

    def locked(self, key: str) -> bool:
        """Whether this process has the key's lock now."""
        if self._descriptor is None:
            return True
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _byte(key))
        except (BlockingIOError, PermissionError):
            return False
        except OSError:
            return True  # a file system without locks: as on Windows
        return True

    def unlock(self, key: str) -> None:
        """Let other processes have the key's lock."""
        if self._descriptor is not None:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, _byte(key))


class _Process:
    """The files that this process has open, by path; a forked child begins with none."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.files: WeakValueDictionary[str, _File] = WeakValueDictionary()
        self.inherited: list[_File] = []


_process = _Process()


def _after_fork() -> None:
    global _process
    parents, _process = _process, _Process()
    # Closing one would drop the locks that this process may take on the same file by then.
    _process.inherited = [*parents.inherited, *parents.files.values()]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _opened(path: str) -> _File:
    file = _process.files.get(path)
    if file is None:
        file = _process.files[path] = _File(path)
    return file


def _byte(key: str) -> int:
    return int(key[:_DIGITS], 16)
