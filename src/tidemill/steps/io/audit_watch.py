"""Watch what the code of a step opens while it runs: in its query, its training or its evaluation.

Functions inside a query run in threads of Polars, where no profiler sees them. Python's audit hook sees
them there: each file that Python opens, each folder that it lists, each connection. It doesn't see
`os.stat`, and files that C code opens by itself.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any, Self

from tidemill.analysis.code.audited_calls import AUDITED, Caller, find_caller
from tidemill.analysis.code.hidden_inputs import HiddenInput, HiddenInputKind
from tidemill.reuse.recipe import describe_hidden_input

# What packages look up about the system that they run on. Paths are resolved: macOS has /etc, /tmp and
# /var in /private, and its time zones in /var/db.
_SYSTEM = ("/proc/", "/sys/", "/dev/", "/etc/", "/usr/", "/lib/", "/System/", "/Library/",
           "/private/etc/", "/private/var/db/")  # fmt: skip
# Files of users, in memory.
_SHARED_MEMORY = "/dev/shm/"
_PACKAGES = ("/site-packages/", "/dist-packages/", "/__pycache__/", "/zoneinfo/")
_WRITES = os.O_WRONLY | os.O_RDWR
_TIDEMILL = str(Path(__file__).parents[2])
# Installed once, by the first watch: a hook can't be removed.
_installed = False
_watches: list[AuditWatch] = []
_reentrant = threading.local()


class AuditWatch:
    """Records the hidden inputs that code opens in a `with` block: in this thread, and in new threads.

    Files of installed packages, and those that the block wrote itself, don't count. `place` (`file.py:12`)
    is reported if the line is unknown. One that isn't `active` records nothing and costs nothing.
    """

    def __init__(self, place: str, *, active: bool = True) -> None:
        self._place = place
        self._active = active
        self._seen: dict[tuple[HiddenInputKind, str], HiddenInput] = {}
        self._written: set[str] = set()
        self._thread = 0
        self._others: frozenset[int | None] = frozenset()

    @property
    def hidden_inputs(self) -> tuple[HiddenInput, ...]:
        """The hidden inputs, the first of each kind at each line."""
        return tuple(self._seen.values())

    def describe(self, touched: Sequence[str] = ()) -> tuple[str, ...]:
        """Hidden inputs that are known to be `touched`, and those that were opened at other lines."""
        found = (
            describe_hidden_input(item)
            for item in self.hidden_inputs
            if not any(f"({item.where})" in word for word in touched)
        )
        return (*touched, *found)

    def __enter__(self) -> Self:
        if not self._active:
            return self
        _install_hook()
        self._thread = threading.get_ident()
        # Python lists a thread of Polars for good once code in it asked for the current thread.
        self._others = frozenset(
            thread.ident
            for thread in threading.enumerate()
            if not isinstance(thread, threading._DummyThread)
        )
        _watches.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        if self._active:
            _watches.remove(self)

    def is_own(self, thread: int) -> bool:
        """Whether it is this watch's thread."""
        return thread == self._thread

    def may_be_own(self, thread: int) -> bool:
        """Whether a thread began after the block: it may work for its code."""
        return thread not in self._others

    def note(self, event: str, arguments: tuple[Any, ...], frame: FrameType) -> None:
        """Record an event, unless what it opens is allowed."""
        kind, name = AUDITED[event]
        path = _path_in(event, arguments) if kind == "reads" else None
        if kind == "reads" and (path is None or self._is_allowed(path)):
            return
        if path is not None and event == "open" and (flags := _flags(arguments)) & _WRITES:
            if flags & (os.O_TRUNC | os.O_EXCL) or not os.path.lexists(path):
                self._written.add(path)
                return
            if flags & os.O_ACCMODE == os.O_WRONLY:
                return
        caller = find_caller(name, frame)
        if caller is None or not _is_hidden(kind, path, arguments, caller):
            return
        where = caller.where or self._place
        named = caller.name if path is None else f"{caller.name} of {Path(path).name}"
        self._seen.setdefault((kind, where), HiddenInput(name=named, kind=kind, where=where))

    def _is_allowed(self, path: str) -> bool:
        return (
            path == os.devnull
            or path in self._written
            or f"{path}/".startswith(_installed_folders())
            or any(part in f"{path}/" for part in _PACKAGES)
        )


def _is_hidden(
    kind: HiddenInputKind, path: str | None, arguments: tuple[Any, ...], caller: Caller
) -> bool:
    """Whether an event means a hidden input, considering who caused it."""
    if kind == "environment":
        return caller.direct  # packages ask programs about the machine
    if kind == "network":
        address = arguments[1] if len(arguments) > 1 else arguments[0]
        return not isinstance(address, (str, bytes)) or len(arguments) == 1
    if caller.direct or path is None or path.startswith(_SHARED_MEMORY):
        return True
    return not path.startswith(_SYSTEM)


def _path_in(event: str, arguments: tuple[Any, ...]) -> str | None:
    """The absolute path that an event opens; None for a file descriptor."""
    found: Any = arguments[0] if arguments else None
    if found is None and event in ("os.listdir", "os.scandir"):
        found = "."
    try:
        return os.path.realpath(os.fsdecode(found))
    except (TypeError, OSError, ValueError):
        return None


def _flags(arguments: tuple[Any, ...]) -> int:
    """The flags with which a file is opened."""
    return arguments[2] if len(arguments) > 2 and isinstance(arguments[2], int) else 0


@cache
def _installed_folders() -> tuple[str, ...]:
    """The folders of the standard library and of Tidemill."""
    found = (*map(sysconfig.get_path, ("stdlib", "platstdlib")), _TIDEMILL)
    return tuple(f"{os.path.realpath(folder)}/" for folder in found)


def _install_hook() -> None:
    global _installed
    if not _installed:
        _installed = True
        sys.addaudithook(_hook)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    """Called for every audit event of the process, so nearly all of them must cost almost nothing."""
    if not _watches or event not in AUDITED or getattr(_reentrant, "busy", False):
        return
    _reentrant.busy = True
    try:
        _dispatch(event, arguments, sys._getframe(1))
    except ValueError:  # there is no Python code on the stack
        return
    finally:
        _reentrant.busy = False


def _dispatch(event: str, arguments: tuple[Any, ...], frame: FrameType) -> None:
    """Pass an event to the watch of its thread; of a new thread, to all watches that it may work for."""
    thread, watches = threading.get_ident(), list(_watches)
    own = [watch for watch in watches if watch.is_own(thread)]
    for watch in own or [watch for watch in watches if watch.may_be_own(thread)]:
        watch.note(event, arguments, frame)
