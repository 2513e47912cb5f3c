"""The statuses of the servers of an environment that run on this machine."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tidemill.core.errors import StorageError
from tidemill.project.workspace import Workspace
from tidemill.serving.io.status_socket import read_statuses
from tidemill.serving.running_servers import ServerStatus, parse_server


def status_folder(space: Workspace) -> Path:
    """The folder of the home with the sockets of the servers of a workspace's environment."""
    place = hashlib.sha256(f"{space.flow.name}\n{space.environment}".encode()).hexdigest()[:12]
    return space.home / "servers" / place


def running_servers(space: Workspace) -> tuple[list[ServerStatus], list[str]]:
    """Ask the running servers of an environment; return what they say, and why others don't reply."""
    replies, problems = read_statuses(status_folder(space))
    found = []
    for reply in replies:
        try:
            found.append(parse_server(reply))
        except StorageError as error:
            problems.append(str(error))
    return found, problems
