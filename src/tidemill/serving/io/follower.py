"""A further process of a server: it does what the first process does, and reports what it counts."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress

from tidemill.core.errors import TidemillError
from tidemill.ports.ledger import State
from tidemill.serving.counters import Snapshot, merge
from tidemill.serving.endpoint_record import EndpointRecord
from tidemill.serving.io.endpoint_service import EndpointService
from tidemill.serving.io.followed_versions import FollowedVersions
from tidemill.serving.io.serving_role import ServingProcess
from tidemill.serving.io.version_source import VersionSource
from tidemill.serving.io.worker_channel import WorkerChannel
from tidemill.serving.worker_messages import ServerView, WorkerReport

REPORT_EVERY_S = 1.0

_log = logging.getLogger("tidemill.serving")


class ServerEnded(TidemillError):
    """The first process ended, or drained its server, before this one answered."""


class ServingFollower:
    """Takes views from the first process over a socket, and sends it reports. It records nothing itself."""

    def __init__(
        self,
        process: ServingProcess,
        endpoints: Mapping[str, EndpointService],
        source: VersionSource,
        control: socket.socket,
    ) -> None:
        self.faults: Sequence[str] = ()
        self._process = process
        self._endpoints = endpoints
        self._control = control
        self._wake = asyncio.Event()
        self._versions = FollowedVersions(endpoints.values(), source, self._wake.set)
        self._view = ServerView()
        self._channel: WorkerChannel[ServerView] | None = None

    @property
    def judges(self) -> bool:
        """Never: the first process may."""
        return False

    def snapshot(self) -> Snapshot:
        """The counters of all processes; those of the others up to a second old."""
        return merge((self._process.own_snapshot(), self._view.others))

    def status(self) -> bytes:
        """The status document of the first process, up to a second old."""
        return self._view.status

    async def start(self, state: State, listener: socket.socket) -> None:
        """Load what answers; ServerEnded if nobody waits for this process any more."""
        channel = self._channel = await WorkerChannel.open(self._control, ServerView)
        view = await channel.receive()
        if view is None or view.drain:
            raise ServerEnded("the server ended before this process answered")
        self._view = view
        await self._versions.start(view.endpoints)

    def follow(self, state: State, records: Mapping[str, EndpointRecord]) -> None:
        """Do nothing: only the first process follows the ledger, so that all change together."""

    async def run(self) -> None:
        """Take views and send reports, until this task is cancelled; drain when the first process ends."""
        assert self._channel is not None
        reports = asyncio.create_task(self._report_regularly(self._channel))
        try:
            while (view := await self._channel.receive()) is not None:
                self._take(view)
            _log.warning("the first process is gone: this one ends, too")
            self._process.stop()
            await reports
        finally:
            reports.cancel()

    async def drain(self) -> None:
        """Nothing is left to do: no other process depends on this one."""

    async def close(self) -> None:
        """Close all versions."""
        await self._versions.close()

    async def leave(self) -> None:
        """Report for the last time; once the channel is closed this process has to end soon."""
        if self._channel is not None:
            self._channel.send(self._report())
            await self._channel.close()

    def _take(self, view: ServerView) -> None:
        self._view = view
        self._versions.follow(view.endpoints)
        self._process.share_rates(view.processes)
        self._process.close_connections(view.close_connections)
        if view.drain:
            self._process.stop()

    async def _report_regularly(self, channel: WorkerChannel[ServerView]) -> None:
        while True:
            channel.send(self._report())
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), REPORT_EVERY_S)
            self._wake.clear()

    def _report(self) -> WorkerReport:
        services = self._endpoints.values()
        seen = {each.name: each.take_observed() for each in services}
        return WorkerReport(
            load=self._process.read_load(),
            snapshot=self._process.own_snapshot(),
            observed={name: found for name, found in seen.items() if found is not None},
            live={each.name: each.live.id for each in services if each.live is not None},
            held={each.name: tuple(one.id for one in each.versions) for each in services},
            faults=tuple(self._process.own_faults()),
        )
