"""Where the steps of a plan are done, in which order, and with how much of the machine.

Most steps take milliseconds, and to hand them to another process takes longer than it saves: the run
does them itself. A step goes to a worker process if it trains a model, is held to a limit, or will take
long; and all of them do if together they would.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from tidemill.decide.declare import needs
from tidemill.domain.partition import parse_span
from tidemill.domain.plan import Action, Plan, Step
from tidemill.domain.resources import Resources
from tidemill.domain.stage import Flow, Kind, Stage
from tidemill.domain.table_rules import FreshnessRule

Where: TypeAlias = Literal["here", "thread", "process"]

TRAINING, DEFERRABLE, ORDINARY = "training", "deferrable", "default"

# Longer steps go to workers: nothing else would go on meanwhile.
_QUICK_S = 0.5
# Together longer than that, it pays to start workers for steps that are each quick.
_LONG_S = 10.0
# What a step should take that nobody has seen yet: so long, and as many bytes a second.
_STEP_S, _BYTES_S = 0.005, 100e6
_HOURS = {"h": 1, "d": 24, "w": 168, "mo": 672}
_LAST = -(10**9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a step is done: `cpus` is its share and its threads; the highest `priority` goes first."""

    where: Where = "here"
    cpus: float = 1.0
    worker_class: str = ORDINARY
    priority: int = 0


class Placing:
    """The places of a plan's steps on a machine with so many `cpus`.

    Without `processes` (no other process could import the workflow) everything is done here.
    """

    def __init__(self, flow: Flow, plan: Plan, *, cpus: int, processes: bool) -> None:
        self._flow = flow
        self._cpus = cpus
        self._processes = processes
        self._needs = needs_of(flow)
        self._trains = any(step.action is Action.TRAIN for step in plan.steps)
        lasting = sum(map(expected_s, filter(_quick, plan.steps)))
        self._share = cpus > 1 and lasting > _LONG_S
        self._beside = _beside(flow, plan)
        self._stages: dict[str, Place] = {}

    def of(self, step: Step) -> Place:
        """The place of one step."""
        stage = self._flow[step.stage]
        where = self._where(stage, step)
        place = self._stages.get(step.stage)
        if place is None:
            place = self._stages[step.stage] = self._place(stage)
        return place if where == "process" else replace(place, where=where)

    def _where(self, stage: Stage, step: Step) -> Where:
        if step.action in (Action.REMOVE, Action.GATE):
            return "here"
        asked = stage.resources
        if asked.lane == "thread":
            return "thread"
        if not self._processes:
            return "here"
        if asked != Resources() or stage.kind is Kind.MODEL or not _quick(step):
            return "process"
        if stage.kind is Kind.EVALUATE:
            # The worker that trained has all at hand by then.
            return "process" if self._trains else "here"
        # Small files are read many at once, which only one process can.
        apart = stage.kind is not Kind.INGEST
        return "process" if self._share and apart else "here"

    def _place(self, stage: Stage) -> Place:
        need = self._needs.get(stage.name)
        urgent = not self._flow.deferrable and (need is not None or not self._needs)
        learns = stage.kind in (Kind.MODEL, Kind.EVALUATE)
        cpus = stage.resources.cpus
        if cpus is None:
            cpus = self._cpus if learns else max(1, self._cpus // self._beside.get(stage.name, 1))
        return Place(
            where="process",
            cpus=float(cpus),
            worker_class=DEFERRABLE if not urgent else TRAINING if learns else ORDINARY,
            priority=_LAST if need is None and self._needs else -int(need or 0),
        )


def needs_of(flow: Flow) -> Mapping[str, float]:
    """How fresh (hours) each stage has to be: what its contract says, and those of all made from it.

    Stages that nothing fresh is made from aren't named.
    """
    found: dict[str, float] = {}
    for stage in reversed(flow.stages):
        own = [
            span.count * _HOURS[span.unit]
            for rule in (stage.output.wider if stage.output else ())
            if isinstance(rule, FreshnessRule)
            for span in (parse_span(rule.within),)
        ]
        if own or stage.name in found:
            hours = found[stage.name] = min([*own, found.get(stage.name, float("inf"))])
            for name in needs(stage):
                found[name] = min(hours, found.get(name, hours))
    return found


def expected_s(step: Step) -> float:
    """Seconds that a step should take: as such steps took before, else by what it reads."""
    return _STEP_S + step.bytes / _BYTES_S if step.wall_s is None else step.wall_s


def _quick(step: Step) -> bool:
    # Files that aren't read yet are only known by their bytes on disk.
    return expected_s(step) <= _QUICK_S


def _beside(flow: Flow, plan: Plan) -> Mapping[str, int]:
    """By stage, how many of the plan's steps could be at work side by side with one of its own."""
    level: dict[str, int] = {}
    for stage in flow.stages:
        level[stage.name] = 1 + max((level.get(name, 0) for name in needs(stage)), default=0)
    count: dict[int, int] = {}
    for step in plan.steps:
        count[level[step.stage]] = count.get(level[step.stage], 0) + 1
    return {name: max(1, count.get(at, 1)) for name, at in level.items()}
