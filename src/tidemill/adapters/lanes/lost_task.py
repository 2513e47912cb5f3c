"""Build the final event of a task whose process ended before it answered."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

from tidemill.adapters.lanes.exit_causes import describe_exit
from tidemill.adapters.lanes.worker_process import WorkerProcess
from tidemill.adapters.lanes.worker_protocol import temporary_path
from tidemill.ports.execution import Fate, Task, TaskError, TaskEvent


def lost_task_event(worker: WorkerProcess, task: Task, *, oom_killed: bool) -> TaskEvent:
    """Build the final event of a task whose process is gone, and delete its partial output.

    `oom_killed`: the system has killed some process for lack of memory.
    """
    if task.output:
        with suppress(OSError):
            os.unlink(temporary_path(task.output, task.id))
    oom_killed = oom_killed and worker.exit_code == -signal.SIGKILL and not worker.protocol_error
    fate = Fate(worker.kill_reason or (Fate.OOM if oom_killed else Fate.LOST))
    message = _failure_message(fate, task, worker)
    if fate is Fate.LOST and (words := worker.output_tail()):
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
        peak_rss=worker.peak_rss,
    )


def _failure_message(fate: Fate, task: Task, worker: WorkerProcess) -> str:
    match fate:
        case Fate.TIMEOUT:
            return f"it took longer than its timeout of {task.timeout_s:g} s"
        case Fate.CANCELLED:
            return "it was cancelled"
        case Fate.BUDGET:
            return "it was stopped before a budget would be exceeded"
        case Fate.OOM if worker.kill_reason:
            held, cap = worker.peak_rss / 1e6, task.memory / 1e6
            return f"it held {held:,.0f} MB, more than its memory cap of {cap:,.0f} MB"
        case Fate.OOM:
            return f"the machine ran out of memory: {describe_exit(worker.exit_code)}"
    return worker.protocol_error or describe_exit(worker.exit_code)
