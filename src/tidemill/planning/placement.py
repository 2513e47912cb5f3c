"""Where the steps of a plan are done, in which order, and with how much of the machine.

Most steps take milliseconds, and to hand them over takes longer than it saves: the run does them itself.
A step goes to a worker process if it is held to a limit or will take long. Where steps that are each
quick would take long together, they are shared: those of Polars' alone go to threads, which compute as
well and cost less, the others to processes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from tidemill.contracts.table_rules import FreshnessRule
from tidemill.core.partition import parse_span
from tidemill.ledger.run import Action
from tidemill.planning.batches import gathered
from tidemill.planning.plan import Plan, Step
from tidemill.workflow.resources import Resources
from tidemill.workflow.seal import needs
from tidemill.workflow.stage import Flow, Kind, Stage

Where: TypeAlias = Literal["here", "thread", "process"]

TRAINING, DEFERRABLE, ORDINARY = "training", "deferrable", "default"

# Longer steps go to workers: nothing else would go on meanwhile.
_QUICK_S = 0.5
# Together longer than that, it pays to share steps that are each quick; but not those that are quicker
# than it is to hand them over.
_LONG_S, _SLIGHT_S = 5.0, 0.02
# What a step should take that nobody has seen yet: so long, and as many bytes a second.
_STEP_S, _BYTES_S = 0.005, 100e6
# Training goes over its rows so often.
_ROUNDS = 200
_HOURS = {"h": 1, "d": 24, "w": 168, "mo": 672}
_NEVER = float("inf")
_LAST = -(10**9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a step is done: `cpus` is its share and its threads; the highest `priority` goes first."""

    where: Where = "here"
    cpus: float = 1.0
    worker_class: str = ORDINARY
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """The stages whose query is all that they do (`pure`), and those that ask `memos`.

    Those that are `bound` only the run's own process can do as they were planned, unless they have limits;
    steps of those that are `batched` are made together where they are done there.
    """

    pure: Collection[str] = ()
    bound: Collection[str] = ()
    memos: Collection[str] = ()
    batched: Collection[str] = ()


class Placing:
    """The places of a plan's steps on a machine with so many `cpus`, and their order.

    `engines` names where steps can be besides the run's own thread ("process", "thread"); without any,
    all are done there. When it is `careful`, all that have code of the user's go to processes.
    """

    def __init__(
        self,
        flow: Flow,
        plan: Plan,
        *,
        cpus: int,
        engines: Collection[str],
        traits: Traits = Traits(),
        careful: bool = False,
    ) -> None:
        self._flow = flow
        self._cpus = cpus
        self._engines = engines
        self._needs = needs_of(flow)
        self._trains = any(step.action is Action.TRAIN and not _quick(step) for step in plan.steps)
        lasting = sum(expected_s(step) for step in plan.steps if _shareable(step))
        self._share = cpus > 1 and lasting > _LONG_S
        self._traits = traits
        self._careful = careful
        self._beside = _beside(flow, plan)
        self._stages: dict[str, Place] = {}
        # What is needed soonest goes first. All that a step needs is needed as soon, and came before it.
        soonest = sorted(plan.steps, key=lambda step: -self._place(step.stage).priority)
        self.order = gathered(flow, soonest, traits.batched)

    @property
    def batched(self) -> Collection[str]:
        """The stages whose partitions can be computed together."""
        return self._traits.batched

    @property
    def unkept(self) -> tuple[str, ...]:
        """The stages whose limits don't hold, because no other process can do their steps."""
        if not self._engines or "process" in self._engines:
            return ()
        planned = {step.stage for step in self.order}
        return tuple(s.name for s in self._flow.stages if s.name in planned and s.resources.limited)

    def of(self, step: Step) -> Place:
        """The place of one step."""
        where, place = self._where(self._flow[step.stage], step), self._place(step.stage)
        # Threads share those of Polars, whoever asks for how many.
        return place if where == "process" else replace(place, where=where, cpus=1.0)

    def _where(self, stage: Stage, step: Step) -> Where:
        wanted = self._wanted(stage, step)
        return wanted if wanted in self._engines else "here"

    def _wanted(self, stage: Stage, step: Step) -> Where:
        asked = stage.resources
        bound = stage.name in self._traits.bound and not self._careful and asked == Resources()
        if bound or step.action in (Action.REMOVE, Action.GATE):
            return "here"
        if asked.lane == "thread":
            return "thread"
        if asked != Resources() or self._careful or not _quick(step) or self._may_wait(step):
            return "process"
        if stage.kind is Kind.EVALUATE:
            # The worker that trained has all at hand by then.
            return "process" if self._trains else "here"
        # Small files are read many at once, which only one process can.
        if not self._share or not _shareable(step) or stage.kind is Kind.INGEST:
            return "here"
        return "thread" if stage.name in self._traits.pure else "process"

    def _may_wait(self, step: Step) -> bool:
        """Whether a step may wait long for calls, while others could be done.

        Not in a thread: one that waits holds a thread of Polars', which other steps need.
        """
        new = step.action is Action.RUN and step.wall_s is None
        return new and step.stage in self._traits.memos and self._beside[step.stage] > 1

    def _place(self, name: str) -> Place:
        if name not in self._stages:
            self._stages[name] = self._placed(self._flow[name])
        return self._stages[name]

    def _placed(self, stage: Stage) -> Place:
        need = self._needs.get(stage.name)
        urgent = not self._flow.deferrable and (need is not None or not self._needs)
        learns = stage.kind in (Kind.MODEL, Kind.EVALUATE)
        cpus = stage.resources.cpus
        if cpus is None:
            cpus = self._cpus if learns else max(1, self._cpus // self._beside.get(stage.name, 1))
        return Place(
            where="process",
            # More threads than CPUs would only be in each other's way.
            cpus=float(min(cpus, self._cpus)),
            worker_class=DEFERRABLE if not urgent else TRAINING if learns else ORDINARY,
            priority=_LAST if need is None and self._needs else -int(need or 0),
        )


def needs_of(flow: Flow) -> Mapping[str, float]:
    """How fresh (hours) each stage has to be: what its contract says, and those of all made from it.

    A delivery has to be as fresh as what it delivers, and a model that is needed is needed with its
    scores. Stages that nothing fresh is made from aren't named.
    """
    found: dict[str, float] = {}
    upstream = {stage.name: needs(stage) for stage in flow.stages}
    for model, scores in _scored(flow):
        upstream[model].add(scores)

    def need(name: str, hours: float) -> None:
        if hours < found.get(name, _NEVER):
            found[name] = hours
            for other in upstream[name]:
                need(other, hours)

    for stage in flow.stages:
        need(stage.name, _own_need(stage))
    for stage in flow.stages:
        if stage.kind is Kind.DELIVER:
            need(stage.name, min(found.get(item.name, _NEVER) for item in stage.inputs))
    return found


def _scored(flow: Flow) -> Iterator[tuple[str, str]]:
    """The models, each with the stages that score it."""
    for stage in flow.stages:
        if stage.kind is Kind.EVALUATE:
            yield from ((item.name, stage.name) for item in stage.inputs if item.contract is None)


def _own_need(stage: Stage) -> float:
    rules = stage.output.wider if stage.output else ()
    spans = (parse_span(rule.within) for rule in rules if isinstance(rule, FreshnessRule))
    return min((span.count * _HOURS[span.unit] for span in spans), default=_NEVER)


def expected_s(step: Step) -> float:
    """Seconds that a step should take: as such steps took before, else by what it reads."""
    if step.wall_s is not None:
        return step.wall_s
    rounds = _ROUNDS if step.action is Action.TRAIN else 1
    return _STEP_S + rounds * step.bytes / _BYTES_S


def _quick(step: Step) -> bool:
    return expected_s(step) <= _QUICK_S


def _shareable(step: Step) -> bool:
    return _SLIGHT_S <= expected_s(step) <= _QUICK_S


def _beside(flow: Flow, plan: Plan) -> Mapping[str, int]:
    """By stage, how many of the plan's steps could be at work side by side with one of its own."""
    level: dict[str, int] = {}
    for stage in flow.stages:
        level[stage.name] = 1 + max((level.get(name, 0) for name in needs(stage)), default=0)
    count: dict[int, int] = {}
    for step in plan.steps:
        count[level[step.stage]] = count.get(level[step.stage], 0) + 1
    return {name: max(1, count.get(at, 1)) for name, at in level.items()}
