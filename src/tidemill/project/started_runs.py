"""Start a command that runs or promotes as a process of its own, which goes on when this one ends."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Callable, Sequence
from tempfile import TemporaryFile
from threading import Thread

from tidemill.core.errors import AccessError, ConflictError, TidemillError, UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.python_command import python_module
from tidemill.governance.permissions import Permission
from tidemill.ledger.event import RunStarted
from tidemill.ledger.io.lease_holder import this_process
from tidemill.project.settings import find_settings
from tidemill.project.workspace import Workspace
from tidemill.runs.io.lease import take_lease

# So long it is waited until the run is recorded: it imports the workflow and plans before.
_LONGEST_S, _POLL_S = 10.0, 0.05
# A command that can't do its work says so in this time.
_AT_ONCE_S = 3.0
# Of what a command that ended at once printed, so much is told.
_TOLD = 2_000
# The errors that a command's exit code stands for.
_ERRORS: dict[int, type[TidemillError]] = {
    error.exit_code: error for error in (ConflictError, AccessError, UsageError)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedRun:
    """A run that was started by a command; `run` is "" if it isn't recorded yet. `told` says so in words."""

    run: str
    command: str
    told: str


def start_run(
    space: Workspace, words: Sequence[str], permission: Permission = Permission.RUN
) -> StartedRun:
    """Start `tidemill WORDS` in the environment of a workspace, as its actor, and wait until it is recorded.

    AccessError if the actor may not do what needs the permission, ConflictError if another run holds the
    environment, and what the command says if it ends without a run.
    """
    space.require_to_publish(permission)
    words = [*_place(space), *words]
    command = shlex.join(["tidemill", *words])
    # Who can't run is told at once.
    take_lease(space.tools, space.environment, this_process(command), None).close()
    seq = space.preview_state().seq
    run = _start(space, words, _LONGEST_S, lambda pid: _recorded_run(space, pid, seq))
    told = f"Started `{command}`."
    if not run:
        told += " It isn't recorded yet: it will be the newest here once it has planned."
    return StartedRun(run=run, command=command, told=told)


def start_command(space: Workspace, words: Sequence[str], permission: Permission) -> str:
    """Start `tidemill WORDS` as the actor of a workspace, and return the command.

    AccessError if the actor may not do what needs the permission, and what the command says if it fails at
    once.
    """
    space.require(permission)
    words = [*_place(space), *words]
    _start(space, words, _AT_ONCE_S, lambda _: "")
    return shlex.join(["tidemill", *words])


def _start(
    space: Workspace, words: Sequence[str], longest: float, find: Callable[[int], str]
) -> str:
    """Start a command, and wait until it is found by its process id, or has ended, but not too long."""
    with TemporaryFile() as printed:
        process = subprocess.Popen(
            python_module("tidemill", *words),
            cwd=space.root,
            env=space.process_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=printed,
            # Signals for this process and its group aren't meant for it.
            start_new_session=True,
        )
        Thread(target=process.wait, daemon=True).start()
        deadline = time.monotonic() + longest
        while time.monotonic() < deadline:
            code = process.poll()
            found = find(process.pid)
            if found or code == 0:
                return found
            if code is not None:
                printed.seek(0)
                text = printed.read().decode("utf-8", "replace").strip()[-_TOLD:]
                told = space.redactor.redact(text) or f"the command ended with exit code {code}"
                command = shlex.join(["tidemill", *words])
                raise _ERRORS.get(code, TidemillError)(f"`{command}`: {told}")
            time.sleep(_POLL_S)
    return ""


def _place(space: Workspace) -> list[str]:
    """The options that say where a command works, if that isn't the usual place."""
    named = space.settings.workflow
    try:
        usual = find_settings(space.root).workflow
    except UsageError:
        usual = ""
    return [] if named == usual else ["-w", named]


def _recorded_run(space: Workspace, pid: int, after: int) -> str:
    for fact in space.tools.ledger.events(kinds=(RunStarted.__name__,), after=after):
        if isinstance(fact.event, RunStarted) and fact.event.holder.get("pid") == str(pid):
            return fact.event.run
    return ""
