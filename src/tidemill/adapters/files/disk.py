"""Sync folders to disk, and turn operating system errors into storage errors with advice."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from functools import cache
from typing import TypeVar

from tidemill.core.errors import StorageError
from tidemill.ledger.io.home_files import is_shared, make_private_folder, open_private

_FULL_CODES = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN_CODES = (errno.EROFS, errno.EACCES, errno.EPERM)

# A disk commits what waits at the same time together; more at once gain little.
_SYNCS_AT_ONCE = 8

T = TypeVar("T")

FULL_ADVICE = "free some space and run again; everything recorded so far is kept"
FORBIDDEN_ADVICE = "make it writable for this user, or keep the project's state in another folder"


def storage_error(error: OSError, path: str) -> StorageError:
    """A storage error that names the path, the cause and the remedy."""
    if error.errno in _FULL_CODES:
        return StorageError(f"no space left for {path} ({error.strerror}): {FULL_ADVICE}")
    if error.errno in _FORBIDDEN_CODES:
        return StorageError(f"{path} can't be used ({error.strerror}): {FORBIDDEN_ADVICE}")
    return StorageError(
        f"{path} can't be read or written ({error.strerror or error}): check the disk and the "
        "path, then run again"
    )


@contextmanager
def translate_os_errors(path: str) -> Iterator[None]:
    """Re-raise an OSError as a StorageError about the path."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, path) from error


def open_like_folder(path: str, flags: int) -> int:
    """Open a file that is as private as its folder, if it is created: for `open(..., opener=)`."""
    folder = os.path.dirname(path)
    if is_shared(folder):
        return open_private(path, flags)
    return os.open(path, flags, os.stat(folder).st_mode & 0o666)


def make_folder(path: str, *, below: str = "") -> None:
    """Create the folder and its parents durably, if they don't exist; each as private as its parent.

    The parent `below` isn't created, as in `make_private_folder`.
    """
    if os.path.isdir(path):
        return
    if path == below:
        raise FileNotFoundError(errno.ENOENT, "it was moved or removed", path)
    parent = os.path.dirname(path)
    make_folder(parent, below=below)
    if is_shared(parent):
        make_private_folder(path)
    else:
        with suppress(FileExistsError):
            os.mkdir(path, os.stat(parent).st_mode & 0o777)
    sync_folder(parent)


def sync_folder(path: str) -> None:
    """Sync a folder's entries to disk, so that they survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_all(sync: Callable[[T], None], items: Collection[T]) -> None:
    """Sync files or folders at the same time; when it returns, all are on disk. Raises an error of one."""
    waiting = iter([*items])

    def sync_rest() -> None:
        # Each thread takes one after another: to hand each over alone takes as long as to sync it.
        for item in waiting:
            sync(item)

    helpers: list[Future[None]] = []
    # Where there can't be more threads, this one does the rest.
    with suppress(RuntimeError):
        for _ in range(min(_SYNCS_AT_ONCE, len(items)) - 1):
            # Known before it is handed over: it may run later even if no thread could be started for it.
            helpers.append(Future())
            _threads().submit(_run, sync_rest, helpers[-1])
    try:
        sync_rest()
    finally:
        # Those that haven't begun have nothing left to do.
        begun = [helper for helper in helpers if not helper.cancel()]
        wait(begun)
    for helper in begun:
        helper.result()


def _run(function: Callable[[], None], future: Future[None]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        function()
    # Whoever waits for it raises it.
    except BaseException as error:  # noqa: BLE001
        future.set_exception(error)
    else:
        future.set_result(None)


@cache
def _threads() -> ThreadPoolExecutor:
    """The threads that sync: to start some for each batch takes as long as syncing it."""
    return ThreadPoolExecutor(_SYNCS_AT_ONCE - 1, thread_name_prefix="tidemill-sync")


if hasattr(os, "register_at_fork"):
    # A fork has none of the threads, and a lock of theirs may be held there for good.
    os.register_at_fork(after_in_child=_threads.cache_clear)
