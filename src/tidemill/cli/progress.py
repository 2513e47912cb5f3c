"""How far a run is, on stderr: one line that changes on a terminal, else one line every ten seconds.

A thread draws, because one step (a training) can take longer than anybody wants to see a stopped clock.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from types import TracebackType
from typing import TextIO

from tidemill.cli.tables import seconds
from tidemill.domain.partition import WHOLE
from tidemill.domain.plan import Plan, Step
from tidemill.domain.run import Attempt

_TERMINAL_S, _LOG_S = 0.1, 10.0
_CLEAR = "\r\x1b[K"


class ProgressLine:
    """Shows the last step that it was told of, until it is closed."""

    def __init__(self, stream: TextIO, every_s: float | None = None) -> None:
        self._stream = stream
        self._terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._every = every_s or (_TERMINAL_S if self._terminal else _LOG_S)
        self._began = time.monotonic()
        self._done = self._total = 0
        self._latest: tuple[int, int, Step] | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._draw, name="tidemill-progress", daemon=True)

    def __enter__(self) -> ProgressLine:
        self._thread.start()
        return self

    def begin(self, plan: Plan) -> None:
        """A run begins with so many steps."""
        self._total = len(plan.steps)

    def started(self, step: Step) -> None:
        """A step is at work."""
        self._latest = (self._done, self._total, step)

    def ended(self, step: Step, attempt: Attempt | None) -> None:
        """A step is done."""
        self._done += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        if self._terminal and self._latest is not None:
            self._write(_CLEAR)

    def _draw(self) -> None:
        while not self._stop.wait(self._every):
            if self._latest is not None:
                line = self.line(*self._latest)
                if self._terminal:
                    width = shutil.get_terminal_size().columns
                    self._write(_CLEAR + line[: width - 1])
                else:
                    self._write(line + "\n")

    def line(self, done: int, total: int, step: Step) -> str:
        """`12/365 features 2013-01-12, 3.1 s`."""
        place = "" if step.partition == WHOLE else f" {step.partition}"
        elapsed = seconds(time.monotonic() - self._began)
        return f"{done}/{total} {step.action} {step.stage}{place}, {elapsed}"

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            # Whoever watched has gone; the work goes on.
            self._stop.set()
