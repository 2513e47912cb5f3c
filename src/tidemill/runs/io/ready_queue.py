"""The order in which a run takes the steps of its plan.

Steps that don't need each other can run at the same time. A step whose key another run has claimed is put
off, and with it the steps that need its output. The rest goes on in the plan's order; what was put off is
tried again when nothing else is left, and is mostly known by then. A run waits for another one only when
there is nothing that it could do itself.
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from heapq import heappop, heappush
from itertools import islice
from typing import NewType

from tidemill.core.partition import WHOLE
from tidemill.ledger.run import Action
from tidemill.planning.plan import Step
from tidemill.workflow.stage import Flow, Kind

# The position of a step in the order in which a run takes its steps.
StepIndex = NewType("StepIndex", int)

# Stage and partition of a step's output; a gate, which makes a model live, has a name of its own.
_Output = tuple[str, str]
_GATE = "(gate)"


class ReadyQueue:
    """The steps of a plan; each is taken when all that it needs is done.

    Call `finish` or `postpone` for each step that was taken; several can be taken at once. `wait` is called
    with a key when every step that is left waits for another run.
    """

    def __init__(self, flow: Flow, steps: Sequence[Step], wait: Callable[[str], object]) -> None:
        self._steps = steps
        self._outputs: list[_Output] = [
            (step.stage, _GATE if step.action is Action.GATE else step.partition) for step in steps
        ]
        self._wait = wait
        self._models = {stage.name for stage in flow.stages if stage.kind is Kind.MODEL}
        self._served = {s.name: s.model for s in flow.stages if s.kind is Kind.DELIVER}
        # Their rules compare a partition with those before it, which must be there first.
        self._serial = {s.name for s in flow.stages if s.output and s.output.has_table_rules}
        self._refers = {s.name: frozenset(s.refers.values()) for s in flow.stages if s.refers}
        self._next = 0
        self._ready: list[StepIndex] = []
        self._put_off: dict[StepIndex, str] = {}
        self._unfinished: set[_Output] = set()
        # By stage whose partitions are published in order: the steps that were taken, in order.
        self._lines: dict[str, list[StepIndex]] = defaultdict(list)
        self._latest: dict[str, _Output] = {}
        self._blocked_steps: dict[_Output, list[StepIndex]] = {}
        self._missing: dict[StepIndex, int] = {}
        self._idle = False

    def take(self, stage: str = "") -> StepIndex | None:
        """Take the next step that is ready; None if there is none, or if it isn't of this `stage`."""
        while True:
            index = self._ready[0] if self._ready else StepIndex(self._next)
            if index == len(self._steps) or (stage and self._steps[index].stage != stage):
                return None
            if self._ready:
                heappop(self._ready)
            else:
                self._next += 1
                if self._block(index):
                    continue
            self._unfinished.add(self._outputs[index])
            if self._steps[index].stage in self._serial:
                insort(self._lines[self._steps[index].stage], index)
            return index

    def take_several(self, stage: str, most: int) -> list[StepIndex]:
        """Take up to so many steps of a stage that are ready.

        It is one if they are published in order, since those after it wait if it is postponed.
        """
        most = min(most, 1) if stage in self._serial else most
        return [*islice(iter(partial(self.take, stage), None), max(0, most))]

    def is_first(self, index: StepIndex) -> bool:
        """Return whether everything that must be published before the step is done."""
        line = self._lines.get(self._steps[index].stage)
        return line is None or line[0] == index

    def postpone(self, index: StepIndex, key: str) -> None:
        """Put a step off whose key another run has claimed."""
        self._put_off[index] = key
        self._keep_open(index)
        self._leave(index)

    def finish(self, index: StepIndex) -> None:
        """Let steps go on that waited for this one, however it ended."""
        self._idle = False
        self._leave(index)
        output = self._outputs[index]
        self._unfinished.discard(output)
        for waiting in self._blocked_steps.pop(output, ()):
            self._missing[waiting] -= 1
            if not self._missing[waiting]:
                heappush(self._ready, waiting)

    def withhold(self, index: StepIndex) -> None:
        """Let steps of its own stage go on that waited for this one; others wait until it is finished."""
        self._idle = False
        self._leave(index)
        output, stage = self._outputs[index], self._steps[index].stage
        if self._latest.get(stage) == output:
            del self._latest[stage]
        waiting = self._blocked_steps.get(output, [])
        own = [other for other in waiting if self._steps[other].stage == stage]
        if own:
            self._blocked_steps[output] = [other for other in waiting if other not in own]
        for other in own:
            self._missing[other] -= 1
            if not self._missing[other]:
                heappush(self._ready, other)

    @property
    def has_postponed(self) -> bool:
        """Whether some steps were put off."""
        return bool(self._put_off)

    def retry_postponed(self, *, wait: bool) -> bool:
        """Let the steps that were put off be taken again; return whether there are any.

        With `wait`, first wait for the other run if no step was done since the last time.
        """
        if not self._put_off:
            return False
        if wait and self._idle:
            self._wait(self._put_off[min(self._put_off)])
        self._idle = True
        for index in self._put_off:
            heappush(self._ready, index)
        self._put_off.clear()
        return True

    def _leave(self, index: StepIndex) -> None:
        line = self._lines.get(self._steps[index].stage)
        # A step that was withheld has left already.
        if line is not None and index in line:
            line.remove(index)

    def _block(self, index: StepIndex) -> bool:
        """Return whether the step needs output that isn't there yet; it becomes ready when all of it is."""
        needs = self._unfinished and self._unfinished.intersection(self._needs(self._steps[index]))
        if not needs:
            return False
        self._missing[index] = len(needs)
        for output in needs:
            self._blocked_steps.setdefault(output, []).append(index)
        self._keep_open(index)
        return True

    def _keep_open(self, index: StepIndex) -> None:
        output = self._outputs[index]
        self._unfinished.add(output)
        self._latest[self._steps[index].stage] = output

    def _needs(self, step: Step) -> Iterator[_Output]:
        for name, keys in step.reads.items():
            if name in self._models:
                yield name, WHOLE
            yield from ((name, key) for key in keys)
        yield from ((step.stage, key) for key in step.needs)
        if step.action is Action.GATE:
            yield step.stage, WHOLE
        if step.stage in self._served:
            yield self._served[step.stage], _GATE
        if step.stage in self._refers:
            # They may refer to any partition of those tables.
            yield from (
                output for output in self._unfinished if output[0] in self._refers[step.stage]
            )
        if step.stage in self._serial and step.stage in self._latest:
            yield self._latest[step.stage]
