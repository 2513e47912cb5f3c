"""Where in the CPU time of this process the work of its next run began.

Only who begins the work knows that: a command, or a job of `tidemill up`. Importing, scanning and planning
then count to the run that comes of it.
"""

from __future__ import annotations

from contextvars import ContextVar

_began: ContextVar[float | None] = ContextVar("work began", default=None)


def begin_work(cpu_s: float) -> None:
    """Note that the work of this thread's next run began when the process had used so many CPU seconds."""
    _began.set(cpu_s)


def take_work_began() -> float | None:
    """The CPU seconds at which the work of a run began; None for each later run, and if nobody noted it."""
    cpu_s = _began.get()
    _began.set(None)
    return cpu_s
