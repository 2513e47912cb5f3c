"""The versions of a contract that partitions passed, from what was published."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.tides import Tides, day
from tidemill.history.io.runs import History, RecentRuns, list_contract_versions, list_runs
from tidemill.ledger.binding import contract_versions
from tidemill.ledger.event import EnvironmentCreated, LineageDropped, RunEnded
from tidemill.ledger.run import Receipt, Status
from tidemill.lineage.io.provenance import explain
from tidemill.testing.doubles import MemoryLedger
from tidemill.testing.records import attempted_event, run_started_event


@pytest.fixture
def tides(tmp_path: Path) -> Tides:
    """Three days under one version, of which one comes again under the next, and a new one."""
    tides = Tides(tmp_path)
    for number in range(3):
        tides.send(number)
    tides.ok()
    tides.edit("class Raw(tm.Contract,", 'class Raw(tm.Contract, version="1.1.0",')
    tides.send(1, (5.0,))
    tides.send(3)
    tides.ok()
    return tides


def test_versions_in_the_order_in_which_they_came(tides: Tides) -> None:
    project = tides.open()
    ledger, state = project.tools.ledger, project.state()
    old, new = list_contract_versions(ledger, state, "raw")
    assert (old.version, old.published, old.held) == ("1.0.0", 3, 2)
    assert (old.first.partition, old.last.partition) == (day(0), day(2))
    assert (new.version, new.published, new.held) == ("1.1.0", 2, 2)
    assert (new.first.partition, new.last.partition) == (day(1), day(3))
    assert old.first.run == old.last.run != new.first.run
    assert old.first.at <= old.last.at <= new.first.at
    # Other stages, other environments; a branch goes on with what its parent had.
    assert [v.version for v in list_contract_versions(ledger, state, "daily")] == ["1.0.0"]
    assert list_contract_versions(ledger, ledger.state("trial"), "raw") == []
    ledger.append([EnvironmentCreated(environment="trial", parent="prod")], now=1.0)
    assert list_contract_versions(ledger, ledger.state("trial"), "raw") == [old, new]


def test_each_partition_knows_its_version(tides: Tides) -> None:
    project = tides.open()
    now = project.state().heads["raw"].partitions
    assert contract_versions(now.values()) == "1.0.0 (2), 1.1.0 (2)"
    assert (contract_versions([now[day(0)]]), contract_versions([])) == ("1.0.0", "")
    facts, raw = project.workspace.facts(), project.stage("raw")
    assert explain(facts, raw).contract == "Raw 1.0.0 (2), 1.1.0 (2)"
    # What it passed, not what is declared today.
    assert explain(facts, raw, day(0)).contract == "Raw 1.0.0"
    assert explain(facts, raw, day(1)).contract == "Raw 1.1.0"


def test_the_last_attempts_at_a_stage(tmp_path: Path) -> None:
    tides = Tides(tmp_path / "project")
    tides.send(0)
    tides.run()
    tides.send(1)
    tides.run()
    with tides.open() as project:
        found = project.history.last_attempts("raw", "prod", 10)
        runs = [info.id for info in project.history.runs()]
        assert [run for _, run, _ in found] == runs
        assert [attempt.partition for _, _, attempt in found] == [day(1), day(0)]
        assert len(project.history.last_attempts("raw", "prod", 1)) == 1
        assert project.history.last_attempts("raw", "dev", 10) == []


def test_recent_runs_are_those_of_the_ledger() -> None:
    ledger = MemoryLedger()
    recent = RecentRuns(ledger, 2)
    assert recent.read() == []
    for number, name in enumerate(("a", "b", "c")):
        ledger.append([run_started_event(name)], now=float(number))
        assert recent.read() == list_runs(ledger, 2)
        receipt = Receipt(run=name, status=Status.OK)
        ledger.append([RunEnded(run=name, status=Status.OK, receipt=receipt)], now=number + 0.5)
        assert recent.read() == list_runs(ledger, 2)
        assert RecentRuns(ledger, 2).read() == list_runs(ledger, 2)


def test_notes_are_what_was_recorded_after_the_end(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    history = History(ledger, tmp_path)
    lost = LineageDropped(run="r1", environment="prod", events=2, total=12, reason="refused")
    ledger.append([run_started_event("r1"), attempted_event(run="r1")], now=0.0)
    assert history.notes("r1") == []
    ended = RunEnded(run="r1", status=Status.OK)
    ledger.append([ended, replace(lost, run="r2"), lost], now=1.0)
    assert history.notes("r1") == [lost.message]
