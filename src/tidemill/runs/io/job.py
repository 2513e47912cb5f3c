"""The job of a run: its plan, the engines it may use, and the listener that follows its progress.

Nothing here needs Polars: what opens a project imports it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any, Protocol

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.binding import Binding, find_bindings
from tidemill.ledger.event import Event
from tidemill.ledger.price import Price, PriceBook
from tidemill.ledger.run import Attempt, StageTotals
from tidemill.ledger.schedule_events import Ticked
from tidemill.planning.hop_costs import HopCosts
from tidemill.planning.plan import Plan, Step
from tidemill.ports.artifacts import Artifacts
from tidemill.ports.execution import Executor, TaskFunctions
from tidemill.ports.ledger import State
from tidemill.ports.runtime import Runtime
from tidemill.reuse.recipe import Recipe
from tidemill.steps.project_context import ProjectContext
from tidemill.workflow.stage import Flow

if TYPE_CHECKING:
    from tidemill.delivery.io.outbox import Undelivered
    from tidemill.governance.common_facts import ChangeContext
    from tidemill.governance.io.enforcement import Enforcement
    from tidemill.ledger.off_peak import OffPeakSaving
    from tidemill.planning.placement import RemoteWorkers
    from tidemill.runs.io.run_budget import RunBudget

# How many partitions, or all of a stage if they are more, are looked for in the store together.
_LOOKED_AT_ONCE = 10_000


class Progress(Protocol):
    """Follows the progress of a run; it is called from the run's own thread."""

    def begin(self, plan: Plan) -> None:
        """Note that the run begins with the steps of a plan."""

    def started(self, step: Step) -> None:
        """Note that a step runs, or waits for a worker; several can at once."""

    def ended(self, step: Step, attempt: Attempt | None) -> None:
        """Note how a step ended: without an attempt it was up to date; one that is RETRIED starts again."""


class NoProgress:
    """Ignores the progress of a run; a base for listeners that follow a part of it."""

    def begin(self, plan: Plan) -> None:
        """Do nothing."""

    def started(self, step: Step) -> None:
        """Do nothing."""

    def ended(self, step: Step, attempt: Attempt | None) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """The engines, by name, that a run may use besides its own thread, and how many CPUs they have.

    A factory of an engine takes the functions that tasks in this process call. There is no "process" engine
    for a workflow that no other process could import. A `careful` run executes nothing that could crash
    it in its own process, and one that is `preemptible` nothing that takes long. Each worker process holds at
    most `memory` bytes (0: no limit), or what its stage allows if that is less. With `remote` workers there
    is an engine "cluster", and the run measures what `hops` to them cost.
    """

    engines: Mapping[str, Callable[[TaskFunctions], Executor]] = field(default_factory=dict)
    context: ProjectContext = field(default_factory=ProjectContext)
    cpus: int = 1
    careful: bool = False
    memory: int = 0
    preemptible: bool = False
    remote: RemoteWorkers | None = None
    hops: HopCosts = field(default_factory=HopCosts)

    @property
    def slots(self) -> int:
        """How many steps of one CPU the engines can run at once."""
        return self.cpus + (0 if self.remote is None else self.remote.slots)

    def memory_cap(self, wanted: int) -> int:
        """The memory cap of a step whose stage wants one (0: none)."""
        return min(filter(None, (wanted, self.memory)), default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Governance:
    """The rules and reviews that a run obeys; `pinned` returns the packages that the project pins.

    `decisions` makes the `ChangeDecisions` of a run from its job, what is published, its frames and what
    waits until all of it is in the ledger.
    `first` is what was decided before the run, to be recorded with what it allows; it `rests_on` waivers and
    open reviews, by id. Stages in `refused` aren't
    published, for the reason. `notes` are about what was allowed.
    """

    enforcement: Enforcement
    context: ChangeContext
    pinned: Callable[[], frozenset[str]]
    decisions: Callable[..., Any]
    first: tuple[Event, ...] = ()
    rests_on: frozenset[str] = frozenset()
    refused: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledTick:
    """The tick of a schedule that a run consumes when it ends, and why it is due.

    With `retried` a run that failed leaves it, since whoever started it tries again.
    """

    tick: Ticked
    because: str = ""
    retried: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A plan with all that it takes to execute it; `at_once` publishes everything at its end, or nothing.

    `undelivered` are effects that were left queued, and that their sinks couldn't carry out now either.
    Without rules and terms of reviews there is no `governance`.
    `attest` is called at the end with the run and the last event before it, and returns messages.
    The run costs what `price` says, which is that of the book `prices` when it begins.
    `actor` started the run, or a schedule did for a `tick`. With `fail_fast` the first step that fails stops
    what hasn't begun. What it may spend is limited by `budget`. `saving` tells at the end what work saved
    that had waited for a cheaper time. Its CPU time counts since `cpu_with_children` was `cpu_began` (None:
    since it is executed), so that planning it counts.
    """

    tools: Runtime
    flow: Flow
    recipes: Mapping[str, Recipe]
    plan: Plan
    state: State
    run: str
    command: str
    price: Price
    progress: Progress
    engines: EngineOptions
    prices: PriceBook = field(default_factory=PriceBook)
    at_once: bool = False
    undelivered: tuple[Undelivered, ...] = ()
    governance: Governance | None = None
    attest: Callable[[str, int], Sequence[str]] | None = None
    actor: str = ""
    tick: ScheduledTick | None = None
    fail_fast: bool = False
    budget: RunBudget | None = None
    saving: Callable[[Sequence[StageTotals]], OffPeakSaving | None] | None = None
    cpu_began: float | None = None

    @property
    def rests_on(self) -> frozenset[str]:
        """The waivers and open reviews, by id, that what was decided before the run rests on."""
        return self.governance.rests_on if self.governance is not None else frozenset()

    def recipe_changed(self, stage: str) -> bool:
        """Return whether a stage's recipe differs from the recorded one."""
        return self.state.recipes.get(stage) != self.recipes[stage].parts


class MissingObjects:
    """Finds the objects that plans on one state would read or bind, but that can't be used.

    Where one is missing, what it was made of in the same partition is looked for at once: a plan for each
    stage of a long chain would take a time that grows with the square of its length. Each partition is
    looked at once, however many plans read it.
    """

    def __init__(self, artifacts: Artifacts, state: State) -> None:
        self._artifacts, self._heads = artifacts, state.heads
        self._known = defaultdict[str, set[str]](set)

    def find(self, plan: Plan) -> dict[str, str]:
        """Map the objects of partitions that no plan read before to the reason why they can't be used."""
        places = defaultdict[str, set[str]](set)
        for step in plan.steps:
            places[step.stage].add(step.partition)
            for name, read in step.reads.items():
                places[name].update(read)
        wanted = {name for parent in plan.parents.values() for name in parent.all_objects}
        found = dict(self._artifacts.find_missing(wanted)) if wanted else {}
        while places:
            before = defaultdict[str, set[str]](set)
            for held in self._bindings(places):
                objects = {name for _, binding in held for name in binding.product.all_objects}
                gone = self._artifacts.find_missing(objects) if objects else {}
                found |= gone
                for key, binding in held:
                    if not gone.keys().isdisjoint(binding.product.all_objects):
                        for name in binding.inputs:
                            before[name].add(key)
            places = before
        return found

    def _bindings(self, places: Mapping[str, set[str]]) -> Iterator[Sequence[tuple[str, Binding]]]:
        """The bindings of partitions that weren't looked at yet, so many at a time as fit into memory."""
        held: list[tuple[str, Binding]] = []
        for name in self._heads.keys() & places.keys():
            keys = places[name] - self._known[name]
            self._known[name] |= keys
            held += find_bindings(self._heads[name].partitions, keys).items()
            if len(held) >= _LOOKED_AT_ONCE:
                yield held
                held = []
        if held:
            yield held


def damaged_objects(artifacts: Artifacts, flow: Flow, state: State) -> Mapping[str, str]:
    """Map what is known to be damaged or missing of a workflow's objects and live models to the reason."""
    known = frozenset(artifacts.names(damaged=True))
    if not known:
        return {}
    used = {
        name
        for stage, head in state.heads.items()
        if stage in flow.names
        for binding in head.partitions.values()
        for name in binding.product.all_objects
    }
    used.update(name for delivery in state.live.values() for name in delivery.artifact.all_objects)
    return artifacts.find_missing(known & used)
