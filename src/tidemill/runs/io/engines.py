"""The engines of a run: each is made when its first task comes, and closed when the run ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from tidemill.planning.placement import Place
from tidemill.ports.execution import Executor, Fate, Task, TaskEvent
from tidemill.runs.io.engine_options import Elsewhere
from tidemill.steps.io.task_codec import FUNCTION
from tidemill.workflow.resources import Resources

# With two engines at work, each is asked in turn.
_TURN_S = 0.01
# So many tasks a CPU are handed over at once: enough that no worker ever waits for the next, and that
# the most urgent can go first.
_AHEAD = 16


@dataclass(slots=True)
class Lanes:
    """The engines that one run uses."""

    elsewhere: Elsewhere
    _open: dict[str, Executor] = field(default_factory=dict)
    _at_work: dict[str, str] = field(default_factory=dict)

    @property
    def at_work(self) -> bool:
        """Whether something became of not all tasks yet."""
        return bool(self._at_work)

    @property
    def room(self) -> bool:
        """Whether more tasks should be handed over."""
        return len(self._at_work) < _AHEAD * self.elsewhere.cpus

    def submit(self, name: str, params: bytes, place: Place, limits: Resources) -> None:
        """Hand over work; UsageError when its engine can't ever do it."""
        engine = self._open.get(place.where)
        if engine is None:
            engine = self._open[place.where] = self.elsewhere.engines[place.where]()
        engine.submit(
            Task(
                id=name,
                function=FUNCTION,
                params=params,
                cpus=place.cpus,
                memory=limits.memory,
                gpus=limits.gpus,
                timeout_s=limits.timeout_s,
                priority=place.priority,
                worker_class=place.worker_class,
            )
        )
        self._at_work[name] = place.where

    def ended(self, timeout_s: float) -> Iterator[TaskEvent]:
        """What became of tasks since it was asked last; waits for so many seconds for the first of it."""
        busy = {*self._at_work.values()}
        for where in busy:
            for event in self._open[where].events(
                timeout_s if len(busy) == 1 else min(timeout_s, _TURN_S)
            ):
                if event.fate is not Fate.STARTED:
                    with suppress(KeyError):
                        del self._at_work[event.task]
                    yield event

    def close(self) -> None:
        """End all that is still at work."""
        for engine in self._open.values():
            engine.close()
