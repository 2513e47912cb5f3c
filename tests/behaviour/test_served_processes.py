"""Several processes serve one address: they come and go without losing a request, and act as one."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import tidemill as tm
from tests.support.serving import (
    ROW,
    Served,
    sales_flow,
    sales_project,
    served,
    server_process,
    shared_project,
)
from tests.support.waiting import until
from tidemill.core.errors import UsageError
from tidemill.ledger.event import RolloutStepped
from tidemill.ledger.event import Served as ServedEvent
from tidemill.project.project import Project
from tidemill.serving import worker_scaling
from tidemill.serving.serve_settings import ServeSettings

LOG = "out/predictions/demand/*/*.parquet"
BODY = json.dumps([ROW]).encode()
# The replies to requests beside those of `Callers`.
SINGLE: list[int] = []


class Callers:
    """Threads that ask on connections which they keep, until they are stopped; what they got."""

    def __init__(self, port: int, count: int = 3) -> None:
        self.answers: Counter[tuple[int, str]] = Counter()
        self.lost: list[Exception] = []
        self._port = port
        self._stop = threading.Event()
        self.threads = [threading.Thread(target=self._ask) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def _ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        while not self._stop.is_set():
            try:
                connection.request(
                    "POST", "/predict/demand", BODY, {"Content-Type": "application/json"}
                )
                reply = connection.getresponse()
                self.answers[reply.status, json.loads(reply.read()).get("version", "")] += 1
            except (OSError, http.client.HTTPException) as error:
                self.lost.append(error)
                connection.close()
            # The server's own threads have to get the interpreter, too.
            self._stop.wait(0.005)
        connection.close()

    def stop(self) -> None:
        self._stop.set()
        for thread in self.threads:
            thread.join()


@contextmanager
def asking(server: Served) -> Iterator[Callers]:
    callers = Callers(server.port)
    try:
        yield callers
    finally:
        callers.stop()


def processes(server: Served) -> dict[int, dict[str, Any]]:
    """The processes that answer, by id, as the status document has them."""
    return {each["process"]: each for each in server.ask("/status").json["processes"]}


def worker_of(server: Served, first: int = os.getpid()) -> int:
    """Wait for a second process; its id."""
    found: set[int] = set()

    def is_found() -> bool:
        found.update(processes(server).keys() - {first})
        return bool(found)

    until(is_found)
    return found.pop()


def versions(server: Served) -> set[str]:
    """The versions that any process answers with."""
    return {each["versions"]["demand"] for each in processes(server).values()}


def both_answer(server: Served) -> bool:
    """Whether both processes have answered predictions; each call asks on a connection of its own."""
    SINGLE.append(server.predict([ROW]).status)
    return all(each["requests"] for each in processes(server).values())


def counted(server: Served, what: str = "requests") -> int:
    text = server.ask("/metrics").body.decode()
    lines = re.findall(rf"^tidemill_{what}_total\{{.*\}} (\d+)$", text, re.M)
    return sum(map(int, lines))


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def always_full(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Every process counts as full, and as needed, however quick the machine is."""
    SINGLE.clear()
    monkeypatch.setattr(worker_scaling, "BUSY", 0.0)
    monkeypatch.setattr(worker_scaling, "ROOM", -1.0)
    return monkeypatch


def test_processes_are_added_and_released_without_losing_or_miscounting_a_request(
    tmp_path: Path, always_full: pytest.MonkeyPatch
) -> None:
    project = shared_project(tmp_path)
    with served(project, workers=2, release=0.1) as server:
        with asking(server) as callers:
            worker = worker_of(server)
            until(lambda: both_answer(server))
            assert server.ask("/v2/health/ready").status == 200
        asked = callers.answers.total() + len(SINGLE)
        # Whichever process is asked, it answers for both.
        until(lambda: {counted(server) for _ in range(6)} == {asked})
        # What is known of another process may be a second old.
        until(lambda: sum(each["requests"] for each in processes(server).values()) == asked)

        with asking(server) as others:
            until(lambda: others.answers.total() > 20)
            always_full.setattr(worker_scaling, "BUSY", 100.0)
            always_full.setattr(worker_scaling, "ROOM", 100.0)
            until(lambda: list(processes(server)) == [os.getpid()])
            until(lambda: not is_alive(worker))
            # It wrote its log before it reported for the last time.
            written = pl.read_parquet(tmp_path / LOG).height
            until(lambda: counted(server, "logged_rows") == written > 0)
            before = others.answers.total()
            until(lambda: others.answers.total() > before + 20)
        asked += others.answers.total()
        assert counted(server) == asked
    assert callers.lost == others.lost == []
    assert {status for status, _ in callers.answers + others.answers} == {200}
    recorded = [fact.event for fact in project.tools.ledger.events(kinds=(ServedEvent.__name__,))]
    usages = [each for event in recorded if isinstance(event, ServedEvent) for each in event.usages]
    assert sum(each.requests for each in usages) == asked
    log = pl.read_parquet(tmp_path / LOG)
    assert log.height == asked
    # Each process numbers its own.
    assert log["log_id"].n_unique() == asked
    assert log["log_id"].str.split("-").list.first().n_unique() == 2


def test_a_rollout_takes_each_step_once_and_in_all_processes(
    tmp_path: Path, always_full: pytest.MonkeyPatch
) -> None:
    plan = tm.rollout(shadow=0.2, canary=[0.3], shift=1e5, slower=1e5, step=0.2, detect=0.9)
    project = shared_project(tmp_path, rollout=plan)
    first = live(project)
    with served(project, workers=2) as server, asking(server) as callers:
        worker = worker_of(server)
        until(lambda: both_answer(server))
        second = live(sales_project(tmp_path, rounds=6, rollout=plan))
        until(lambda: versions(server) == {second})
        project.models.moves.rollback("demand")
        until(lambda: versions(server) == {first})
        assert processes(server).keys() == {os.getpid(), worker}
        assert callers.lost == []
        assert callers.answers.keys() == {(200, first), (200, second)}

        os.kill(worker, signal.SIGKILL)
        until(lambda: worker not in processes(server))
        assert worker_of(server) != worker
        # A connection has one request in flight.
        assert len(callers.lost) <= len(callers.threads)
        assert versions(server) == {first}
    facts = project.tools.ledger.events(kinds=(RolloutStepped.__name__,))
    steps = [fact.event.step for fact in facts if isinstance(fact.event, RolloutStepped)]
    assert [(step.action, step.phase, step.share) for step in steps] == [
        ("completed", "full", 1.0),
        ("started", "shadow", 0.0),
        ("promoted", "canary", 0.3),
        ("completed", "canary", 1.0),
        ("completed", "full", 1.0),
    ]


def live(project: Project) -> str:
    return project.state().live["demand"].artifact.id


def test_a_process_ends_when_the_first_one_is_killed(tmp_path: Path) -> None:
    project = shared_project(tmp_path)
    busy = "from tidemill.serving import worker_scaling; worker_scaling.BUSY = 0.0"
    with server_process(project, "--workers", "2", first=busy) as (server, parent):
        worker = worker_of(server, parent.pid)
    until(lambda: not is_alive(worker))


def test_a_workflow_that_no_other_process_can_import_is_refused(tmp_path: Path) -> None:
    project = tm.open(tmp_path, workflow=sales_flow(tmp_path / "sales"))
    with pytest.raises(UsageError, match=r"2 processes .* module:name"):
        project.serving.serve(replace(ServeSettings(port=0), workers=2))
