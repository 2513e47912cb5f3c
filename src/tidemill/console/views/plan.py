"""What a request would run and why, what that takes and costs, and what would hold it back."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from tidemill.console.views.action_right import ActionRight, action_right
from tidemill.core.counts import plural
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import summarize_keys
from tidemill.governance.permissions import Permission
from tidemill.ledger.io.lease_holder import active_run_message, is_dead
from tidemill.ledger.price import Price
from tidemill.planning.plan import Plan
from tidemill.planning.plan_remarks import model_line, plan_remarks, without_history
from tidemill.planning.reason_lines import reason_line
from tidemill.planning.request import Request, request_of
from tidemill.planning.step_groups import StepGroup, step_groups
from tidemill.project.project import Project
from tidemill.project.started_runs import StartedRun, start_run
from tidemill.workflow.environment import PRODUCTION
from tidemill.workflow.stage import Kind

# So many lines are shown under each title, and so many groups on a page.
_MOST_LINES, _MOST_GROUPS = 50, 100


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """What is asked for, as the options of `tidemill plan`; a `limit` of 0 is none."""

    stage: str = ""
    partition: str = ""
    since: str = ""
    until: str = ""
    limit: int = 0
    again: bool = False
    train: str = ""
    verify_sources: bool = False
    allow_removals: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFigures:
    """How much a plan does: steps that are sure and that may follow, what they read, and estimates.

    `current` partitions stay as they are. Seconds and `cost` are None if they aren't known; `left_out` says
    which steps have no history.
    """

    steps: int
    may_follow: int
    current: int
    rows: int
    bytes: int
    wall_s: float | None
    cpu_s: float | None
    cost: float | None
    currency: str
    left_out: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRemoval:
    """What a run removes only if `id` is allowed: the partitions without rows, and those that lost some."""

    id: str
    removed: Mapping[str, str]
    shrunk: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSummary:
    """A plan: groups of steps from `first` on, of `total` ones, and what it notes by title.

    `next` is the `first` of the page that follows, 0 if there is none.
    """

    workflow: str
    environment: str
    figures: PlanFigures
    groups: tuple[StepGroup, ...]
    first: int
    total: int
    next: int
    remarks: Mapping[str, tuple[str, ...]]
    budgets: tuple[Mapping[str, object], ...]
    removals: PlannedRemoval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanView:
    """The plan of a request; `command` runs it.

    `right` says who may run it, and `held_by` which run holds the environment, "" if a run may begin.
    `stages` and `models` are those that can be asked for.
    """

    request: PlanRequest
    command: str
    plan: PlanSummary
    right: ActionRight
    held_by: str
    has_prices: bool
    stages: tuple[str, ...]
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageReasonsView:
    """Why a plan runs, delays or keeps a stage or a partition of it, and the causes upstream, in lines."""

    request: PlanRequest
    own: tuple[str, ...]
    because: tuple[str, ...]
    model: str


def show_plan(project: Project, request: PlanRequest, first: int = 0) -> PlanView:
    """Plan what would run to bring a stage, its partition, or everything up to date, and say why.

    The arguments are the options of `tidemill plan`; `train` are names of models with commas between, and a
    `limit` of 0 is none. Steps with equal reasons are one group; there are 100 groups on a page, from `first`
    on. Nothing is changed.
    """
    plan = project.plans.make(_request(request))
    return PlanView(
        request=request,
        command=shlex.join(["tidemill", *_words(project, request)]),
        plan=summarize_plan(plan, project.price, first),
        right=action_right(project, Permission.RUN),
        held_by=holder_text(project),
        has_prices=project.plans.off_peak is not None,
        stages=tuple(each.name for each in project.flow.stages),
        models=tuple(each.name for each in project.flow.stages if each.kind is Kind.MODEL),
    )


def show_reasons(project: Project, stage: str, partition: str = "") -> StageReasonsView:
    """Trace why a plan runs, delays or keeps a stage or one of its partitions, up to its source files."""
    asked = PlanRequest(stage=stage, partition=partition)
    plan = project.plans.make(_request(asked))
    found = project.plans.reasons(plan, stage, partition)
    # Of a model that isn't trained, its own line says more.
    own = [each for each in found.groups if found.model is None or each.does != "stay"]
    return StageReasonsView(
        request=asked,
        own=_cut([reason_line(each) for each in own]),
        because=_cut([reason_line(each) for each in found.because]),
        model=model_line(found.model, plan) if found.model is not None else "",
    )


def start_planned_run(project: Project, request: PlanRequest, off_peak: bool = False) -> StartedRun:
    """Start `tidemill run` with these options as a process of its own, which goes on without the console.

    It acts as whoever asks for it. With `off_peak` work that can wait for a cheaper time waits.
    """
    project.plans.refuse_faults(_request(request))
    words = [*_words(project, request), *(["--off-peak"] if off_peak else [])]
    return start_run(project.workspace, words)


def holder_text(project: Project) -> str:
    """Which run holds the environment, in words; "" if none does."""
    for run in project.workspace.preview_state().open_runs:
        if not is_dead(run.holder):
            return active_run_message(project.environment, run.holder)
    return ""


def summarize_plan(plan: Plan, price: Price, first: int) -> PlanSummary:
    """A plan of any size as a page."""
    groups = step_groups(plan)
    first = max(first, 0)
    end = first + _MOST_GROUPS
    removals = plan.removals
    return PlanSummary(
        workflow=plan.workflow,
        environment=plan.environment,
        figures=_figures(plan, price),
        groups=groups[first:end],
        first=first,
        total=len(groups),
        next=end if end < len(groups) else 0,
        remarks={title: _cut(lines) for title, lines in plan_remarks(plan).items() if lines},
        budgets=tuple(each.document() for each in plan.budgets),
        removals=None
        if removals is None
        else PlannedRemoval(
            id=removals.id,
            removed=_ranges(removals.removed),
            shrunk=_ranges(removals.shrunk),
        ),
    )


def _figures(plan: Plan, price: Price) -> PlanFigures:
    sure = [step for step in plan.steps if not step.unlikely]
    estimate = plan.estimate
    priced = None if estimate.cpu_s is None or not price.cpu_hour else price.of(estimate.cpu_s)
    return PlanFigures(
        steps=len(sure),
        may_follow=len(plan.steps) - len(sure),
        current=sum(plan.current.values()),
        rows=sum(step.rows for step in sure),
        bytes=sum(step.bytes for step in sure),
        # Steps that take no time, such as removals, tell nothing of the others.
        wall_s=estimate.wall_s or None,
        cpu_s=estimate.cpu_s or None,
        cost=plan.cost if plan.cost is not None else priced or None,
        currency=price.currency,
        left_out=without_history(plan),
    )


def _ranges(keys: Mapping[str, Sequence[str]]) -> Mapping[str, str]:
    return {stage: summarize_keys(some) for stage, some in keys.items()}


def _cut(lines: Sequence[str]) -> tuple[str, ...]:
    more = len(lines) - _MOST_LINES
    rest = [f"and {plural(more, 'more line')}"] if more > 0 else []
    return (*lines[:_MOST_LINES], *rest)


def _request(asked: PlanRequest) -> Request:
    return request_of(
        asked.stage,
        asked.since or None,
        asked.until or None,
        asked.limit or None,
        asked.again,
        _models(asked),
        asked.partition,
        asked.verify_sources,
        asked.allow_removals,
    )


def _models(asked: PlanRequest) -> list[str]:
    return [name.strip() for name in asked.train.split(",") if name.strip()]


def _words(project: Project, asked: PlanRequest) -> list[str]:
    """The arguments of `tidemill` that run what is asked for."""
    options: Mapping[str, Any] = {
        "--from": asked.since,
        "--to": asked.until,
        "--limit": asked.limit,
        "--allow-removals": asked.allow_removals,
        "--env": "" if project.environment == PRODUCTION else project.environment,
    }
    flags = {"--again": asked.again, "--verify-sources": asked.verify_sources}
    named = [f"{name}={value}" for name, value in options.items() if value]
    named += [f"--train={name}" for name in _models(asked)]
    named += [name for name, is_set in flags.items() if is_set]
    given = [name for name in (asked.stage, asked.partition) if name]
    # A name may look like an option.
    return ["run", *named, *(["--", *given] if any(name[0] == "-" for name in given) else given)]
