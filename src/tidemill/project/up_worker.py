"""A process of `tidemill up`: it imports the workflow once, says what to watch, and does jobs one by one.

It is started as a module, with a socket and the options of `ChildOptions`; it ends when the socket is closed.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from tidemill.core.errors import AccessError, TidemillError, describe_error
from tidemill.core.redaction import redact
from tidemill.core.spin_limit import spin_limit
from tidemill.core.work_began import begin_work
from tidemill.governance.permissions import Permission
from tidemill.ledger.io.process_usage import cpu_with_children
from tidemill.operations.duty import DutyTask
from tidemill.operations.io.home_watch import require_same_ledger
from tidemill.operations.io.job_channel import ChildMessage, ChildOptions, decode_line, encode_line
from tidemill.operations.supervision import Ending, JobAnswer, UpJob
from tidemill.project.project import Project, open_project
from tidemill.project.up_jobs import describe_project, do_job
from tidemill.project.verification import LEDGER
from tidemill.workflow.environment import PRODUCTION
from tidemill.workflow.user_errors import user_frames


def main(descriptor: int, text: str) -> None:
    """Serve the socket until the other side closes it."""
    # Only a job can be interrupted.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Only work that can wait makes room.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    os.set_inheritable(descriptor, False)
    os.environ.update(spin_limit(os.environ))
    options = decode_line(text.encode(), ChildOptions)
    with socket.socket(fileno=descriptor) as stream, stream.makefile("rb") as lines:

        def say(message: ChildMessage) -> None:
            stream.sendall(encode_line(message))

        upkeep = _Upkeep(options)
        try:
            say(_begin(options))
            for line in lines:
                job = decode_line(line, UpJob)
                work = upkeep.do if job.task is DutyTask.UPKEEP else partial(_run, options)
                say(_answer(job, work))
        except (BrokenPipeError, ConnectionResetError):
            # Whoever asked is gone.
            return


def _begin(options: ChildOptions) -> ChildMessage:
    """Import the workflow and all that a run needs, and describe it."""
    try:
        with _opened(options) as project:
            project.workspace.require(Permission.SUPERVISE)
            if project.environment != PRODUCTION:
                # A run would begin one that is misspelt.
                project.environments.require(project.environment)
            if options.begins:
                project.workspace.record_action(
                    Permission.SUPERVISE, project.workspace.declared.name
                )
            return ChildMessage(description=describe_project(project))
    except Exception as error:  # noqa: BLE001 - the user's module may raise anything
        return ChildMessage(fault=fault_text(error), is_refusal=isinstance(error, AccessError))


class _Upkeep:
    """Looks after what is due beside runs, with a project that stays open and remembers what it read."""

    def __init__(self, options: ChildOptions) -> None:
        self._options = options
        self._opened = ExitStack()
        self._project: Project | None = None

    def do(self, job: UpJob) -> JobAnswer:
        if self._project is None:
            self._project = self._opened.enter_context(_opened(self._options))
        require_same_ledger(self._project.home / LEDGER, self._options.ledger)
        return do_job(self._project, job)


def _run(options: ChildOptions, job: UpJob) -> JobAnswer:
    with _opened(options) as project:
        return do_job(project, job)


def _answer(job: UpJob, work: Callable[[UpJob], JobAnswer]) -> ChildMessage:
    """Do a job, whatever comes of it."""
    begin_work(cpu_with_children())
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if job.makes_room:
        signal.signal(signal.SIGUSR1, signal.default_int_handler)
    try:
        return ChildMessage(answer=work(job))
    except KeyboardInterrupt:
        return ChildMessage(answer=JobAnswer(ending=Ending.INTERRUPTED, exit_code=130))
    except Exception as error:  # noqa: BLE001 - the user's module may raise anything
        code = error.exit_code if isinstance(error, TidemillError) else 1
        why = fault_text(error)
        return ChildMessage(answer=JobAnswer(ending=Ending.FAILED, failures=(why,), exit_code=code))
    finally:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _opened(options: ChildOptions) -> Iterator[Project]:
    """Open the project in the state of now; nothing is opened, or created, if its home was moved."""
    with open_project(options.root, workflow=options.workflow, env=options.environment) as project:
        require_same_ledger(project.home / LEDGER, options.ledger)
        yield project


def fault_text(error: Exception) -> str:
    """What went wrong, and where in the user's code, on one line."""
    if isinstance(error, TidemillError):
        return str(error)
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}: SyntaxError: {error.msg}"
    frames = user_frames(error)
    place = f"{frames[-1].filename}:{frames[-1].lineno}: " if frames else ""
    return redact(f"{place}{describe_error(error)}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
