"""Listen on a Unix socket that only its owner, or the members of one group, may connect to."""

from __future__ import annotations

import fcntl
import grp
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tidemill.core.errors import UsageError

_PRIVATE, _OF_GROUP = 0o600, 0o660
_BACKLOG = 2048


@contextmanager
def unix_listener(path: Path, group: str = "") -> Iterator[socket.socket]:
    """Listen on a path until the end of the block, which removes the file.

    What a server left that was killed is replaced. UsageError if another one listens there, the path is
    something else or too long, or the group is unknown; OSError for what the system says otherwise.
    """
    number = _group_number(group) if group else -1
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as found, ExitStack() as made:
        # Another server that begins would take a socket that doesn't listen yet for one that was left.
        with _locked(path.parent):
            _remove_stale(path)
            found.bind(_checked(path))
            made.callback(_remove_own, path, path.stat().st_ino)
            # Nobody can connect before it listens.
            if group:
                os.chown(path, -1, number)
            path.chmod(_OF_GROUP if group else _PRIVATE)
            found.listen(_BACKLOG)
        found.setblocking(False)
        yield found


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _remove_own(path: Path, number: int) -> None:
    with suppress(OSError):
        if path.stat().st_ino == number:
            path.unlink()


def _checked(path: Path) -> str:
    # Linux has 108 bytes for it, macOS 104, with a zero at the end.
    if len(os.fsencode(path)) > 103:
        raise UsageError(
            f"socket = {str(path)!r} is longer than the 103 bytes that a socket may have"
        )
    return str(path)


def _group_number(group: str) -> int:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise UsageError(f"there is no group {group!r} in this system (socket_group)") from None


def _remove_stale(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise UsageError(f"{path} is no socket: name another path as socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(_checked(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise UsageError(f"another server listens on {path}: stop it, or name another path as socket")
