"""One run at a time: who holds the lease, who may take it, and what a late one can't do any more."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from tests.support.damage import flip
from tests.support.tides import STAGES, Before, Tides, day, everything, rebuilt
from tests.support.waiting import PATIENCE_S, until
from tidemill.core.errors import ConflictError, StorageError
from tidemill.ledger.event import RunEnded
from tidemill.ledger.io import lease_holder as holder
from tidemill.ledger.io.lease_holder import (
    active_run_message,
    describe_holder,
    is_dead,
    this_process,
)
from tidemill.ledger.run import Status
from tidemill.planning.plan import Plan
from tidemill.ports.ledger import Lease
from tidemill.ports.runtime import Runtime
from tidemill.project.project import Project
from tidemill.runs.io import claims
from tidemill.runs.io import lease as lease_module
from tidemill.runs.io.lease import Heartbeat, take_lease


@pytest.fixture
def tides(tmp_path: Path) -> Tides:
    tides = Tides(tmp_path / "project")
    for number in range(3):
        tides.send(number)
    return tides


def held(tools: Runtime, by: Mapping[str, str], ttl: float = 3600.0) -> Lease:
    """A lease that somebody else has taken."""
    return tools.ledger.acquire(
        "run:prod", by, now=tools.clock(), ttl=ttl, dead=lambda holder: False
    )


@pytest.mark.parametrize(
    "act",
    [
        lambda project: project.environments.drop(["dev"]),
        lambda project: project.environments.forget(["raw"]),
        lambda project: project.stored_state.verify(repair=True),
    ],
)
def test_a_command_without_an_option_to_wait_advises_none(
    tides: Tides, act: Callable[[Project], object]
) -> None:
    tides.run()
    tides.edit("@flow.ingest\ndef raw", "@flow.ingest\ndef raw2")
    tides.edit("raw: tm.Frame", "raw2: tm.Frame")
    tides.edit("return raw.", "return raw2.")
    flip(next((tides.root / ".tidemill" / "objects").rglob("*.parquet")), 60)
    with closing(tides.open()) as project:
        project.environments.create("dev")
        for name in ("run:prod", "run:dev"):
            by = this_process("tidemill run features")
            project.tools.ledger.acquire(
                name, by, now=project.tools.clock(), ttl=60.0, dead=lambda _: False
            )
        with pytest.raises(ConflictError, match=r"^another run is active in \w+: pid ") as caught:
            act(project)
        assert str(caught.value).endswith("; try again when it has ended")


def test_a_second_run_is_told_who_holds_the_environment(tides: Tides) -> None:
    project = tides.open()
    lease = held(project.tools, this_process("tidemill run features"))
    with pytest.raises(ConflictError, match=f"pid {os.getpid()}.*tidemill run features") as caught:
        tides.run()
    assert caught.value.exit_code == 6
    assert str(caught.value).endswith("; use --wait 5m to run after it (in Python: wait_s=300)")
    # Other environments, and readers, don't care.
    assert tides.open().plan().steps
    project.tools.ledger.release(lease)
    assert tides.ok() == everything([0, 1, 2])


def test_a_second_run_may_wait(tides: Tides) -> None:
    project = tides.open()
    lease = held(project.tools, this_process("tidemill run"))
    timer = threading.Timer(0.3, project.tools.ledger.release, [lease])
    timer.start()
    assert tides.ok(wait_s=PATIENCE_S) == everything([0, 1, 2])
    timer.join()


def test_waiting_ends(tides: Tides) -> None:
    held(tides.open().tools, this_process("tidemill run"))
    with pytest.raises(ConflictError):
        tides.run(wait_s=0.2)


def test_the_lease_of_a_process_that_died_is_taken_at_once(tides: Tides) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    by = {**this_process("tidemill run"), "pid": str(child.pid)}
    by["started"] = holder._start_time(child.pid)
    held(tides.open().tools, by)
    with pytest.raises(ConflictError):
        tides.run()
    child.kill()
    # Not waited for yet, it is a zombie: its number is taken, but it has ended.
    until(lambda: is_dead(by))
    assert child.wait() != 0
    assert is_dead(by)
    assert tides.ok() == everything([0, 1, 2])


def test_another_host_is_believed_until_its_lease_ends(tides: Tides) -> None:
    now = time.time()
    tides.use(clock=lambda: now)
    held(tides.open().tools, {**this_process("tidemill run"), "host": "elsewhere"})
    with pytest.raises(ConflictError, match=" on elsewhere, `tidemill run`, started "):
        tides.run()
    now += 3601
    assert tides.ok() == everything([0, 1, 2])


def test_who_is_dead() -> None:
    me = this_process("tidemill run")
    assert not is_dead(me)
    assert is_dead({**me, "started": "long ago"})
    assert is_dead({**me, "pid": "4194304"})
    assert not is_dead({**me, "host": "elsewhere", "pid": "4194304"})
    assert describe_holder(me) == f"`tidemill run` (process {os.getpid()} on {me['host']})"
    assert describe_holder({}) == "`?` (process ? on ?)"


def test_an_active_run_is_described_in_plain_words() -> None:
    me = this_process("tidemill run")
    now = datetime.fromtimestamp(float(me["since"])).astimezone()
    assert active_run_message("prod", me) == (
        f"another run is active in prod: pid {os.getpid()}, `tidemill run`, started {now:%H:%M}"
    )
    noon = str(datetime(2024, 2, 29, 12).timestamp())
    assert active_run_message("dev", {"host": "tern", "pid": "7", "since": noon}) == (
        "another run is active in dev: pid 7 on tern, started 2024-02-29 12:00"
    )


def test_a_process_of_somebody_else_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(pid: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", forbidden)
    assert not is_dead(this_process("tidemill run"))


def test_without_proc_the_start_is_told_by_ps(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def ps(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert command[-1] == "77"
        return subprocess.CompletedProcess(command, 0, stdout="Tue Nov 24 10:00:00 2026\n")

    monkeypatch.setattr(holder, "_PROC", tmp_path / "none")
    monkeypatch.setattr(subprocess, "run", ps)
    assert holder._start_time(77) == "Tue Nov 24 10:00:00 2026"


def test_a_laptop_that_slept_cannot_publish_over_its_successor(
    tides: Tides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    # The sleeper keeps its claim, for longer than a test may take.
    monkeypatch.setattr(claims, "GIVEN_UP_S", 0.0)
    tides.edit("return raw.select(", "hook()\n    return raw.select(")
    tides.edit("@flow.transform\ndef doubled", '@flow.transform(version="1")\ndef doubled')
    tides.edit("def times(", "hook = print\n\n\ndef times(")
    tides.use(clock=lambda: now)
    project = tides.open()
    successor: list[Status] = []

    def sleep() -> None:
        # Nobody renews while the lid is closed; somebody else takes over and finishes.
        nonlocal now
        if not successor and tides.open().state().open_runs:
            now += 1000
            successor.append(Status.RUNNING)
            receipt = tides.run()
            successor.append(receipt.status)
            assert "died; what it published is kept" in receipt.messages[0]

    from sys import modules

    vars(modules["tides"])["hook"] = sleep
    with pytest.raises(ConflictError, match="no longer ours"):
        project.run()
    assert successor == [Status.RUNNING, Status.OK]
    ends = [event for event in tides.events("RunEnded") if isinstance(event, RunEnded)]
    assert sorted(end.status for end in ends) == [Status.LOST, Status.OK]
    assert tides.ok() == {}
    assert tides.contents() == rebuilt(tides, tmp_path / "fresh")


def test_a_plan_on_heads_that_moved_is_refused(
    tides: Tides, monkeypatch: pytest.MonkeyPatch
) -> None:
    tides.ok()
    tides.send(3)
    project = tides.open()
    planned = project.plans.make_on

    def stale(*args: object) -> Plan:
        return replace(planned(*args), heads={"raw": 1})  # type: ignore[arg-type]

    monkeypatch.setattr(project.plans, "make_on", stale)
    with pytest.raises(ConflictError, match=r"daily, doubled.* moved since the plan was made"):
        project.run()
    assert tides.ok() == everything([3])


class Renewals:
    """A ledger whose renewals do what they are told."""

    def __init__(self, tools: Runtime, do: Callable[[int], None]) -> None:
        self.ledger = tools.ledger
        self.do = do
        self.count = 0
        self.enough = threading.Event()

    def __getattr__(self, name: str) -> object:
        return getattr(self.ledger, name)

    def renew(self, lease: Lease, *, now: float, ttl: float) -> Lease:
        self.count += 1
        if self.count == 3:
            self.enough.set()
        self.do(self.count)
        return self.ledger.renew(lease, now=now, ttl=ttl)


def test_a_heartbeat_outlives_a_disk_that_is_full_for_a_while(
    tides: Tides, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(count: int) -> None:
        if count == 1:
            raise StorageError("no space left")

    monkeypatch.setattr(lease_module, "LEASE_SECONDS", 0.06)
    tools = tides.open().tools
    renewals = Renewals(tools, full)
    beat = take_lease(replace(tools, ledger=renewals), "prod", this_process("tidemill run"), 0)  # type: ignore[arg-type]
    assert renewals.enough.wait(PATIENCE_S)
    beat.close()


def test_a_heartbeat_stops_when_the_lease_is_lost(
    tides: Tides, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "LEASE_SECONDS", 0.06)
    tools = tides.open().tools
    mine = held(tools, this_process("tidemill run"))
    tools.ledger.release(mine)
    other = held(tools, this_process("tidemill run"))
    beat = Heartbeat(tools, mine)
    beat._thread.join(PATIENCE_S)
    assert not beat._thread.is_alive()
    beat.close()
    # The one that has it keeps it.
    tools.ledger.renew(other, now=tools.clock(), ttl=30)


def test_an_interrupted_run_is_closed_and_goes_on(tides: Tides) -> None:
    def progress(done: int, step: object) -> None:
        if done >= 4:
            raise KeyboardInterrupt

    receipt = tides.run(progress=Before(progress))
    assert (receipt.status, receipt.exit_code) == (Status.INTERRUPTED, 130)
    [info] = tides.open().runs()
    assert info.status == Status.INTERRUPTED
    first = tides.ran(receipt)
    # A stage's days are made at once.
    assert sum(map(len, first.values())) == 6
    rest = tides.ok()
    both = {name: first.get(name, []) + rest.get(name, []) for name in everything([])}
    assert both == everything([0, 1, 2])


def test_runs_are_listed_newest_first(tides: Tides) -> None:
    tides.run(command="tidemill run one")
    tides.run(command="tidemill run two")
    project = tides.open()
    runs = project.runs()
    assert [run.command for run in runs] == ["tidemill run two", "tidemill run one"]
    assert all(run.ended and run.ended >= run.started for run in runs)
    assert runs[1].receipt is not None
    assert [s.stage for s in runs[1].receipt.stages] == list(STAGES)
    assert [run.command for run in project.runs(limit=1)] == ["tidemill run two"]
    assert day(0) in tides.published()["raw"]
