"""Append events of lineage to a file, one JSON document a line."""

from __future__ import annotations

import os
from pathlib import Path

from tidemill.core.errors import SendError


class FileTransport:
    """Appends to the file `path`, and creates it with its folders if it is missing.

    The file is opened for each event and written at once, so it may be moved away at any time, and several
    processes may append to it. A line that a crash cut off is ended first.
    """

    confirms = True

    def __init__(self, path: Path) -> None:
        self._path = path
        self._aborted = self._checked = False

    def send(self, event: bytes) -> None:
        if self._aborted:
            raise SendError(f"writing to {self._path} was broken off")
        try:
            self._append(event + b"\n")
        except OSError as error:
            # A part of it may be written.
            self._checked = False
            raise SendError(f"{self._path} can't be written: {error.strerror or error}") from error

    def abort(self) -> None:
        self._aborted = True

    def close(self) -> None:
        """Do nothing: each event is written at once."""

    def _append(self, line: bytes) -> None:
        if not self._checked:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            line = (b"\n" if self._is_cut_off() else b"") + line
            self._checked = True
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            while line:
                line = line[os.write(file, line) :]
        finally:
            os.close(file)

    def _is_cut_off(self) -> bool:
        try:
            with self._path.open("rb") as file:
                file.seek(-1, os.SEEK_END)
                return file.read(1) != b"\n"
        except OSError:
            # There is no such file, or nothing in it.
            return False
