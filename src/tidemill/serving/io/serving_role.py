"""The role of a process in its server: the seam to the first process, or to the further ones."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tidemill.ports.ledger import State
from tidemill.serving.counters import Snapshot
from tidemill.serving.endpoint_record import EndpointRecord
from tidemill.serving.worker_scaling import ProcessLoad


class ServingProcess(Protocol):
    """A process that serves, as its role sees it."""

    def own_snapshot(self) -> Snapshot:
        """The counters of this process."""

    def read_load(self) -> ProcessLoad:
        """How busy it was since the last call."""

    def own_faults(self) -> Sequence[str]:
        """The faults of this process and its endpoints."""

    def own_status(self) -> dict[str, Any]:
        """The status of its endpoints, as plain data."""

    def close_connections(self, count: int) -> None:
        """Have so many callers connect again."""

    def share_rates(self, processes: int) -> None:
        """Allow callers this process' share of their rates: so many processes answer."""

    def look_again(self) -> None:
        """Read the ledger once more, and follow what is found."""

    def stop(self) -> None:
        """Answer what is in flight, accept no more, and end."""


class ServingRole(Protocol):
    """The work of a process for the others of its server."""

    @property
    def faults(self) -> Sequence[str]:
        """The faults; some may be empty."""

    @property
    def judges(self) -> bool:
        """Whether this process judges the rollouts of the environment."""

    def snapshot(self) -> Snapshot:
        """The counters of all processes."""

    def status(self) -> bytes:
        """The status document of all processes, as JSON."""

    async def start(self, state: State, listener: socket.socket) -> None:
        """Load what answers the callers of a listening socket, who are accepted afterwards."""

    def follow(self, state: State, records: Mapping[str, EndpointRecord]) -> None:
        """Follow what is live in the ledger, and what is recorded of rollouts."""

    async def run(self) -> None:
        """Do what is to be done beside the answers, until this task is cancelled."""

    async def drain(self) -> None:
        """Begin to stop, since this process accepts no more; return when the others have ended."""

    async def close(self) -> None:
        """Close all versions, after the last reply."""

    async def leave(self) -> None:
        """Report for the last time, after all else ended."""
