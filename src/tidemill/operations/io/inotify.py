"""The inotify interface of Linux: which entries of folders change."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterator
from typing import NamedTuple

MODIFY, CLOSE_WRITE, MOVED_FROM, MOVED_TO = 0x2, 0x8, 0x40, 0x80
CREATE, DELETE, DELETE_SELF, MOVE_SELF = 0x100, 0x200, 0x400, 0x800
OVERFLOW, IGNORED = 0x4000, 0x8000
IS_FOLDER, _ONLY_FOLDERS = 0x40000000, 0x01000000
_WATCHED = MODIFY | CLOSE_WRITE | MOVED_FROM | MOVED_TO | CREATE | DELETE | DELETE_SELF | MOVE_SELF
_NON_BLOCKING = os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)
_HEAD = struct.Struct("iIII")
_MOST_BYTES = 1 << 16


class FolderEvent(NamedTuple):
    """An event of the watch `number`: what happened (`mask`) to the entry `name` of its folder."""

    number: int
    mask: int
    name: str


class Inotify:
    """An open instance; OSError where the system has none, or no more."""

    def __init__(self) -> None:
        if sys.platform != "linux":
            raise OSError("this system has no inotify")
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = self._checked(self._libc.inotify_init1(_NON_BLOCKING))

    def fileno(self) -> int:
        """The descriptor, which can be read when there are events."""
        return self._descriptor

    def add(self, folder: str) -> int:
        """Watch the entries of a folder; return the number of its watch, the same for the same folder.

        OSError ENOSPC if the user may have no more watches.
        """
        path = os.fsencode(folder)
        return self._checked(
            self._libc.inotify_add_watch(self._descriptor, path, _WATCHED | _ONLY_FOLDERS)
        )

    def remove(self, number: int) -> None:
        """Stop a watch; nothing if it has ended."""
        self._libc.inotify_rm_watch(self._descriptor, number)

    def read(self) -> Iterator[FolderEvent]:
        """The events since the last call, without waiting."""
        try:
            found = os.read(self._descriptor, _MOST_BYTES)
        except BlockingIOError:
            return
        at = 0
        while at < len(found):
            number, mask, _, length = _HEAD.unpack_from(found, at)
            at += _HEAD.size
            name = found[at : at + length].rstrip(b"\0")
            at += length
            yield FolderEvent(number, mask, os.fsdecode(name))

    def close(self) -> None:
        """End all watches."""
        os.close(self._descriptor)

    @staticmethod
    def _checked(result: int) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result
