"""An engine that does tasks in any order, and loses some: for runs whose steps are made elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random
from typing import Any

from tidemill.adapters.lanes.inline_lane import InlineLane
from tidemill.ports.execution import Capacity, Fate, Task, TaskError, TaskEvent, TaskFunctions
from tidemill.runs.io.job import EngineOptions
from tidemill.steps.project_context import ProjectContext


class Erratic(InlineLane):
    """Does tasks in an order of its own; what `mishap` names becomes of them, before or after."""

    def __init__(self, rng: Random, mishap: Callable[[Task], tuple[Fate, bool] | None]) -> None:
        super().__init__()
        self._rng = rng
        self._mishap = mishap
        self._due: list[Task] = []
        self._cancelled: list[Task] = []
        self.asked: list[Task] = []
        self.closed = True

    def open(self, functions: TaskFunctions) -> Erratic:
        """The engine, for another run."""
        self.closed = False
        self._functions = {**functions}
        return self

    def submit(self, task: Task) -> None:
        assert not self.closed
        self._due.append(task)
        self.asked.append(task)

    def cancel(self, task: str) -> None:
        """Cancel a task that isn't done yet."""
        self._cancelled += [each for each in self._due if each.id == task]
        self._due = [each for each in self._due if each.id != task]

    def events(self, timeout_s: float) -> Iterator[TaskEvent]:
        """Some of what is due, or all of it when the run has nothing else to do."""
        for task in self._cancelled:
            yield TaskEvent(task=task.id, fate=Fate.CANCELLED, worker="", at=0.0)
        self._cancelled = []
        most = len(self._due) if timeout_s else self._rng.randint(0, len(self._due))
        self._rng.shuffle(self._due)
        now, self._due = self._due[:most], self._due[most:]
        for task in now:
            yield TaskEvent(task=task.id, fate=Fate.STARTED, worker="7", at=0.0)
            fate, made = self._mishap(task) or (Fate.OK, True)
            if made:
                super().submit(replace(task, memory=0))
                found = [*super().events(0.0)][-1]
            if fate is not Fate.OK:
                error = TaskError(type=fate.name, message=f"it was {fate}")
                found = TaskEvent(task=task.id, fate=fate, worker="7", at=0.0, error=error)
            yield found

    def close(self, drain_s: float = 0.0) -> None:
        self.closed = True

    def capacity(self) -> Capacity:
        return Capacity(live=1, busy=0, waiting=0, max_workers=1, held_s=0.0, busy_s=0.0)


def away_to(engine: Erratic, **options: Any) -> Callable[..., EngineOptions]:
    """What sends all that could take a run along to an engine, in place of `engine_options`."""

    def elsewhere(
        settings: object, flow: object, environment: str, run: str, **_: object
    ) -> EngineOptions:
        usual: dict[str, Any] = {
            "engines": {"process": engine.open},
            "context": ProjectContext(run=run),
            "cpus": 2,
            "careful": True,
        }
        return EngineOptions(**usual | options)

    return elsewhere
