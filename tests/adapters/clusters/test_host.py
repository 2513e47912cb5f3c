"""A worker's methods, called as Ray calls them, without Ray."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from tidemill.adapters.clusters.host import Host, HostReport, LaneTerms, encode, report_decoder
from tidemill.ports.execution import Fate, TaskEvent
from tidemill.testing.suites.executor import PATIENCE_S, task


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a worker changes in its environment, which is its own elsewhere."""
    for name in ("CUDA_VISIBLE_DEVICES", "RAY_AUTH_TOKEN", "GREETING"):
        monkeypatch.setenv(name, "0")


def opened(**terms: object) -> Host:
    host = Host("RAY_AUTH_TOKEN")
    known: dict[str, object] = {
        "cpus": 1.0,
        "max_workers": 1,
        "idle_s": 0.2,
        "classes": {},
        **terms,
    }
    host.open(encode(LaneTerms(**known)), {"GREETING": "hello"})  # type: ignore[arg-type]
    return host


def reports(host: Host, tasks: int) -> list[HostReport]:
    """The reports until so many tasks have ended."""
    found: list[HostReport] = []
    end = time.monotonic() + PATIENCE_S
    while tasks and time.monotonic() < end:
        found.append(report_decoder.decode(host.poll(0.1)))
        tasks -= sum(event.fate is not Fate.STARTED for event in found[-1].events)
    assert not tasks
    return found


def ends(found: list[HostReport]) -> list[TaskEvent]:
    return [each for report in found for each in report.events if each.fate is not Fate.STARTED]


@pytest.mark.usefixtures("environment")
def test_tasks_come_and_reports_go_as_bytes() -> None:
    host = opened()
    tasks = [task(str(n), "environment", b"GREETING") for n in range(20)]
    host.run(encode(tasks))
    found = ends(reports(host, 20))
    assert [event.task for event in found] == [each.id for each in tasks]
    assert {event.result for event in found} == {b"hello"}


@pytest.mark.usefixtures("environment")
def test_the_code_of_tasks_has_no_token_of_the_cluster() -> None:
    host = opened()
    host.run(encode([task("1", "environment", b"RAY_AUTH_TOKEN")]))
    assert ends(reports(host, 1))[0].result == b""


@pytest.mark.usefixtures("environment")
def test_a_task_can_be_cancelled() -> None:
    host = opened()
    host.run(encode([task("1", "sleep", b"600")]))
    host.cancel("1")
    assert ends(reports(host, 1))[0].fate is Fate.CANCELLED


@pytest.mark.usefixtures("environment")
def test_commands_count_in_the_order_in_which_they_were_given() -> None:
    """A cancellation that overtakes its task would be ignored."""
    host = opened()
    host.command(1, "cancel", "1")
    host.command(2, "run", encode([task("2")]))
    host.command(0, "run", encode([task("1", "sleep", b"600")]))
    fates = {event.task: event.fate for event in ends(reports(host, 2))}
    assert fates == {"1": Fate.CANCELLED, "2": Fate.OK}


@pytest.mark.usefixtures("environment")
def test_a_metered_worker_tells_what_tasks_use_and_ends_those_that_are_over() -> None:
    host = opened(metered=True)
    host.run(encode([task("1", "spin", b"600")]))
    end = time.monotonic() + PATIENCE_S
    report = HostReport(events=[], usages={})
    while not report.usages and time.monotonic() < end:
        report = report_decoder.decode(host.poll(0.1))
    assert report.usages.keys() == {"1"}
    host.stop_over_budget(["1"])
    assert ends(reports(host, 1))[0].fate is Fate.BUDGET


@pytest.mark.usefixtures("environment")
def test_only_tasks_that_ask_for_devices_see_them() -> None:
    host = opened(gpus=1)
    host.run(encode([task("1", "devices", b"0"), task("2", "devices", b"0", gpus=1)]))
    assert [event.result for event in ends(reports(host, 2))] == [b"", b"0"]


def test_facts_tell_versions_and_what_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "note").write_text("here")
    facts = Host().describe([str(tmp_path / "note"), str(tmp_path / "none")])
    assert facts["markers"] == {str(tmp_path / "note"): "here", str(tmp_path / "none"): None}
    assert facts["versions"]["python"] == sys.version.split()[0]
    assert facts["process"] == os.getpid()
