"""The graph of a workflow's stages: the state of each and why, its figures, and where its logs are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tidemill.console.views.runs import RunLogView, show_log
from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.permissions import Permission
from tidemill.ledger.event import Attempted
from tidemill.operations.ledger_metrics import LedgerMetrics
from tidemill.operations.stage_figures import StageFigures
from tidemill.operations.stage_states import StageNode, StageState, Surroundings
from tidemill.project.metrics import freshness_limits
from tidemill.project.project import Project

# How far from a stage the graph goes if nothing else is asked for.
_STEPS = 2
_STATES = [*StageState]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowStage:
    """A stage: its state, why, how old its data is and may be, and its figures of the last 28 days.

    Ages and times are seconds. `last_run` is the last one that computed anything of it, `failed_run` the one
    in which it failed if it fails now; the figures are None if nothing was computed.
    """

    name: str
    kind: str
    state: StageState
    detail: str
    partitions: int
    age: float | None
    age_limit: float | None
    p95_s: float | None
    rows_per_s: float | None
    error_rate: float | None
    cost: float | None
    currency: str
    last_run: str
    failed_run: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowView:
    """The stages that are shown, sorted, and who reads whom; `left_out` others aren't shown.

    `counts` tells how many of those that are shown are in each state. `note` says why states aren't known.
    `names` are those of all stages. In a drawing many stages are groups, of which one is expanded: `group`.
    """

    workflow: str
    environment: str
    around: str
    upstream: int
    downstream: int
    group: str
    sort: str
    stages: tuple[WorkflowStage, ...]
    edges: tuple[tuple[str, str], ...]
    counts: Mapping[str, int]
    left_out: int
    note: str
    names: tuple[str, ...]


def show_workflow(
    project: Project,
    around: str = "",
    upstream: int = _STEPS,
    downstream: int = _STEPS,
    group: str = "",
    sort: str = "",
) -> WorkflowView:
    """Show the stages of the workflow, who reads whom, the state of each and why, and its figures.

    Only the stage `around`, if it is named, with what is at most `upstream` steps up and `downstream` steps
    down from it. Of many stages the drawing has groups, of which `group` is expanded. `sort` is name, kind,
    state, age, p95, throughput, errors or cost, with "-" before it the other way round; without it each stage
    comes after all that it reads.
    """
    order = _order(sort)
    chosen = Surroundings(stage=around, upstream=max(upstream, 0), downstream=max(downstream, 0))
    graph = project.stage_states.read(chosen if around else None)
    figures = {each.performance.stage: each for each in project.metrics.report().stages}
    metrics, limits = project.metrics.read(), freshness_limits(project.workspace.declared)
    stages = [
        _stage(node, figures.get(node.name), metrics, limits.get(node.name)) for node in graph.nodes
    ]
    return WorkflowView(
        workflow=graph.workflow,
        environment=graph.environment,
        around=around,
        upstream=chosen.upstream or 0,
        downstream=chosen.downstream or 0,
        group=group,
        sort=sort,
        stages=tuple(order(stages)),
        edges=graph.edges,
        counts={str(state): number for state, number in graph.counts().items()},
        left_out=graph.left_out,
        note=graph.note,
        names=project.flow.names,
    )


def show_stage_log(
    project: Project, stage: str, partition: str = "", first: int = -1, failures: bool = False
) -> RunLogView:
    """Show what the steps of a stage printed and logged in the last run that worked on it.

    The lines are those from `first` on, or as the log of the run shows them; only of a `partition`, if one is
    named, and only of attempts that failed with `failures`.
    """
    return show_log(project, _last_run(project, stage), stage, partition, first, failures)


def _last_run(project: Project, stage: str) -> str:
    """The last run of this environment that worked on a stage; UsageError if none did."""
    project.workspace.require(Permission.READ)
    ledger = project.tools.ledger
    for fact in ledger.events(kinds=(Attempted.__name__,), stage=stage, newest=True):
        if isinstance(fact.event, Attempted) and fact.event.environment == project.environment:
            return fact.event.run
    raise UsageError(f"no run in {project.environment} worked on {stage!r}")


def _stage(
    node: StageNode, figures: StageFigures | None, metrics: LedgerMetrics, limit: float | None
) -> WorkflowStage:
    total, failing = metrics.totals.get(node.name), metrics.failing.get(node.name)
    done = figures.performance if figures is not None and figures.performance.attempts else None
    return WorkflowStage(
        name=node.name,
        kind=node.kind,
        state=node.state,
        detail=node.detail,
        partitions=node.partitions,
        age=node.age,
        age_limit=limit,
        p95_s=done.wall.p95 if done is not None else None,
        rows_per_s=done.rows_per_s if done is not None else None,
        error_rate=done.error_rate if done is not None else None,
        cost=figures.cost if figures is not None and done is not None else None,
        currency=figures.currency if figures is not None else "",
        last_run=total.last_run if total is not None else "",
        failed_run=failing.run if failing is not None else "",
    )


_KEYS: Mapping[str, Callable[[WorkflowStage], Any]] = {
    "name": lambda stage: stage.name,
    "kind": lambda stage: stage.kind,
    "state": lambda stage: _STATES.index(stage.state),
    "age": lambda stage: stage.age,
    "p95": lambda stage: stage.p95_s,
    "throughput": lambda stage: stage.rows_per_s,
    "errors": lambda stage: stage.error_rate,
    "cost": lambda stage: stage.cost,
}


def _order(sort: str) -> Callable[[Iterable[WorkflowStage]], list[WorkflowStage]]:
    """What sorts stages, those without a figure last; UsageError for an order that there isn't."""
    name = sort.removeprefix("-")
    if not sort:
        return list
    if name not in _KEYS:
        raise UsageError(f"stages can't be sorted by {name!r} ({did_you_mean(name, _KEYS)})")
    key = _KEYS[name]

    def ordered(stages: Iterable[WorkflowStage]) -> list[WorkflowStage]:
        known = [*stages]
        found = [stage for stage in known if key(stage) is not None]
        found.sort(key=key, reverse=sort.startswith("-"))
        return found + [stage for stage in known if key(stage) is None]

    return ordered
