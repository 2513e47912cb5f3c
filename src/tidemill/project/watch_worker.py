"""A process that imports a workflow, says which files it and its sources are in, and ends.

It is started as a module, with a socket and `WatchedWorkflow` as text.
"""

from __future__ import annotations

import socket
import sys

from tidemill.core.lazy_dataclass import dataclass
from tidemill.operations.io.job_channel import ChildMessage, decode_line, encode_line
from tidemill.project.project import open_project
from tidemill.project.up_jobs import describe_project
from tidemill.project.up_worker import fault_text


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedWorkflow:
    """The workflow of a project in a folder, in an environment, whose files are watched."""

    root: str
    workflow: str | None
    environment: str


def main(descriptor: int, text: str) -> None:
    """Send the description, or why there is none, to a socket."""
    wanted = decode_line(text.encode(), WatchedWorkflow)
    with socket.socket(fileno=descriptor) as stream:
        stream.sendall(encode_line(_describe(wanted)))


def _describe(wanted: WatchedWorkflow) -> ChildMessage:
    try:
        with open_project(wanted.root, workflow=wanted.workflow, env=wanted.environment) as project:
            return ChildMessage(description=describe_project(project))
    except Exception as error:  # noqa: BLE001 - the user's module may raise anything
        return ChildMessage(fault=fault_text(error))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
