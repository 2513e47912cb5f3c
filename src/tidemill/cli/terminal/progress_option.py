"""Show progress on stderr once a run has something to do."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import TextIO

from tidemill.cli.garbage import leave_out_all
from tidemill.ledger.run import Attempt
from tidemill.planning.plan import Plan, Step
from tidemill.project.runs import NoProgress, Progress


class ProgressBars:
    """Shows the progress of a run until it is closed; without a stream it shows nothing."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._shown: Progress = NoProgress()
        self._open = ExitStack()

    def __enter__(self) -> ProgressBars:
        return self

    def begin(self, plan: Plan) -> None:
        """Start showing a run of a plan."""
        # What the steps make isn't part of it: code of the user may want to be told of its end.
        leave_out_all()
        if self._stream is None:
            return
        # A run with nothing to do doesn't get here, and doesn't wait for this import.
        from tidemill.cli.terminal.live_progress import LiveProgress

        self._shown = self._open.enter_context(LiveProgress(self._stream))
        self._shown.begin(plan)

    def started(self, step: Step) -> None:
        """Note that a step started, or waits for a worker."""
        self._shown.started(step)

    def ended(self, step: Step, attempt: Attempt | None) -> None:
        """Note the outcome of a step."""
        self._shown.ended(step, attempt)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()
