"""How far a run is, on stderr, from the moment on that there is something to do."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import TextIO

from tidemill.ledger.run import Attempt
from tidemill.planning.plan import Plan, Step
from tidemill.project.runs import Progress, Unwatched


class ProgressBars:
    """Shows what it is told of a run, until it is closed; without a stream it shows nothing."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._shown: Progress = Unwatched()
        self._open = ExitStack()

    def __enter__(self) -> ProgressBars:
        return self

    def begin(self, plan: Plan) -> None:
        """A run begins with the steps of a plan."""
        if self._stream is None:
            return
        # A run with nothing to do doesn't begin, and need not wait for what would show it.
        from tidemill.cli.terminal.live_progress import Live

        self._shown = self._open.enter_context(Live(self._stream))
        self._shown.begin(plan)

    def started(self, step: Step) -> None:
        """A step is at work, or waits for a worker."""
        self._shown.started(step)

    def ended(self, step: Step, attempt: Attempt | None) -> None:
        """What became of a step."""
        self._shown.ended(step, attempt)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()
