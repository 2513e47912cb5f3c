"""Run a command now, and again whenever the sources or the code of a project change.

Each run is a process of its own, which imports the code as it is then. Nothing is imported here.
"""

from __future__ import annotations

import selectors
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tidemill.operations.io.children import JobProcess, SupervisedProcess
from tidemill.operations.io.job_channel import ChildMessage
from tidemill.operations.io.watched_project import CODE, WatchedProject
from tidemill.operations.supervision import WorkflowDescription
from tidemill.operations.watch import (
    SourceChange,
    add_change,
    describe_changes,
    settled_at,
    written_by,
)
from tidemill.project.settings import Settings, find_settings
from tidemill.project.watch_worker import WatchedWorkflow

_WORKER, _LISTENER = "tidemill.project.watch_worker", "tidemill.project.listen_worker"
_WAITING = "waiting for changes; Ctrl-C ends it"
_INTERRUPTED = 130
# Seconds between two looks at a process.
_POLL_S = 0.05


def repeat_on_changes(
    arguments: Sequence[str],
    root: str,
    *,
    workflow: str | None = None,
    environment: str,
    say: Callable[[str], None],
) -> int:
    """Run `tidemill ARGUMENTS`, and again after each change, until Ctrl-C; return the last exit code.

    `root` is a folder of the project. A workflow that can't be imported is said, and waited for. UsageError
    without a project.
    """
    settings = find_settings(Path(root).resolve(), workflow)
    watched = WatchedWorkflow(root=root, workflow=workflow, environment=environment)
    watch = _RunWatch(arguments, watched, settings, say)
    try:
        return watch.run()
    finally:
        watch.close()


class _RunWatch:
    def __init__(
        self,
        arguments: Sequence[str],
        workflow: WatchedWorkflow,
        settings: Settings,
        say: Callable[[str], None],
    ) -> None:
        self._arguments, self._workflow = arguments, workflow
        self._settings, self._say = settings.up, say
        self._files = WatchedProject(settings.root, settings.up, _LISTENER)
        self._selector = selectors.DefaultSelector()
        self._known = WorkflowDescription(workflow="")
        self._code = 0

    def run(self) -> int:
        try:
            changes: dict[str, SourceChange] = {CODE: SourceChange(first=0.0, last=0.0)}
            while True:
                # Data that changes doesn't change which files are watched.
                if CODE not in changes or self._describe():
                    self._code = self._run_once()
                    self._say(_WAITING)
                changes = self._next_changes()
                self._say(_described(changes))
        except KeyboardInterrupt:
            return self._code

    def close(self) -> None:
        """Stop watching."""
        self._files.close()
        self._selector.close()

    def _describe(self) -> bool:
        """Watch the files of the workflow as it is now; whether it can be imported."""
        message = _ask(JobProcess(_WORKER, self._workflow))
        if message.description is not None:
            self._known = message.description
        self._files.follow(self._known, self._register)
        if message.fault:
            self._code = 1
            self._say(f"error: {message.fault}\nwaiting until the code changes")
        else:
            self._say_unwatched()
        return not message.fault

    def _say_unwatched(self) -> None:
        for note in self._files.notes:
            self._say(note)
        hidden = [each.stage for each in self._known.sources if not (each.pattern or each.channel)]
        if hidden:
            self._say(
                f"changes of {', '.join(hidden)} can't be seen: they are read with the next run"
            )

    def _register(self, before: int | None, after: int | None) -> None:
        if before is not None:
            self._selector.unregister(before)
        if after is not None:
            self._selector.register(after, selectors.EVENT_READ)

    def _run_once(self) -> int:
        """Run the command; Ctrl-C interrupts it, and then ends the watch."""
        process = SupervisedProcess("tidemill", *self._arguments)
        try:
            # An interrupt ends a sleep, but not always the wait for a process.
            while not process.has_ended():
                time.sleep(_POLL_S)
            return process.wait()
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            # A run that is interrupted ends within a second, whatever it does.
            code = process.wait()
            self._code = code if code >= 0 else _INTERRUPTED
            raise
        finally:
            process.close()

    def _next_changes(self) -> dict[str, SourceChange]:
        """Wait until something has changed, and nothing changes any more."""
        changes: dict[str, SourceChange] = {}
        begin = time.monotonic()
        while True:
            now = time.monotonic()
            for seen in self._files.changes(now):
                changes[seen.source] = add_change(changes.get(seen.source), now, seen.example)
            due = settled_at(changes, self._settings.settle, self._settings.max_wait)
            written = written_by(self._files.writing, begin, self._settings.write_wait)
            if due is not None and written is not None:
                due = max(due, written)
            if due is not None and now >= due:
                return changes
            times = [at for at in (due, self._files.next_listing) if at is not None]
            self._selector.select(max(0.0, min(times, default=now + self._settings.poll) - now))


def _ask(process: JobProcess) -> ChildMessage:
    """The first message of a process; that it ended if it says nothing."""
    process.stream.setblocking(True)
    try:
        for message in process.messages():
            return message
        process.wait()
        return ChildMessage(fault=process.describe_end())
    finally:
        process.close()


def _described(changes: dict[str, SourceChange]) -> str:
    return describe_changes({name or "the code": change for name, change in changes.items()})
