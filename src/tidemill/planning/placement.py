"""Choose where the steps of a plan run, in which order, and with how many CPUs.

Most steps take milliseconds, less than sending them to a worker, so the run's own process executes them.
A step goes to a worker process if it has a limit or will take long. Quick steps that would take long
together are distributed: pure Polars queries to threads, which are cheaper, the others to processes.
With workers elsewhere, steps that would go to threads or processes go to these, if their stage may and
they are worth the hop.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from math import ceil
from typing import Literal, TypeAlias

from tidemill.contracts.table_rules import FreshnessRule
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import parse_span
from tidemill.ledger.run import Action
from tidemill.planning.batches import batch_order
from tidemill.planning.hop_costs import HopCosts, StepTrials, first_unknown, least_seconds
from tidemill.planning.plan import Plan, Step
from tidemill.workflow.resources import Resources
from tidemill.workflow.seal import dependencies
from tidemill.workflow.stage import Flow, Kind, Stage

Engine: TypeAlias = Literal["here", "thread", "process", "cluster"]

TRAINING, DEFERRABLE, ORDINARY = "training", "deferrable", "default"

# Longer steps go to workers, because they would block the run.
_QUICK_S = 0.5
# Quick steps are distributed if they take longer than this together, except those that are quicker than
# sending them to a worker.
_LONG_S, _SLIGHT_S = 5.0, 0.02
# So many steps of unknown duration are tried for each CPU of this machine.
_TRIED = 2
# Partitions that are scored in the run's own process share one prediction, and load the model once.
_SLIGHT_SCORING_S = 0.1
# The assumed duration of a step without history: a fixed time, and a throughput in bytes per second.
_STEP_S, _BYTES_S = 0.005, 100e6
# The assumed number of passes of a training over its rows.
_ROUNDS = 200
_LEARNING = (Action.TRAIN, Action.TRIAL)
_HOURS = {"h": 1, "d": 24, "w": 168, "mo": 672}
_NEVER = float("inf")
_LAST = -(10**9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a step runs: `cpus` is its share and its number of threads; the highest `priority` is first."""

    where: Engine = "here"
    cpus: float = 1.0
    worker_class: str = ORDINARY
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTraits:
    """Properties of stages, by name: `pure` ones are judged by their query, those with `memos` call memos.

    The `in_process` stages can run as planned only in the run's own process, unless they have limits. Steps
    of `batched` stages run together if they run there.
    """

    pure: Collection[str] = ()
    in_process: Collection[str] = ()
    memos: Collection[str] = ()
    batched: Collection[str] = ()


_NO_TRAITS = StageTraits()


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteWorkers:
    """Workers on other machines: their CPUs by worker class, and how many there may be.

    `here` are the stages that stay on this machine, because they need what only it has. Steps with a limit
    above `near_memory` bytes don't run on it, however short they are.
    """

    cpus: Mapping[str, float]
    most: int
    here: Collection[str] = ()
    near_memory: int = 0

    @property
    def slots(self) -> int:
        """How many steps of one CPU they run at once."""
        return self.most * max(1, ceil(self.cpus[ORDINARY]))


class Placement:
    """The places of a plan's steps on a machine with `cpus`, and their order.

    `engines` are the places besides the run's own thread ("process", "thread", "cluster"); without any, all
    steps run there. `remote` says which steps may go to "cluster", `hops` which are worth it; `trials` has
    those that are tried here before. With `isolated` all steps with user code go to processes, else those
    that are `stoppable`.
    """

    def __init__(  # noqa: PLR0913 - what places depend on
        self,
        flow: Flow,
        plan: Plan,
        *,
        cpus: int,
        engines: Collection[str],
        traits: StageTraits = _NO_TRAITS,
        isolated: bool = False,
        stoppable: Callable[[Step], bool] | None = None,
        remote: RemoteWorkers | None = None,
        hops: HopCosts | None = None,
    ) -> None:
        self._flow = flow
        self._remote = remote
        self._hops = hops or HopCosts()
        self._cpus = cpus
        self._engines = engines
        self._needs = freshness_needs(flow)
        self._has_training = any(
            step.action in _LEARNING and not _is_quick(step) for step in plan.steps
        )
        lasting = sum(
            expected_seconds(step) for step in plan.steps if _is_shareable(step, flow[step.stage])
        )
        self._share = (cpus > 1 or remote is not None) and lasting > _LONG_S
        self._traits = traits
        self._careful = isolated
        self._stoppable = stoppable or (lambda _: False)
        self._concurrency = _concurrency(flow, plan)
        self._stages: dict[str, Place] = {}
        # The most urgent steps go first. The inputs of a step are as urgent, and precede it in the plan.
        soonest = sorted(plan.steps, key=lambda step: -self._place(step.stage).priority)
        self.order = batch_order(flow, soonest, traits.batched)
        self.trials = StepTrials(
            first_unknown(self.order, _TRIED * cpus) if remote is not None else ()
        )

    @property
    def batched(self) -> Collection[str]:
        """The stages whose partitions can be computed together."""
        return self._traits.batched

    @cached_property
    def places(self) -> frozenset[Engine]:
        """Where steps run."""
        return frozenset(self._where(self._flow[step.stage], step) for step in self.order)

    @property
    def unenforced_limits(self) -> tuple[str, ...]:
        """The stages whose limits can't be enforced, because there is no process engine."""
        if not self._engines or "process" in self._engines:
            return ()
        planned = {step.stage for step in self.order}
        return tuple(
            s.name for s in self._flow.stages if s.name in planned and s.resources.needs_process
        )

    @property
    def unstoppable(self) -> tuple[str, ...]:
        """The stages with steps that should be stoppable, and that can't run in a worker process."""
        return tuple(
            dict.fromkeys(
                step.stage
                for step in self.order
                if self._stoppable(step)
                and self._where(self._flow[step.stage], step) not in ("process", "cluster")
            )
        )

    def of(self, step: Step) -> Place:
        """The place of one step."""
        stage = self._flow[step.stage]
        where, place = self._where(stage, step), self._place(step.stage)
        if where == "cluster":
            return self._remote_place(stage, place)
        if where != "process":
            # Steps in threads share the threads of Polars, whatever they ask for.
            return Place(where=where, worker_class=place.worker_class, priority=place.priority)
        if step.action is Action.TRIAL and stage.resources.cpus is None:
            place = replace(place, cpus=float(max(1, self._cpus // _parallel_trials(stage))))
        return place

    def _where(self, stage: Stage, step: Step) -> Engine:
        wanted = self._preferred_place(stage, step)
        if wanted in ("process", "thread") and self._may_leave(stage) and self._is_worth(step):
            wanted = "cluster"
        return wanted if wanted in self._engines else "here"

    def _may_leave(self, stage: Stage) -> bool:
        """Whether steps of a stage may run on another machine."""
        if self._remote is None or stage.resources.lane == "thread":
            return False
        # Results of memos are kept on this machine, and may have cost money.
        bound = (self._remote.here, self._traits.in_process, self._traits.memos)
        return not any(stage.name in names for names in bound)

    def _is_worth(self, step: Step) -> bool:
        """Whether a step isn't known to be too short to be sent away, or needs what this machine lacks."""
        assert self._remote is not None
        asked = self._flow[step.stage].resources
        if asked.gpus or (asked.cpus or 0) > self._cpus or asked.memory > self._remote.near_memory:
            return True
        seconds = self._hops.measured_s(step)
        if seconds is None:
            return step not in self.trials
        gain = self._remote.slots / self._cpus
        return seconds >= least_seconds(self._hops.hop_s, gain=gain)

    def _remote_place(self, stage: Stage, place: Place) -> Place:
        """The place with CPUs of a worker elsewhere: all of one for a model, else a share."""
        assert self._remote is not None
        most = self._remote.cpus[place.worker_class]
        asked = stage.resources.cpus
        if asked is None:
            learns = stage.kind in (Kind.MODEL, Kind.EVALUATE)
            asked = most if learns else max(1.0, most // self._concurrency.get(stage.name, 1))
        return replace(place, where="cluster", cpus=min(asked, most))

    def _preferred_place(self, stage: Stage, step: Step) -> Engine:
        asked = stage.resources
        bound = stage.name in self._traits.in_process and not self._careful and asked == Resources()
        if bound or step.action in (Action.REMOVE, Action.GATE):
            return "here"
        if self._stoppable(step):
            return "process"
        if asked.lane == "thread":
            return "thread"
        if asked != Resources() or self._careful or not _is_quick(step) or self._may_wait(step):
            return "process"
        if step.action is Action.TRIAL and step.wall_s is None and _parallel_trials(stage) > 1:
            # Trials are as many as they are slow: a search of unknown length isn't run in sequence.
            return "process" if self._cpus > 1 else "here"
        if stage.kind is Kind.EVALUATE:
            # The worker that trained the model has loaded its data and libraries.
            return "process" if self._has_training else "here"
        # Small files are read in one batch, which needs one process.
        if not self._share or not _is_shareable(step, stage) or stage.kind is Kind.INGEST:
            return "here"
        return "thread" if stage.name in self._traits.pure else "process"

    def _may_wait(self, step: Step) -> bool:
        """Whether a step may wait long for memo calls while other steps could run.

        It can't run in a thread: while it waits it blocks a Polars thread that other steps need.
        """
        new = step.action is Action.RUN and step.wall_s is None
        return new and step.stage in self._traits.memos and self._concurrency[step.stage] > 1

    def _place(self, name: str) -> Place:
        if name not in self._stages:
            self._stages[name] = self._make_place(self._flow[name])
        return self._stages[name]

    def _make_place(self, stage: Stage) -> Place:
        need = self._needs.get(stage.name)
        urgent = not self._flow.deferrable and (need is not None or not self._needs)
        learns = stage.kind in (Kind.MODEL, Kind.EVALUATE)
        cpus = stage.resources.cpus
        if cpus is None:
            cpus = (
                self._cpus if learns else max(1, self._cpus // self._concurrency.get(stage.name, 1))
            )
        return Place(
            where="process",
            # More threads than CPUs would only slow each other down.
            cpus=float(min(cpus, self._cpus)),
            worker_class=DEFERRABLE if not urgent else TRAINING if learns else ORDINARY,
            priority=_LAST if need is None and self._needs else -int(need or 0),
        )


def freshness_needs(flow: Flow) -> Mapping[str, float]:
    """How fresh each stage has to be, in hours, by its own contract and those of its downstream stages.

    A delivery has to be as fresh as its inputs, and a needed model needs its evaluations. Stages without a
    downstream freshness rule are omitted.
    """
    found: dict[str, float] = {}
    upstream = {stage.name: dependencies(stage) for stage in flow.stages}
    for model, scores in _evaluations(flow):
        upstream[model].add(scores)

    def need(name: str, hours: float) -> None:
        if hours < found.get(name, _NEVER):
            found[name] = hours
            for other in upstream[name]:
                need(other, hours)

    for stage in flow.stages:
        need(stage.name, _own_freshness(stage))
    for stage in flow.stages:
        if stage.kind is Kind.DELIVER:
            need(stage.name, min(found.get(item.name, _NEVER) for item in stage.inputs))
    return found


def _evaluations(flow: Flow) -> Iterator[tuple[str, str]]:
    """Pairs of a model and a stage that evaluates it."""
    for stage in flow.stages:
        if stage.kind is Kind.EVALUATE:
            yield from ((item.name, stage.name) for item in stage.inputs if item.contract is None)


def _own_freshness(stage: Stage) -> float:
    rules = stage.output.table_rules if stage.output else ()
    spans = (parse_span(rule.within) for rule in rules if isinstance(rule, FreshnessRule))
    return min((span.count * _HOURS[span.unit] for span in spans), default=_NEVER)


def expected_seconds(step: Step) -> float:
    """The expected seconds of a step: its estimate, or a guess from the bytes that it reads."""
    if step.wall_s is not None:
        return step.wall_s
    rounds = _ROUNDS if step.action in _LEARNING else 1
    return _STEP_S + rounds * step.bytes / _BYTES_S


def _parallel_trials(stage: Stage) -> int:
    """How many trials of a model's search may run at once."""
    search = stage.training.search if stage.training is not None else None
    return 1 if search is None else search.parallel


def _is_quick(step: Step) -> bool:
    return expected_seconds(step) <= _QUICK_S


def _is_shareable(step: Step, stage: Stage) -> bool:
    slight = _SLIGHT_SCORING_S if stage.kind is Kind.DELIVER else _SLIGHT_S
    return slight <= expected_seconds(step) <= _QUICK_S


def _concurrency(flow: Flow, plan: Plan) -> Mapping[str, int]:
    """By stage, how many steps of the plan could run concurrently with one of its own."""
    level: dict[str, int] = {}
    for stage in flow.stages:
        level[stage.name] = 1 + max((level.get(name, 0) for name in dependencies(stage)), default=0)
    count: dict[int, int] = {}
    for step in plan.steps:
        count[level[step.stage]] = count.get(level[step.stage], 0) + 1
    return {name: max(1, count.get(at, 1)) for name, at in level.items()}
