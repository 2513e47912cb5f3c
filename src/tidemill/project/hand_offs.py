"""What whoever takes over a workflow has to know, from its ledger and settings."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from tidemill.governance.io.recorded_reviews import open_reviews
from tidemill.governance.permissions import Permission
from tidemill.ledger.event import Delivered
from tidemill.ledger.io.lease_holder import is_dead
from tidemill.operations.incident import told_stages
from tidemill.operations.ledger_problems import review_problems
from tidemill.operations.problem import Problem, ProblemKind
from tidemill.ports.ledger import State
from tidemill.project.incidents import Incidents
from tidemill.project.metrics import Metrics
from tidemill.project.schedules import Schedules
from tidemill.project.status import (
    StatusMemory,
    failing_facts,
    other_faults,
    own_reports,
    stale_facts,
    waiting_facts,
)
from tidemill.project.workspace import Workspace
from tidemill.scorecard.hand_off import HandOff, WrittenTable
from tidemill.workflow.stage import Kind

_DELIVERIES = 5
_OF_FAILURES = (ProblemKind.FAILED_STAGE, ProblemKind.BROKEN_CONTRACT)
_OF_AGE = (ProblemKind.STALE_STAGE,)


def read_hand_off(
    space: Workspace, incidents: Incidents, metrics: Metrics, schedules: Schedules
) -> HandOff:
    """What is wrong, waits, is silenced, runs and is due in an environment; AccessError without the role."""
    space.require(Permission.READ)
    ledger, here, now = space.tools.ledger, space.environment, space.tools.clock()
    state, reviews = space.state(), open_reviews(ledger, here).values()
    log = incidents.log
    told = told_stages(log.incidents, here)
    problems = tuple(each for each in metrics.problems() if each.stage not in told)
    named = space.declared.name
    memory = StatusMemory(space.settings, ledger, named, here)
    tried = failing_facts(memory.runs, here)
    failing = (
        *(fact for fact in tried if fact.stage not in told | _stages(problems, _OF_FAILURES)),
        *(fact for fact in stale_facts(state) if fact.stage not in told | _stages(problems, _OF_AGE)),
        *other_faults(
            space.settings, ledger, here, now, own_reports(space.settings, space.home, named, here),
            failed=bool(tried),
        ),
    )  # fmt: skip
    statuses = [each for each in schedules.statuses(now) if each.schedule.environment == here]
    lost = tuple(run for run in state.open_runs if is_dead(run.holder))
    delivered = (
        fact.event.delivery
        for fact in ledger.events(kinds=(Delivered.__name__,), newest=True)
        if isinstance(fact.event, Delivered) and fact.event.environment == here
    )
    overdue = tuple(review_problems(reviews, here, now))
    late = {problem.stage for problem in overdue}
    return HandOff(
        workflow=named,
        environment=here,
        zone=space.settings.scorecard.zone or space.settings.metrics.zone,
        now=now,
        incidents=incidents.open_lines(),
        silences=tuple(each for each in log.silences if each.is_in_force(now)),
        overdue=overdue,
        reviews=tuple(
            f"{each.review.id}: {each.review.kind} {each.review.label}, asked: {', '.join(each.asked)}"
            for each in reviews
            if each.review.name not in late
        ),
        problems=problems,
        failing=failing,
        waiting=tuple(waiting_facts(space.settings, ledger, state, memory, now)),
        running=tuple(run for run in state.open_runs if run not in lost),
        lost=lost,
        upcoming=tuple(each.upcoming for each in statuses),
        pauses={each.schedule.name: each.pause for each in statuses if each.pause is not None},
        deliveries=tuple(each for each, _ in zip(delivered, range(_DELIVERIES), strict=False)),
        tables=tuple(_tables(space, state)),
        effects=len(state.pending_effects),
    )


def _stages(problems: Iterable[Problem], kinds: Collection[ProblemKind]) -> set[str]:
    """The stages that problems of some kinds are about."""
    return {each.stage for each in problems if each.kind in kinds}


def _tables(space: Workspace, state: State) -> Iterator[WrittenTable]:
    """The partition of each delivered table that was written last."""
    for stage in space.flow.stages:
        head = state.heads.get(stage.name)
        if stage.kind is Kind.DELIVER and stage.sink is not None and head and head.partitions:
            key, binding = max(head.partitions.items(), key=lambda item: item[1].at)
            yield WrittenTable(stage=stage.name, partition=key, at=binding.at)
