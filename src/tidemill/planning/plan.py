"""A plan: the ordered steps that would make outputs current, each with its reasons.

A plan is a value with two readers: `run` executes it, `plan` shows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from importlib import import_module
from typing import TYPE_CHECKING

from tidemill.core.counts import plural
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import WHOLE
from tidemill.ledger.binding import Head, Mark
from tidemill.ledger.cost import Cost, Estimate
from tidemill.ledger.delivery import Decision, Delivery
from tidemill.ledger.off_peak import DeferredWork
from tidemill.ledger.run import Action
from tidemill.models.triggers import LiveModelWatch
from tidemill.quarantine.ruling_input import RulingsByPartition
from tidemill.sources.missing import Missing
from tidemill.workflow.model import Artifact
from tidemill.workflow.source import OnMissing, SourceFile
from tidemill.workflow.trigger import TriggerEvidence

if TYPE_CHECKING:
    from tidemill.costs.forecast import BudgetForecast


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanInputs:
    """The facts that a plan is made from: heads, recorded recipes, live models and decisions.

    `sources` are the files that the ledger knows, and `marks` the completion marks of stages. `costs` are
    mean costs of earlier steps, by stage and action; `rulings` are those in force, by stage. `at` is the
    time of the plan in Unix seconds; `missing_objects` maps objects that should be stored but can't
    be used to the reason: "missing" or "damaged". `watch` looks for changes of live models.
    """

    heads: Mapping[str, Head]
    recipes: Mapping[str, Mapping[str, str]]
    live: Mapping[str, Delivery]
    decisions: Mapping[str, Decision]
    sources: Mapping[str, Mapping[str, SourceFile]] = field(default_factory=dict)
    marks: Mapping[str, Mark] = field(default_factory=dict)
    rulings: Mapping[str, RulingsByPartition] = field(default_factory=dict)
    costs: Mapping[str, Mapping[str, Cost]] = field(default_factory=dict)
    at: float = 0.0
    missing_objects: Mapping[str, str] = field(default_factory=dict)
    watch: LiveModelWatch | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One action on one partition of a stage, and its reasons.

    `reads` maps each input to the partitions that the stage receives. `subject` says which model is
    evaluated: "candidate", "live", "baseline". A `forced` step runs although its key is known; an
    `unlikely` step runs only if an earlier step has an unexpected output. `rows` and `bytes` are what the
    step will read, if that is known before it runs. `wall_s` and `cpu_s` are estimates from earlier steps
    of the stage, in seconds; None if there were none. `needs` are steps of its own stage, by partition, that
    must have ended before, however they ended. A backtest has two `windows`, "training" and "evaluation".
    `parent` is the version that a training continues.
    """

    stage: str
    partition: str
    action: Action
    reasons: tuple[str, ...]
    reads: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    subject: str = ""
    forced: bool = False
    unlikely: bool = False
    rows: int = 0
    bytes: int = 0
    wall_s: float | None = None
    cpu_s: float | None = None
    needs: tuple[str, ...] = ()
    windows: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    parent: str = ""

    @property
    def id(self) -> str:
        tail = "" if self.partition == WHOLE else f"[{self.partition}]"
        return f"{self.action} {self.stage}{tail}{f' of {self.subject}' if self.subject else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A partition that can't be computed yet, and what it waits for."""

    stage: str
    partition: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelState:
    """Whether a model is outdated (its inputs changed) and whether it is due (a trigger requests training).

    `note` says why the live model isn't applied to the current inputs, or is applied without a check;
    `refused` says when its candidate was refused, which isn't judged again. `evidence` is what its trigger
    saw, whether or not it is due; None if it has no trigger or was never trained. `drift` describes how its
    inputs drifted since its training, which doesn't make it due. `lineage` says which version the training
    of a model that is due continues, or why none.
    """

    stage: str
    outdated: tuple[str, ...]
    due: tuple[str, ...]
    trigger: str = ""
    note: str = ""
    refused: str = ""
    evidence: TriggerEvidence | None = None
    drift: tuple[str, ...] = ()
    lineage: str = ""


# How many stages and reasons are named when a plan is shown in short.
_NAMED_STAGES, _NAMED_REASONS = 6, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingRows:
    """Rows that a source lost. The partitions `held` stay as they are published.

    `policy` is "fail" (until it is allowed), "keep" (for good), or "remove" (it was allowed: none is held).
    A source that is `blocked` can't be read as its stage now demands, since files are gone: none of its
    partitions changes.
    """

    stage: str
    policy: OnMissing
    missing: Missing
    held: frozenset[str]
    noun: str = "files"
    blocked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Removals:
    """Partitions that a plan would remove with permission; `id` identifies exactly what sources lost.

    `removed` are the partitions without rows in the source and without inputs downstream, by stage;
    `shrunk` those of sources that lost some of their rows.
    """

    id: str
    removed: Mapping[str, tuple[str, ...]]
    shrunk: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Plan:
    """The steps that would run and why, and the head versions that the plan was made from.

    `current` counts the partitions of each selected stage that stay as they are. `complete` are the stages
    that are fully current once all steps are done. `aging` are the planned stages whose contracts have
    freshness rules. `sources` are the files that were seen, `broken` those that can't be read, with the
    error, and `missing` what sources lost. `removals` are what has to be allowed before it is removed.
    `evaluated_through` is the newest partition that the gates of each model judge it on. `parents` are the
    versions that its trainings continue, by model. `reruns` are the stages that were requested to run again.
    `budgets` say what the plan is expected to take of each budget, and what doesn't fit.
    `deferred` is the work that can wait for a cheaper time, with prices in `price_unit`.
    `cost` is what a run of it is expected to cost, without steps that only may follow and those that have no
    history; None without prices, and if no step has a history.
    """

    workflow: str
    environment: str
    heads: Mapping[str, int]
    recipes: Mapping[str, str]
    steps: tuple[Step, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    models: tuple[ModelState, ...] = ()
    notes: tuple[str, ...] = ()
    current: Mapping[str, int] = field(default_factory=dict)
    complete: frozenset[str] = frozenset()
    aging: tuple[str, ...] = ()
    sources: Mapping[str, Mapping[str, SourceFile]] = field(default_factory=dict)
    broken: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    missing: tuple[MissingRows, ...] = ()
    removals: Removals | None = None
    evaluated_through: Mapping[str, str] = field(default_factory=dict)
    parents: Mapping[str, Artifact] = field(default_factory=dict)
    reruns: frozenset[str] = frozenset()
    budgets: tuple[BudgetForecast, ...] = ()
    deferred: tuple[DeferredWork, ...] = ()
    price_unit: str = ""
    cost: float | None = None

    @property
    def unsettled(self) -> tuple[MissingRows, ...]:
        """What sources lost that is neither kept nor removed before it is decided."""
        return tuple(item for item in self.missing if item.policy == "fail")

    def held(self, stage: str) -> frozenset[str]:
        """The partitions of an ingest that stay as they are, because their source lost rows."""
        return frozenset().union(*(item.held for item in self.missing if item.stage == stage))

    def __repr__(self) -> str:
        grouped = self.by_stage()
        named = [f"{stage} {len(steps):,}" for stage, steps in grouped.items()][:_NAMED_STAGES]
        more = len(grouped) - len(named)
        named += [plural(more, "more stage")] if more else []
        return f"<Plan {self.headline}{': ' if named else ''}{', '.join(named)}>"

    @property
    def headline(self) -> str:
        """The workflow, the environment and the number of steps."""
        steps = plural(len(self.steps), "step")
        return f"{self.workflow} in {self.environment}: {steps if self.steps else 'nothing to do'}"

    def _repr_html_(self) -> str:
        """Render a row per stage, for notebooks: its steps, and why they run."""
        html: str = import_module("tidemill.planning.plan_notebook").plan_html(self)
        return html

    @property
    def empty(self) -> bool:
        return not self.steps

    @property
    def estimate(self) -> Estimate:
        """The estimated cost of the steps that are certain to run."""
        return estimate_of(step for step in self.steps if not step.unlikely)

    @property
    def may_follow(self) -> Estimate:
        """The estimated cost of the unlikely steps, if all of them ran."""
        return estimate_of(step for step in self.steps if step.unlikely)

    def by_stage(self) -> dict[str, list[Step]]:
        """The steps of each stage, in the order in which stages run."""
        grouped: dict[str, list[Step]] = {}
        for step in self.steps:
            grouped.setdefault(step.stage, []).append(step)
        return grouped


def estimate_of(steps: Iterable[Step]) -> Estimate:
    """The estimated cost of some steps that run one after the other."""
    wall = cpu = 0.0
    known, unknown = 0, dict[str, int]()
    for step in steps:
        if step.wall_s is None or step.cpu_s is None:
            unknown[step.stage] = unknown.get(step.stage, 0) + 1
        else:
            wall, cpu, known = wall + step.wall_s, cpu + step.cpu_s, known + 1
    nothing = bool(unknown) and not known
    return Estimate(
        wall_s=None if nothing else wall,
        cpu_s=None if nothing else cpu,
        known=known,
        unknown=unknown,
    )
