"""Notice that the home of a project was moved or removed while a process works in it."""

from __future__ import annotations

import os
from pathlib import Path

from tidemill.core.errors import StorageError


def ledger_identity(file: Path) -> tuple[int, int]:
    """The device and the inode of a ledger's file; StorageError if there is none."""
    try:
        stat = os.stat(file)
    except OSError as error:
        raise StorageError(f"{file} is gone: {error.strerror or error}") from error
    return stat.st_dev, stat.st_ino


def require_same_ledger(file: Path, identity: tuple[int, int]) -> None:
    """Raise StorageError if the file isn't the one of that identity any more."""
    advice = (
        f"the home {file.parent} was moved, removed or replaced while `tidemill up` ran; nothing more is "
        "written there: start `tidemill up` again where the home is now"
    )
    try:
        found = ledger_identity(file)
    except StorageError as error:
        raise StorageError(advice) from error
    if found != identity:
        raise StorageError(advice)
