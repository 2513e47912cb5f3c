"""Fill an empty home, which may be a mount point: it gets its files from a folder in it, the ledger last.

A home with that folder and without a ledger is of a restore that goes on or was interrupted: nobody else uses
it. What an interrupted one moved is known by name, so the next one begins anew and removes nothing else.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tidemill.core.errors import ConflictError, UsageError
from tidemill.ledger.io.home_files import (
    LEDGER_NAME,
    RESTORING,
    make_home,
    make_private_folder,
    open_private,
)

# The folder that file systems of some kinds have from the beginning.
_OF_SYSTEM = frozenset(("lost+found",))
_FILLED, _MOVED = "home", "moved.json"


class HomeRestoration:
    """Fills the home at `place`; OSErrors are left to the caller."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._folder = place / RESTORING

    def require_empty(self) -> None:
        """Raise UsageError if the home has something that isn't of an interrupted restore."""
        place = self._place
        if not os.path.lexists(place):
            return
        if not place.is_dir():
            what = "is a link to nothing" if place.is_symlink() else "is a file"
            raise UsageError(f"{place} {what}: name another folder with --into, or move it away")
        names = {*os.listdir(place)} - _OF_SYSTEM
        left = names - self._moved() - {RESTORING} if self._was_interrupted else names
        if left:
            some = ", ".join(sorted(left)[:3])
            raise UsageError(
                f"{place} isn't empty (it has {some}): name another folder with --into, or move it away"
            )

    @contextmanager
    def filling(self, group: str) -> Iterator[Path]:
        """Give a folder to fill, of which the contents are then those of the home.

        After an error there is no home, or an empty one. ConflictError if another restore to it goes on.
        """
        is_new = not self._place.exists()
        make_home(self._place, group)
        with _locked(self._place):
            self.require_empty()
            self._clear()
            try:
                filled = self._folder / _FILLED
                make_private_folder(filled)
                yield filled
                self._move(filled)
            except BaseException:
                with suppress(OSError):
                    self._clear()
                    if is_new:
                        self._place.rmdir()
                raise
            shutil.rmtree(self._folder, ignore_errors=True)
            _sync(self._place)

    @property
    def _was_interrupted(self) -> bool:
        return self._folder.exists() and not (self._place / LEDGER_NAME).exists()

    def _moved(self) -> set[str]:
        """What the home may have of an interrupted restore."""
        try:
            return {*json.loads((self._folder / _MOVED).read_text(encoding="utf-8"))}
        except (OSError, ValueError):
            return set()

    def _move(self, filled: Path) -> None:
        names = sorted(os.listdir(filled), key=lambda name: (name == LEDGER_NAME, name))
        for folder, _, _ in os.walk(filled):
            _sync(folder)
        new = self._folder / f"{_MOVED}.new"
        with open(new, "w", encoding="utf-8", opener=open_private) as file:
            json.dump(names, file)
            file.flush()
            os.fsync(file.fileno())
        new.rename(self._folder / _MOVED)
        _sync(self._folder)
        for name in names:
            if name == LEDGER_NAME:
                _sync(self._place)
            (filled / name).rename(self._place / name)
        _sync(self._place)

    def _clear(self) -> None:
        """Remove what an interrupted restore left; the list of it goes last."""
        for name in self._moved():
            _remove(self._place / name)
        if self._folder.exists():
            _remove(self._folder / _FILLED)
            shutil.rmtree(self._folder)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConflictError(
                f"another restore to {folder} is going on: wait for it to end"
            ) from None
        yield
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync(folder: str | Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
