"""Build the final event of a task whose process ended before it answered."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

from tidemill.adapters.lanes.exit_causes import cause
from tidemill.adapters.lanes.wire import temporary
from tidemill.adapters.lanes.worker_process import Process
from tidemill.ports.execution import Fate, Task, TaskError, TaskEvent


def ended(worker: Process, task: Task, *, starved: bool) -> TaskEvent:
    """Build the final event of a task whose process is gone, and delete its partial output.

    `oom_killed`: the system has killed some process for lack of memory.
    """
    if task.output:
        with suppress(OSError):
            os.unlink(temporary(task.output, task.id))
    starved = starved and worker.code == -signal.SIGKILL and not worker.fault
    fate = Fate(worker.ended_for or (Fate.OOM if starved else Fate.LOST))
    message = _why(fate, task, worker)
    if fate is Fate.LOST and (words := worker.last_words()):
        message = f"{message}; its last output:\n{words}"
    return TaskEvent(
        task=task.id,
        fate=fate,
        worker=worker.name,
        at=time.time(),
        error=TaskError(type=fate.name, message=message),
        queued_s=worker.queued_s,
        wall_s=worker.wall_s,
        cpu_s=worker.cpu_s,
        peak_rss=worker.peak,
    )


def _why(fate: Fate, task: Task, worker: Process) -> str:
    match fate:
        case Fate.TIMEOUT:
            return f"it took longer than its timeout of {task.timeout_s:g} s"
        case Fate.CANCELLED:
            return "it was cancelled"
        case Fate.OOM if worker.ended_for:
            held, cap = worker.peak / 1e6, task.memory / 1e6
            return f"it held {held:,.0f} MB, more than its memory cap of {cap:,.0f} MB"
        case Fate.OOM:
            return f"the machine ran out of memory: {cause(worker.code)}"
    return worker.fault or cause(worker.code)
