"""A further process of `tidemill serve`: it opens the project itself and serves the same socket."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys

from tidemill.core.errors import TidemillError
from tidemill.core.python_command import inherited_path, python_module
from tidemill.project.project import open_project
from tidemill.project.workspace import Workspace
from tidemill.serving.io.worker_channel import packed, receive_first
from tidemill.serving.proxied_user import ProxyTrust
from tidemill.serving.serve_settings import ServeSettings
from tidemill.serving.worker_messages import WorkerJob

MODULE = "tidemill.project.serving_worker"


class WorkerStarter:
    """Starts processes that serve a workspace."""

    def __init__(
        self, workspace: Workspace, settings: ServeSettings, proxy: ProxyTrust | None = None
    ) -> None:
        self._job = packed(
            WorkerJob(
                root=str(workspace.root),
                workflow=workspace.settings.workflow,
                environment=workspace.environment,
                path=inherited_path(sys.path, os.getcwd()),
                argv=tuple(sys.argv),
                settings=settings,
                actor=workspace.actor,
                proxy=proxy,
            )
        )

    def __call__(self, listener: socket.socket) -> tuple[subprocess.Popen[bytes], socket.socket]:
        """Start a process that serves a listening socket; return it, and the socket that reaches it."""
        ours, theirs = socket.socketpair()
        with theirs:
            descriptors = listener.fileno(), theirs.fileno()
            try:
                process = subprocess.Popen(
                    python_module(MODULE, *map(str, descriptors)),
                    stdin=subprocess.DEVNULL,
                    pass_fds=descriptors,
                    # Ctrl-C reaches the first process only, which drains the others.
                    start_new_session=True,
                )
            except OSError:
                ours.close()
                raise
        try:
            ours.sendall(self._job)
        except OSError:
            # It ended before it read the job.
            ours.close()
            process.kill()
            process.wait()
            raise
        return process, ours


def main(listener: int, control: int) -> int:
    """Serve until the first process says so, or ends; return the exit code."""
    # Until the server handles it, there is nothing to drain.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    accepting, channel = socket.socket(fileno=listener), socket.socket(fileno=control)
    for each in (accepting, channel):
        each.set_inheritable(False)
    try:
        job = receive_first(channel, WorkerJob)
    except EOFError:
        return 0
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logging.getLogger("tidemill.serving").setLevel(logging.INFO)
    sys.path[:] = dict.fromkeys([*job.path, *sys.path])
    sys.argv[:] = job.argv
    try:
        project = open_project(job.root, workflow=job.workflow, env=job.environment)
        # It acts for the first process, whose token may have expired by now.
        project.workspace = project.workspace.acting_as(job.actor)
        try:
            project.serving.serve_shared(job.settings, accepting, channel, job.proxy)
        finally:
            project.close()
    except TidemillError as error:
        sys.stderr.write(f"process {os.getpid()} can't serve: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
