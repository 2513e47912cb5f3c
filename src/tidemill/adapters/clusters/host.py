"""A worker on a node of a cluster: a process lane behind methods that are called from afar.

Nothing here imports Ray. Tasks run in processes of the lane, exactly as on the caller's own machine: how
they are killed, timed and metered is the lane's. A cluster only places this process.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Collection, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec

from tidemill.adapters.clusters.shipment import unpack
from tidemill.adapters.lanes.process_lane import ProcessLane
from tidemill.adapters.lanes.worker_process import DEVICES_VARIABLE
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ports.execution import Task, TaskEvent, TaskUsage, WorkerClass

_PACKAGES = ("tidemill", "polars")
_BOOT = Path("/proc/sys/kernel/random/boot_id")
# How long a report is held back after the first event, so that many small tasks share one.
_GATHER_S = 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneTerms:
    """The limits of the lane of a worker; `output` is the folder for what its processes print."""

    cpus: float
    max_workers: int
    idle_s: float
    gpus: int = 0
    memory: int = 0
    classes: dict[str, WorkerClass]
    output: str = ""
    metered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HostReport:
    """The events since the last report; with a meter, what tasks use and the CPU seconds of processes."""

    events: list[TaskEvent]
    usages: dict[str, TaskUsage]
    cpu_s: float = 0.0


encode = msgspec.msgpack.Encoder().encode
_terms_decoder = msgspec.msgpack.Decoder(LaneTerms)
_tasks_decoder = msgspec.msgpack.Decoder(list[Task])
report_decoder = msgspec.msgpack.Decoder(HostReport)


def machine_id() -> str:
    """What identifies this machine since it was started; "" if unknown."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""


def versions() -> dict[str, str]:
    """The versions on which results depend; "" for a package that is missing."""
    found = {"python": sys.version.split()[0]}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
    return found


class Host:
    """The worker: first it is asked for its facts, then it gets what it lacks, opens and runs tasks."""

    def __init__(self, token_variable: str = "") -> None:
        # The code of a stage doesn't command the cluster.
        os.environ.pop(token_variable, None)
        self._lane: ProcessLane | None = None
        self._meter: _UsageRecorder | None = None
        # Commands that came before those with lower numbers.
        self._lock = threading.Lock()
        self._early: dict[int, tuple[str, Any]] = {}
        self._next = 0

    def describe(self, markers: Collection[str]) -> dict[str, Any]:
        """Facts of this process and its node; `markers` are files whose content shows what it can read."""
        return {
            "versions": versions(),
            "machine": machine_id(),
            "address": socket.gethostname(),
            "process": os.getpid(),
            "markers": {name: _content(name) for name in markers},
        }

    def unpack(self, digest: str, data: bytes | None) -> str:
        """Unpack an archive unless this node has it; its folder, or "" if `data` is needed."""
        return unpack(digest, data)

    def open(self, terms: bytes, environment: Mapping[str, str]) -> None:
        """Open the lane; its processes get some more environment variables."""
        held = _terms_decoder.decode(terms)
        os.environ.update(environment)
        self._meter = _UsageRecorder() if held.metered else None
        self._lane = ProcessLane(
            max_workers=held.max_workers,
            cpus=held.cpus,
            idle_s=held.idle_s,
            gpus=held.gpus,
            memory=held.memory,
            classes=held.classes,
            output=Path(held.output) if held.output else None,
            meter=self._meter,
        )
        if held.gpus:
            # The lane knows the devices; a task that asks for none sees none.
            os.environ[DEVICES_VARIABLE] = ""

    def command(self, number: int, method: str, argument: Any) -> None:
        """Call a method in the order of the numbers, in which calls may not arrive."""
        with self._lock:
            self._early[number] = method, argument
            while self._next in self._early:
                method, argument = self._early.pop(self._next)
                self._next += 1
                getattr(self, method)(argument)

    def run(self, tasks: bytes) -> None:
        """Submit tasks."""
        assert self._lane is not None
        for task in _tasks_decoder.decode(tasks):
            self._lane.submit(task)

    def cancel(self, task: str) -> None:
        """Cancel a task."""
        assert self._lane is not None
        self._lane.cancel(task)

    def stop_over_budget(self, tasks: Collection[str]) -> None:
        """End tasks, because they would exceed a budget."""
        assert self._meter is not None
        self._meter.over.update(tasks)

    def poll(self, timeout_s: float) -> bytes:
        """The next report; it waits up to `timeout_s` seconds for an event."""
        assert self._lane is not None
        events = [*self._lane.events(timeout_s)]
        if events:
            time.sleep(_GATHER_S)
            events += self._lane.events(0.0)
        if self._meter is None:
            return encode(HostReport(events=events, usages={}))
        return encode(HostReport(events=events, usages=self._meter.usages, cpu_s=self._meter.cpu_s))


class _UsageRecorder:
    """Keeps what tasks use until it is reported; ends those that the caller finds `over`."""

    def __init__(self) -> None:
        self.usages: dict[str, TaskUsage] = {}
        self.cpu_s = 0.0
        self.over: set[str] = set()

    def find_over(self, tasks: Mapping[str, TaskUsage], workers_cpu_s: float) -> Collection[str]:
        self.usages, self.cpu_s = dict(tasks), workers_cpu_s
        return self.over & tasks.keys()


def _content(name: str) -> str | None:
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
