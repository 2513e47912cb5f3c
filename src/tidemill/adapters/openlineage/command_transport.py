"""Pass events of lineage to a command, one JSON document a line of its standard input."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from tidemill.core.errors import SendError
from tidemill.core.printable import printable, shorten

_SHOWN = 200


class CommandTransport:
    """Starts `command` in `folder` with the first event, and ends its input with the last.

    What it prints is ignored. It must take everything and exit with 0; the last line that it writes to its
    standard error says why not.
    """

    confirms = False

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        self._command = [*command]
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._aborted = False

    def send(self, event: bytes) -> None:
        if self._aborted:
            raise SendError(f"{self._command[0]} was stopped")
        process = self._process or self._start()
        assert process.stdin is not None
        try:
            process.stdin.write(event + b"\n")
            process.stdin.flush()
        except (OSError, ValueError):
            raise SendError(f"{self._command[0]} takes no more input{self._said()}") from None

    def abort(self) -> None:
        self._aborted = True
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        process = self._process
        if process is None:
            return
        assert process.stdin is not None
        with suppress(OSError):
            process.stdin.close()
        code, said = process.wait(), self._said()
        assert self._errors is not None
        self._errors.close()
        if code:
            raise SendError(f"{self._command[0]} exited with {code}{said}")

    def _start(self) -> subprocess.Popen[bytes]:
        # A pipe would have to be read.
        errors = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        try:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                # Ctrl-C is for the run; what it published until then is told as well.
                start_new_session=True,
            )
        except OSError as error:
            errors.close()
            raise SendError(
                f"{self._command[0]} can't be started: {error.strerror or error}"
            ) from error
        self._errors = errors
        return self._process

    def _said(self) -> str:
        assert self._errors is not None
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "")
        return f": {shorten(printable(last.strip()), _SHOWN)}" if last else ""
