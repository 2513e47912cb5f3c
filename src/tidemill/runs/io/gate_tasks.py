"""Evaluate gates that need a process: a worker that can be stopped, one gate after the other.

A workflow that no other process can import has them in a thread of the run, which can only be left behind.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from itertools import count
from typing import TypeAlias

from tidemill.core.errors import TidemillError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.review import Review
from tidemill.models.gates import measured_evidence
from tidemill.models.own_gate_result import refused
from tidemill.ports.execution import Executor, Fate, Task, TaskEvent
from tidemill.runs.io.job import Job
from tidemill.steps.gate_messages import GateWork
from tidemill.steps.io.gate_runner import gate_content
from tidemill.steps.io.step_runner import StepRunner
from tidemill.steps.io.task_codec import (
    GATE_FUNCTION,
    decode_gate_result,
    encode_context,
    encode_gate,
)
from tidemill.steps.step_messages import StepCost
from tidemill.workflow.gate import GateResult
from tidemill.workflow.gate_kinds import PROCESS_GATES, Gate
from tidemill.workflow.own_gate import OwnGate
from tidemill.workflow.stage import Stage

# To import the workflow and load the model; and to measure a model or predict golden rows.
LOADING_S, MEASURING_S = 300.0, 300.0
_POLL_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredGates:
    """The results of gates that needed a process, what identifies these gates, and what it cost.

    `evidence` is the digest of all that they depend on. With the results of a review that waits nothing was
    measured again (`known_from` it).
    """

    results: Mapping[int, GateResult] = field(default_factory=dict)
    contents: Mapping[int, str] = field(default_factory=dict)
    cost: StepCost = field(default_factory=StepCost)
    evidence: str = ""
    known_from: str = ""


# Finds the open review of a candidate that was measured by this evidence last; None if there is none.
Recall: TypeAlias = Callable[[str], Review | None]


class GateTasks:
    """Evaluates the gates of a run's candidates that need a process."""

    def __init__(self, job: Job, runner: StepRunner) -> None:
        self._job = job
        self._runner = runner

    def measure(
        self,
        model: Stage,
        work: GateWork,
        basis: str = "",
        recall: Recall = lambda evidence: None,
    ) -> MeasuredGates:
        """Evaluate those gates of a model that need a process; `work` says on what.

        `basis` is the digest of what they judge by. What a review that waits knows of the same isn't measured
        again.
        """
        assert model.approval is not None
        wanted = {
            at: gate
            for at, gate in enumerate(model.approval.gates)
            if isinstance(gate, PROCESS_GATES)
        }
        if not wanted:
            return MeasuredGates()
        contents: dict[int, str] = {}
        results: dict[int, GateResult] = {}
        works: dict[int, GateWork] = {}
        for at, gate in wanted.items():
            try:
                contents[at] = gate_content(gate, self._job.tools.root)
                works[at] = replace(work, position=at, content=contents[at])
            except TidemillError as error:
                results[at] = refused(gate, str(error))
        evidence = "" if results else measured_evidence(
            work.artifact, model.approval.gates, contents, basis, (work.cpu_hour, work.currency)
        )  # fmt: skip
        waiting = recall(evidence) if evidence else None
        if waiting is not None and waiting.verdict is not None:
            return MeasuredGates(
                results={at: waiting.verdict.results[at] for at in works},
                contents=contents,
                evidence=evidence,
                known_from=waiting.id,
            )
        self._runner.settle()
        lane = _Lane(self._job) if "process" in self._job.engines.engines else None
        try:
            for at, each in works.items():
                gate = wanted[at]
                results[at] = lane.run(gate, each) if lane else self._run_here(gate, each)
        finally:
            if lane is not None:
                lane.close()
        return MeasuredGates(
            results=results,
            contents=contents,
            cost=lane.cost if lane else StepCost(),
            evidence=evidence,
        )

    def _run_here(self, gate: Gate, work: GateWork) -> GateResult:
        """Evaluate a gate in a thread of this process; without engines in this one, where debuggers work."""
        if not self._job.engines.engines:
            return self._runner.judge(work)
        found: list[GateResult] = []
        thread = threading.Thread(
            target=lambda: found.append(self._runner.judge(work)), name="tidemill-gate", daemon=True
        )
        thread.start()
        limit = _limit_s(gate)
        thread.join(limit)
        if found:
            return found[0]
        why = f"it took longer than its limit of {limit:g} s" if thread.is_alive() else "it ended"
        return refused(gate, why)


class _Lane:
    """A worker process for gates. It loads the model before a gate's limit begins."""

    def __init__(self, job: Job) -> None:
        self._executor: Executor = job.engines.engines["process"]({})
        self._context = encode_context(job.engines.context)
        self._numbers = count()
        self._is_loaded = False
        self.cost = StepCost()

    def run(self, gate: Gate, work: GateWork) -> GateResult:
        """Evaluate a gate; a process that is stopped, or that dies, fails it."""
        if not self._is_loaded:
            event = self._call(replace(work, position=None), LOADING_S)
            if event.fate is not Fate.OK:
                return refused(gate, f"it couldn't begin: {_describe(event, LOADING_S)}")
            self._is_loaded = True
        limit = _limit_s(gate)
        event = self._call(work, limit)
        if event.fate is Fate.OK:
            return decode_gate_result(event.result)
        self._is_loaded = False
        return refused(gate, _describe(event, limit))

    def close(self) -> None:
        """End the process."""
        self._executor.close()

    def _call(self, work: GateWork, limit_s: float) -> TaskEvent:
        task = f"gate-{next(self._numbers)}"
        self._executor.submit(
            Task(
                id=task,
                function=GATE_FUNCTION,
                params=encode_gate(self._context, work),
                timeout_s=limit_s,
            )
        )
        while True:
            for event in self._executor.events(_POLL_S):
                if event.task == task and event.fate is not Fate.STARTED:
                    self._add_cost(event)
                    return event

    def _add_cost(self, event: TaskEvent) -> None:
        self.cost = StepCost(
            cpu_s=self.cost.cpu_s + event.cpu_s,
            peak_rss=max(self.cost.peak_rss, event.peak_rss),
            worker=event.worker,
        )


def _limit_s(gate: Gate) -> float:
    return gate.limit_s if isinstance(gate, OwnGate) else MEASURING_S


def _describe(event: TaskEvent, limit_s: float) -> str:
    """Say how a task ended that has no result."""
    if event.fate is Fate.TIMEOUT:
        return f"it took longer than its limit of {limit_s:g} s, and was stopped"
    if event.error is None:
        return f"its process was {event.fate}"
    what = event.error
    raised = ": ".join(filter(None, (what.type, what.message)))
    return f"it raised {raised}" if event.fate is Fate.ERROR else what.message
