"""The counters of processes add up, and stay when a process ends; observations belong to one step."""

from __future__ import annotations

from tidemill.serving.counters import SeriesTotals, Snapshot
from tidemill.serving.process_table import ProcessTable
from tidemill.serving.rollout_counts import Arm, Observed
from tidemill.serving.worker_messages import StepObserved, WorkerReport
from tidemill.serving.worker_scaling import ProcessLoad


def snapshot(requests: int) -> Snapshot:
    series = SeriesTotals(endpoint="demand", version="v1", requests=requests, resident=1)
    return Snapshot(process_ns=requests, in_flight=1, memory_bytes=5, series=(series,))


def report(requests: int = 0, *, since: float = 0.0, seen: int = 0) -> WorkerReport:
    observed = StepObserved(since=since, observed=Observed(control=Arm(requests=seen)))
    return WorkerReport(
        load=ProcessLoad(busy=0.0),
        snapshot=snapshot(requests),
        observed={"demand": observed} if seen else {},
    )


def test_only_the_last_report_of_a_process_counts() -> None:
    table = ProcessTable()
    for process, requests in ((1, 3), (2, 4), (1, 5)):
        table.report(process, report(requests))
    assert table.others().count_requests() == 9
    assert table.others(1) == snapshot(4)
    assert {process: one.snapshot for process, one in table.reports.items()} == {
        1: snapshot(5),
        2: snapshot(4),
    }


def test_what_an_ended_process_counted_stays_but_nothing_is_in_flight_there() -> None:
    table = ProcessTable()
    table.report(1, report(3))
    table.report(2, report(4))
    table.end(1)
    table.end(7)
    found = table.others()
    assert (found.count_requests(), found.process_ns) == (7, 7)
    assert (found.processes, found.in_flight, found.memory_bytes) == (1, 1, 5)
    assert found.series[0].resident == 1
    assert table.others(2).count_requests() == 3


def test_observations_add_up_until_they_are_taken() -> None:
    table = ProcessTable()
    for process in (1, 2, 1):
        table.report(process, report(since=5.0, seen=2))
    assert table.observed("demand", 5.0).control.requests == 6
    assert table.observed("demand", 5.0) == Observed()


def test_observations_of_another_step_are_left_out() -> None:
    table = ProcessTable()
    table.report(1, report(since=5.0, seen=2))
    table.report(2, report(since=6.0, seen=3))
    table.report(1, report(since=5.0, seen=4))
    assert table.observed("demand", 6.0).control.requests == 3
    table.report(1, report(since=6.0, seen=4))
    assert table.observed("demand", 7.0) == Observed()
    assert table.observed("demand", 6.0) == Observed()
