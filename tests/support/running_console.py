"""`tidemill console` as a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from tests.support.waiting import until
from tidemill.console.server import new_link
from tidemill.project.settings import find_settings

_URL = re.compile(r"console: (http://127\.0\.0\.1:\d+) ")


class RunningConsole:
    """A running console of the project in a folder, at a port that was free."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self._log = folder.parent / "console.log"
        with self._log.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "tidemill", "console", "--port", "0", *arguments],
                cwd=folder,
                stdout=file,
                stderr=file,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )

    def __enter__(self) -> RunningConsole:
        def is_there() -> bool:
            assert self.process.poll() is None, self.text
            return _URL.search(self.text) is not None

        until(is_there)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    @property
    def text(self) -> str:
        """What it has said so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def url(self) -> str:
        """Where it answers."""
        found = _URL.search(self.text)
        assert found is not None
        return found[1]

    def new_link(self) -> str:
        """A link that logs in once."""
        return new_link(find_settings(self.folder))
