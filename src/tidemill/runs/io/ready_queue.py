"""Two runs share the work: whose turn it is, and which keys a run has claimed.

Steps that don't need each other can be at work side by side. One whose key another run is at work on is
put off, and with it what needs its output. The rest goes on in the plan's order; what was put off is
tried again when nothing else is left, and by then is mostly known. A run waits for another one only
when there is nothing that it could do itself.
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from heapq import heappop, heappush

from tidemill.core.partition import WHOLE
from tidemill.ledger.run import Action
from tidemill.planning.plan import Step
from tidemill.workflow.stage import Flow, Kind

# Stage and partition of what a step makes; a gate, which makes a model live, has a name of its own.
_Made = tuple[str, str]
_GATE = "(gate)"


class Turns:
    """The steps of a plan by their number in it; each is taken when all that it needs is done.

    Of each that was taken `done` or `put_off` says what became of it; several can be at work at once.
    `wait` is called with a key when every step that is left waits for another run.
    """

    def __init__(self, flow: Flow, steps: Sequence[Step], wait: Callable[[str], object]) -> None:
        self._steps = steps
        self._wait = wait
        self._models = {stage.name for stage in flow.stages if stage.kind is Kind.MODEL}
        self._served = {s.name: s.model for s in flow.stages if s.kind is Kind.DELIVER}
        # Their rules compare with the partitions before: those must be there first.
        self._serial = {s.name for s in flow.stages if s.output and s.output.looks_further}
        self._refers = {s.name: frozenset(s.refers.values()) for s in flow.stages if s.refers}
        self._fresh = 0
        self._ready: list[int] = []
        self._off: dict[int, str] = {}
        self._open: set[_Made] = set()
        # By stage whose partitions come one after the other: what is at work, and what is held up.
        self._line: dict[str, list[int]] = defaultdict(list)
        self._latest: dict[str, _Made] = {}
        self._behind: dict[_Made, list[int]] = {}
        self._missing: dict[int, int] = {}
        self._idle = False

    def take(self, stage: str = "") -> int | None:
        """The number of the next step whose turn it is; None while there is none, or not of this stage."""
        while True:
            at = self._ready[0] if self._ready else self._fresh
            if at == len(self._steps) or (stage and self._steps[at].stage != stage):
                return None
            if self._ready:
                heappop(self._ready)
            else:
                self._fresh += 1
                if self._blocked(at):
                    continue
            self._open.add(self._made(at))
            if self._steps[at].stage in self._serial:
                insort(self._line[self._steps[at].stage], at)
            return at

    def first(self, at: int) -> bool:
        """Whether nothing that has to be published before the step is still at work."""
        line = self._line.get(self._steps[at].stage)
        return line is None or line[0] == at

    def put_off(self, at: int, key: str) -> None:
        """Another run is at work on the step's key."""
        self._off[at] = key
        self._keep_open(at)
        self._leave(at)

    def done(self, at: int) -> None:
        """Nothing waits for the step any more, whatever came of it."""
        self._idle = False
        self._leave(at)
        made = self._made(at)
        self._open.discard(made)
        for waiting in self._behind.pop(made, ()):
            self._missing[waiting] -= 1
            if not self._missing[waiting]:
                heappush(self._ready, waiting)

    @property
    def held_up(self) -> bool:
        """Whether some steps wait for another run."""
        return bool(self._off)

    def again(self, *, wait: bool) -> bool:
        """Let what was put off be taken again, if anything was; whether there is any.

        With `wait`, and when nothing was done since it was tried last, first wait for the other run.
        """
        if not self._off:
            return False
        if wait and self._idle:
            self._wait(self._off[min(self._off)])
        self._idle = True
        for at in self._off:
            heappush(self._ready, at)
        self._off.clear()
        return True

    def _leave(self, at: int) -> None:
        line = self._line.get(self._steps[at].stage)
        if line is not None:
            line.remove(at)

    def _blocked(self, at: int) -> bool:
        """Whether the step needs what isn't made yet; it gets its turn when all of that is."""
        needs = self._open and self._open.intersection(self._needs(self._steps[at]))
        if not needs:
            return False
        self._missing[at] = len(needs)
        for made in needs:
            self._behind.setdefault(made, []).append(at)
        self._keep_open(at)
        return True

    def _keep_open(self, at: int) -> None:
        made = self._made(at)
        self._open.add(made)
        self._latest[self._steps[at].stage] = made

    def _made(self, at: int) -> _Made:
        step = self._steps[at]
        return step.stage, _GATE if step.action is Action.GATE else step.partition

    def _needs(self, step: Step) -> Iterator[_Made]:
        for name, keys in step.reads.items():
            if name in self._models:
                yield name, WHOLE
            yield from ((name, key) for key in keys)
        if step.action is Action.GATE:
            yield step.stage, WHOLE
        if step.stage in self._served:
            yield self._served[step.stage], _GATE
        if step.stage in self._refers:
            # They may refer to any partition of those tables.
            yield from (made for made in self._open if made[0] in self._refers[step.stage])
        if step.stage in self._serial and step.stage in self._latest:
            yield self._latest[step.stage]
