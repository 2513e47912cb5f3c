"""The first process of a server: it decides what endpoints do, records it, and adds all processes up."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from tidemill.ports.ledger import State
from tidemill.serving.counters import Snapshot, merge
from tidemill.serving.endpoint_record import EndpointRecord
from tidemill.serving.endpoint_state import EndpointCourse
from tidemill.serving.io.background import cancel, spawn
from tidemill.serving.io.endpoint_service import EndpointService
from tidemill.serving.io.live_versions import LiveVersions
from tidemill.serving.io.rollout_judge import RolloutJudge, RolloutRecords, Takeover
from tidemill.serving.io.serving_pool import ServingPool, ServingPoolLimits, StartWorker
from tidemill.serving.io.serving_role import ServingProcess
from tidemill.serving.io.shared_evidence import EvidenceMail, SharedEvidence
from tidemill.serving.io.version_source import VersionSource
from tidemill.serving.process_table import ProcessTable
from tidemill.serving.rollout_counts import Observed
from tidemill.serving.serve_settings import ServeSettings
from tidemill.serving.worker_messages import EndpointView, ServerView, StepObserved
from tidemill.serving.worker_scaling import ProcessLoad

# Seconds that a draining process needs beside those for requests in flight.
_DRAIN_S = 10.0
# What is said of the process that judges rollouts instead of this server.
_HOLDER = ("host", "pid")


class ServingLeader:
    """Follows the ledger, judges rollouts by what all processes counted, and has a pool of the others."""

    def __init__(
        self,
        process: ServingProcess,
        endpoints: Mapping[str, EndpointService],
        source: VersionSource,
        records: RolloutRecords,
        mail: EvidenceMail,
    ) -> None:
        self._process = process
        self._endpoints = endpoints
        self._table = ProcessTable()
        self._records = records
        self._evidence = SharedEvidence(mail)
        self._judge = RolloutJudge(endpoints, records, self._judge_or_follow, self)
        self._versions = LiveVersions(endpoints.values(), source, self._judge.record, self._prepare)
        self._pool: ServingPool | None = None
        # The state of the ledger with which this server began to judge.
        self._least_seq = 0

    def use_workers(self, settings: ServeSettings, start: StartWorker) -> None:
        """Start further processes when they are needed."""
        limits = ServingPoolLimits(
            most=settings.workers,
            release_s=settings.release,
            drain_s=settings.drain_delay + settings.drain + _DRAIN_S,
        )
        self._pool = ServingPool(limits, start, self, self._table)
        for endpoint in self._endpoints.values():
            endpoint.on_change = self._pool.broadcast

    @property
    def faults(self) -> Sequence[str]:
        """What is wrong with the records and the other processes, "" for what isn't."""
        others = [
            f"process {process}: {fault}"
            for process, report in self._table.reports.items()
            for fault in report.faults
        ]
        return self._judge.fault, "" if self._pool is None else self._pool.fault, *others

    @property
    def judges(self) -> bool:
        """Whether this process judges the rollouts of the environment."""
        return self._judge.is_judging

    def snapshot(self) -> Snapshot:
        """The counters of all processes."""
        return merge((self._process.own_snapshot(), self._table.others()))

    def status(self) -> bytes:
        """The status document of all processes, as JSON."""
        own = _process_status(
            os.getpid(),
            self._process.read_load(),
            self._process.own_snapshot(),
            {name: each.live.id for name, each in self._endpoints.items() if each.live is not None},
        )
        others = [
            _process_status(process, report.load, report.snapshot, report.live)
            for process, report in self._table.reports.items()
        ]
        judge = self._judge
        return json.dumps(
            {
                **self._process.own_status(),
                "judges": self.judges,
                "judge": {name: judge.holder[name] for name in _HOLDER if name in judge.holder},
                "processes": [own, *others],
            }
        ).encode()

    async def start(self, state: State, listener: socket.socket) -> None:
        """Load what is live, and let further processes serve the socket."""
        await self._judge.start()
        await self._versions.start(state, await asyncio.to_thread(self._records.read, state))
        if self._pool is not None:
            self._pool.open(listener)

    def follow(self, state: State, records: Mapping[str, EndpointRecord]) -> None:
        """Follow what is live, what is recorded, and people who hold or resume rollouts."""
        if state.seq < self._least_seq:
            # It was read before this server began to judge, or the ledger was restored from a backup.
            self._least_seq = 0
            self._process.look_again()
            return
        for endpoint in self._endpoints.values():
            if endpoint.is_judged and endpoint.name in records:
                endpoint.follow_people(records[endpoint.name])
        self._versions.follow(state, records)

    def observed(self, endpoint: str, since: float) -> Observed:
        """Take what others counted at an endpoint in the step that began at a time."""
        return self._table.observed(endpoint, since)

    async def exchange(self, endpoints: Sequence[EndpointService], *, judges: bool) -> None:
        """Receive what other servers counted if this one `judges`; else send what it counted."""
        if judges:
            received = await asyncio.to_thread(self._evidence.receive) if endpoints else {}
            for name, step in received.items():
                self._table.observe(name, step)
            return
        for each in endpoints:
            if (own := each.take_observed()) is not None:
                both = own.observed + self._table.observed(each.name, own.since)
                self._evidence.add(each.name, StepObserved(since=own.since, observed=both))
        await asyncio.to_thread(self._evidence.send)

    async def run(self) -> None:
        """Judge rollouts, and look how many processes are needed."""
        tasks = [spawn(self._judge.run)]
        if self._pool is not None:
            tasks.append(spawn(self._pool.run))
        try:
            await asyncio.gather(*tasks)
        finally:
            await cancel(tasks)

    async def drain(self) -> None:
        """Drain the other processes; return when they have ended."""
        if self._pool is not None:
            await self._pool.close()

    async def close(self) -> None:
        """Let another server judge, and close all versions."""
        await self._judge.close()
        await self._versions.close()

    async def leave(self) -> None:
        """Nothing is left to report: the other processes have ended."""

    def read_load(self) -> ProcessLoad:
        """How busy this process was since the last call."""
        return self._process.read_load()

    def close_connections(self, count: int) -> None:
        """Have so many callers of this process connect again."""
        self._process.close_connections(count)

    def share_rates(self, processes: int) -> None:
        """Allow callers this process' share of their rates."""
        self._process.share_rates(processes)

    def view_for(self, process: int) -> ServerView:
        """What another process is to know and do."""
        assert self._pool is not None
        return ServerView(
            processes=1 + self._pool.answering,
            endpoints={each.name: self._endpoint_view(each) for each in self._endpoints.values()},
            others=merge((self._process.own_snapshot(), self._table.others(process))),
            status=self.status(),
        )

    def _endpoint_view(self, endpoint: EndpointService) -> EndpointView:
        assert self._pool is not None
        course = EndpointCourse() if endpoint.live is None else endpoint.state.course
        return EndpointView(course=course, prepare=self._pool.preparing.get(endpoint.name, ()))

    def _judge_or_follow(self, taken: Takeover | None) -> None:
        """Judge what is taken over, or follow another server."""
        if taken is None:
            self._versions.give_up()
            return
        self._least_seq = taken.state.seq
        self._versions.take_over(taken.state, taken.endpoints)

    async def _prepare(self, endpoint: str, versions: Sequence[str]) -> bool:
        return self._pool is not None and await self._pool.prepare(endpoint, versions)


def _process_status(
    process: int, load: ProcessLoad, snapshot: Snapshot, live: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "process": process,
        "busy": round(load.busy, 3),
        "queued": load.queued,
        "connections": load.connections,
        "requests": snapshot.count_requests(),
        "memory_bytes": snapshot.memory_bytes,
        "versions": dict(live),
    }
