"""Gates that need a process, and processes that don't even begin."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import tidemill as tm
from tidemill.ports.execution import Fate, Task, TaskError, TaskEvent
from tidemill.runs.io.gate_tasks import GateTasks
from tidemill.runs.io.job import EngineOptions
from tidemill.steps.gate_messages import GateWork
from tidemill.steps.io.task_codec import decode_gate, encode_gate_result
from tidemill.testing.records import model_artifact
from tidemill.workflow.gate import GateResult
from tidemill.workflow.stage import Approval, Kind, Stage


def first(candidate: tm.Candidate) -> bool:
    return bool(candidate.scores.rows)


def second(candidate: tm.Candidate) -> bool:
    return bool(candidate.scores.rows)


class Engine:
    """An engine whose tasks end as they are told to; `asked` has the position that each was about."""

    def __init__(self, *fates: Fate) -> None:
        self.fates = list(fates)
        self.asked: list[int | None] = []
        self.limits: list[float | None] = []
        self.waiting: list[Task] = []
        self.closed = 0

    def submit(self, task: Task) -> None:
        self.asked.append(decode_gate(task.params).work.position)
        self.limits.append(task.timeout_s)
        self.waiting.append(task)

    def events(self, timeout_s: float) -> Iterator[TaskEvent]:
        task = self.waiting.pop()
        yield TaskEvent(task=task.id, fate=Fate.STARTED, worker="w", at=0.0)
        fate = self.fates.pop(0)
        broke = fate in (Fate.LOST, Fate.ERROR)
        told = TaskError(type="Stopped", message="it broke") if broke else None
        result = GateResult(gate="a gate", passed=True, evidence="fine")
        yield TaskEvent(
            task=task.id, fate=fate, worker="w", at=0.0, error=told, cpu_s=2.0, peak_rss=7,
            result=encode_gate_result(result) if fate is Fate.OK else b"",
        )  # fmt: skip

    def close(self) -> None:
        self.closed += 1


def measure(engine: Engine, *gates: Any) -> Any:
    """What the gates of a model found on an engine."""
    model = Stage(
        name="model", kind=Kind.MODEL, function=None, inputs=(), output=None, place="x.py:1",
        approval=Approval(model="model", gates=gates),
    )  # fmt: skip
    opened: Any = lambda functions: engine  # noqa: E731
    job: Any = SimpleNamespace(
        tools=SimpleNamespace(root=Path("/nowhere")),
        engines=EngineOptions(engines={"process": opened}),
    )
    settled: Any = SimpleNamespace(settle=lambda: None)
    work = GateWork(model="model", position=None, artifact=model_artifact())
    return GateTasks(job, settled).measure(model, work)


def test_the_model_is_loaded_once_before_the_gates() -> None:
    engine = Engine(Fate.OK, Fate.OK, Fate.OK)
    found = measure(engine, tm.gate(first, limit="7s"), tm.size(9), tm.latency(5))
    assert engine.asked == [None, 0, 2]
    assert engine.limits == [300.0, 7.0, 300.0]
    assert [each.evidence for each in found.results.values()] == ["fine", "fine"]
    assert sorted(found.results) == [0, 2]
    assert list(found.contents) == [0, 2]
    assert (found.contents[0] != "", found.contents[2]) == (True, "")
    assert (found.cost.cpu_s, found.cost.peak_rss, engine.closed) == (6.0, 7, 1)


@pytest.mark.parametrize(
    ("fate", "evidence"),
    [
        (Fate.TIMEOUT, "it took longer than its limit of 30 s, and was stopped"),
        (Fate.LOST, "it broke"),
        (Fate.ERROR, "it raised Stopped: it broke"),
        (Fate.OOM, "its process was oom"),
    ],
)
def test_a_process_that_ends_fails_its_gate_and_another_begins(fate: Fate, evidence: str) -> None:
    engine = Engine(Fate.OK, fate, Fate.OK, Fate.OK)
    found = measure(engine, tm.gate(first), tm.gate(second))
    assert engine.asked == [None, 0, None, 1]
    assert [(r.gate, r.passed, r.evidence) for r in found.results.values()] == [
        ("first", False, evidence),
        ("a gate", True, "fine"),
    ]


def test_a_model_that_cant_be_loaded_fails_every_gate() -> None:
    engine = Engine(Fate.LOST, Fate.TIMEOUT)
    found = measure(engine, tm.gate(first), tm.gate(second))
    assert [each.evidence for each in found.results.values()] == [
        "it couldn't begin: it broke",
        "it couldn't begin: it took longer than its limit of 300 s, and was stopped",
    ]


def test_a_file_that_cant_be_read_fails_its_gate() -> None:
    engine = Engine()
    found = measure(engine, tm.golden("golden.csv"))
    assert found.results[0].evidence.startswith("golden(golden.csv): there is no such file")
    assert (found.contents, engine.asked, engine.closed) == ({}, [], 1)


def test_without_such_gates_no_process_is_started() -> None:
    engine = Engine()
    assert measure(engine, tm.size(9), tm.beats_live("mae")).results == {}
    assert engine.closed == 0
