"""A folder beside a ledger for what its tables are compared with."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tidemill.adapters.files.disk import translate_os_errors

# Backups leave out what begins with the ledger's name.
_MARK = ".verify-"


@contextmanager
def scratch_folder(ledger: Path) -> Iterator[Path]:
    """Make a folder beside a ledger, and remove it in the end; those that killed processes left go first.

    Each is locked while its process lives. StorageError if there can't be one.
    """
    prefix = f"{ledger.name}{_MARK}"
    with ExitStack() as opened:
        # Nobody removes a folder between being made and being locked.
        with translate_os_errors(str(ledger.parent)), _locked(ledger.parent):
            _remove_left(ledger)
            folder = Path(tempfile.mkdtemp(prefix=prefix, dir=ledger.parent))
            opened.enter_context(_locked(folder))
        opened.callback(shutil.rmtree, folder, ignore_errors=True)
        yield folder


def clear_scratch_folders(ledger: Path) -> None:
    """Remove the folders that killed processes left beside a ledger."""
    with translate_os_errors(str(ledger.parent)), _locked(ledger.parent):
        _remove_left(ledger)


def _remove_left(ledger: Path) -> None:
    for left in ledger.parent.glob(f"{ledger.name}{_MARK}*"):
        _remove_unused(left)


def _remove_unused(folder: Path) -> None:
    with suppress(BlockingIOError, FileNotFoundError), _locked(folder, wait=False):
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(folder: Path, *, wait: bool = True) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)
