"""Replicas: servers on several machines, here in folders, that share a home; callers check their answers."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.support.serving import Served, sales_flow, served_at, write_sales
from tests.support.waiting import until
from tidemill.project.project import Project
from tidemill.project.settings import find_settings
from tidemill.workflow.endpoint import Rollout

_MODULE = """
from pathlib import Path
from tests.support.serving import sales_flow
from tidemill.workflow.endpoint import Rollout
flow = sales_flow(Path("sales"), rollout={rollout!r}, log=1.0)
"""
# What callers ask: as many rows as differ, so that an answer tells which version gave it.
_ROWS = [
    {"kind": kind, "price": number / 4, "rain": None}
    for number in range(20)
    for kind in ("rye", "wheat")
]


class Checkout:
    """A checkout of the project, whose home others share."""

    def __init__(self, folder: Path, url: str, store: str, rollout: Rollout | None = None) -> None:
        self.folder, self.rollout = folder, rollout
        write_sales(folder / "sales")
        (folder / "replicated.py").write_text(_MODULE.format(rollout=rollout))
        (folder / "pyproject.toml").write_text(
            f'[tool.tidemill]\nworkflow = "replicated:flow"\nhome = "{url}"\nartifacts = "{store}"\n'
        )

    def open(self, rounds: int = 5, scale: float = 1.0) -> Project:
        """The project; other `rounds` make other versions, and a `scale` makes them wrong."""
        settings = replace(find_settings(self.folder), workflow="replicated")
        flow = sales_flow(Path("sales"), rounds, scale=scale, rollout=self.rollout, log=1.0)
        return Project(settings, flow, "prod")

    def deliver(self, rounds: int = 5, scale: float = 1.0) -> str:
        """Train a version, which goes live; return its id."""
        with self.open(rounds, scale) as project:
            train = ["demand"] if project.state().live else []
            assert project.run(inline=True, train=train).exit_code == 0
            return project.state().live["demand"].artifact.id


class Replica(Checkout):
    """A server in a process of its own, at a port that it has for good."""

    process: subprocess.Popen[bytes]

    def __init__(
        self,
        folder: Path,
        url: str,
        store: str,
        rollout: Rollout | None = None,
        options: Sequence[str] = (),
    ) -> None:
        super().__init__(folder, url, store, rollout)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self.server: Served = served_at(f"http://127.0.0.1:{self.port}")
        self.log = folder.with_suffix(".log")
        self._options = options

    def start(self) -> None:
        """Start it, without waiting."""
        # What the tests import is found from any folder.
        path = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
        command = [sys.executable, "-m", "tidemill", "serve", "--port", str(self.port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *self._options],
                cwd=self.folder,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
            )

    def wait_until_ready(self) -> None:
        """Wait until it answers."""
        until(lambda: self.is_ready() or self._must_live())

    def is_ready(self) -> bool:
        """Whether a proxy may send it requests."""
        try:
            return self.server.ask("/v2/health/ready").status == 200
        except OSError:
            return False

    def _must_live(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return False

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send it a signal, and wait until it has ended."""
        self.process.send_signal(number)
        return self.process.wait(120)

    @property
    def status(self) -> dict[str, Any]:
        """Its status."""
        found: dict[str, Any] = self.server.ask("/status").json
        return found

    @property
    def version(self) -> str:
        """The version that answers."""
        return str(self.status["endpoints"][0]["version"])


@contextmanager
def running(replicas: Sequence[Replica]) -> Iterator[Sequence[Replica]]:
    """Start replicas, and end them after the block."""
    try:
        for each in replicas:
            each.start()
        for each in replicas:
            each.wait_until_ready()
        yield replicas
    finally:
        for each in replicas:
            if each.process.poll() is None:
                each.process.terminate()
        for each in replicas:
            each.process.wait(120)


class CheckingCallers:
    """Threads that ask a proxy for predictions, each `rate` times a second, and check each answer.

    `lost` are requests without an answer of 200; `wrong` are those that their version doesn't answer so.
    """

    def __init__(self, port: int, threads: int = 4, rate: float = 25.0) -> None:
        self.answers: Counter[str] = Counter()
        self.lost: list[str] = []
        self._port, self._pause_s = port, 1 / rate
        self._found: dict[tuple[str, int], set[float]] = {}
        self._keys: dict[str, set[str]] = {}
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End after what is under way."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wrong(self, predictions: Mapping[str, Sequence[float]]) -> list[tuple[str, int]]:
        """The answers that differ from the predictions of their version for each row."""
        return [
            (version, row)
            for (version, row), found in self._found.items()
            if found != {predictions[version][row]}
        ]

    @property
    def versions_by_key(self) -> Mapping[str, set[str]]:
        """The versions that answered requests with each key."""
        return self._keys

    def _run(self, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        asked = number
        while not self._stop.wait(self._pause_s):
            asked += 1
            row, key = asked % len(_ROWS), f"caller-{asked % 100}"
            try:
                self._ask(connection, row, key)
            except (OSError, http.client.HTTPException, ValueError) as error:
                connection.close()
                with self._lock:
                    self.lost.append(repr(error))
        connection.close()

    def _ask(self, connection: http.client.HTTPConnection, row: int, key: str) -> None:
        headers = {"Content-Type": "application/json", "Tidemill-Key": key}
        connection.request("POST", "/predict/demand", json.dumps([_ROWS[row]]), headers)
        reply = connection.getresponse()
        body = reply.read()
        if reply.status != 200:
            raise ValueError(f"{reply.status} {body!r}")
        found = json.loads(body)
        version, prediction = found["version"], found["predictions"][0]["prediction"]
        with self._lock:
            self.answers[version] += 1
            self._found.setdefault((version, row), set()).add(prediction)
            self._keys.setdefault(key, set()).add(version)


@contextmanager
def checking(port: int) -> Iterator[CheckingCallers]:
    """Callers that ask a proxy until the end of the block."""
    callers = CheckingCallers(port)
    try:
        yield callers
    finally:
        callers.stop()


def predictions_of(checkout: Checkout, versions: Sequence[str]) -> dict[str, list[float]]:
    """What each version predicts for the rows of callers, computed without a server."""
    with checkout.open() as project:
        payload = json.dumps(_ROWS).encode()
        replies = {
            version: json.loads(project.serving.predict("demand", payload, version=version))
            for version in versions
        }
    return {
        version: [each["prediction"] for each in reply["predictions"]]
        for version, reply in replies.items()
    }


def seconds_until(happened: Callable[[], object]) -> float:
    """How long it took until something has happened."""
    began = time.monotonic()
    until(happened)
    return time.monotonic() - began
