"""Say how an environment is doing, without importing its workflow."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tidemill.core.counts import plural
from tidemill.core.errors import UnknownNameError
from tidemill.core.local_day import local_day
from tidemill.core.partition import WHOLE, summarize_keys
from tidemill.core.redaction import Redactor
from tidemill.costs.budget import BudgetPeriod, budget_faults, month_end
from tidemill.costs.io.sums_reader import SpendingReader
from tidemill.governance.io.recorded_reviews import open_reviews
from tidemill.governance.io.waivers import RecordedWaivers
from tidemill.governance.review_outcomes import live_moved_on
from tidemill.governance.review_page import question
from tidemill.history.io.run_attempts import AttemptSums
from tidemill.history.io.runs import RecentRuns
from tidemill.ledger.event import RunStarted
from tidemill.ledger.io.home_files import require_usable
from tidemill.ledger.io.lease_holder import is_dead
from tidemill.ledger.off_peak import describe_late, describe_waiting
from tidemill.ledger.run import RunInfo
from tidemill.offpeak.io.recorded_works import recorded_works
from tidemill.operations.duty import Duty, DutyTask
from tidemill.operations.incident import told_stages
from tidemill.operations.io.incident_log import IncidentLog
from tidemill.operations.io.schedule_reader import ScheduleReader
from tidemill.operations.io.up_files import read_reports
from tidemill.operations.problem import ProblemKind
from tidemill.operations.schedule import next_due
from tidemill.operations.status_report import (
    Fact,
    StatusReport,
    describe_run,
    describe_supervisors,
    disk_fault,
    failing_stages,
    supervisor_faults,
)
from tidemill.operations.up_report import UpReport, UpRole, workflow_place
from tidemill.ports.ledger import Ledger, State
from tidemill.project.budget_status import open_spending, read_budgets
from tidemill.project.clock import project_clock
from tidemill.project.declared_schedules import declared_schedules
from tidemill.project.home_ledger import has_ledger, open_ledger
from tidemill.project.settings import Settings, configured_secrets, find_settings
from tidemill.project.workflow_ledger import WorkflowLedger
from tidemill.project.workflow_name import find_workflow_name
from tidemill.quarantine.ruling_input import rulings_input
from tidemill.reuse.input_contents import RULINGS
from tidemill.workflow.environment import PRODUCTION, Environment, environment_option

# How many runs tell whether a stage fails, of how many of all environments; and how soon (seconds) the end
# of a waiver is told.
_RUNS, _NEWEST, _SOON_S = 20, 200, 7 * 86_400.0
_FAILURES = (ProblemKind.FAILED_STAGE, ProblemKind.BROKEN_CONTRACT)
# How long (seconds) it may take until work begins that doesn't wait.
_BEGINS_S = 900.0


class StatusMemory:
    """What was read to say how an environment is doing, so that only what is new is read again."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        workflow: str,
        environment: str,
        attempts: AttemptSums | None = None,
    ) -> None:
        self.spending = open_spending(settings, ledger, workflow)
        self.waivers = RecordedWaivers(ledger, environment)
        self.runs = RecentRuns(ledger, _NEWEST)
        self.incidents = IncidentLog(ledger, environment)
        self.attempts = attempts or AttemptSums(ledger)


def read_status(
    start: Path, *, workflow: str | None = None, environment: str = PRODUCTION
) -> StatusReport:
    """Read how an environment of the project in a folder is doing, and change nothing.

    UsageError if there is no project, or no such environment.
    """
    settings = find_settings(start.resolve(), workflow)
    home = settings.root / settings.home
    require_usable(home)
    if not has_ledger(settings):
        return StatusReport(
            workflow=settings.workflow,
            environment=environment,
            at=project_clock()(),
            up=describe_supervisors((), ()),
            notes=("nothing was run yet: start with `tidemill run`, or `tidemill up`",),
        )
    reports = read_reports(home, environment)
    shared = open_ledger(settings, Redactor(configured_secrets(settings)))
    try:
        name = find_workflow_name(settings, shared, (*reports[0], *reports[1]))
        own = _about(reports, settings, name)
        ledger = WorkflowLedger(shared, name, ())
        memory = StatusMemory(settings, ledger, name, environment)
        return report_status(settings, ledger, name, environment, own, memory)
    finally:
        shared.close()


def own_reports(
    settings: Settings, home: Path, workflow: str, environment: str
) -> tuple[list[UpReport], list[UpReport]]:
    """The reports of supervisors of a workflow in an environment: of those alive, and of dead ones."""
    return _about(read_reports(home, environment), settings, workflow)


def _about(
    reports: tuple[Sequence[UpReport], Sequence[UpReport]], settings: Settings, workflow: str
) -> tuple[list[UpReport], list[UpReport]]:
    place = workflow_place(str(settings.root), settings.workflow)
    alive, dead = ([each for each in some if each.is_about(workflow, place)] for some in reports)
    return alive, dead


def report_status(
    settings: Settings,
    ledger: Ledger,
    workflow: str,
    environment: str,
    reports: tuple[list[UpReport], list[UpReport]],
    memory: StatusMemory,
) -> StatusReport:
    """Say how an environment is doing, with the supervisors that are alive and dead.

    UsageError if there is no such environment.
    """
    now, state = project_clock()(), ledger.state(environment)
    home = settings.root / settings.home
    if environment != PRODUCTION and environment not in state.environments:
        known = ", ".join(sorted({PRODUCTION, *state.environments}))
        raise UnknownNameError(f"there is no environment {environment!r}; there are {known}")
    alive, dead = reports
    log = memory.incidents
    log.read()
    failing = failing_facts(memory.runs, environment)
    incidents = tuple(_incidents(log, environment, now, {each.stage: each for each in failing}))
    told = told_stages(log.incidents, environment)
    disk = shutil.disk_usage(home)
    lost = [run for run in state.open_runs if is_dead(run.holder)]
    working = [one for one in alive if one.role is UpRole.WORKING]
    idle = tuple(str(fault) for fault in declared_schedules(settings).faults)
    at_work = other_faults(settings, ledger, environment, now, reports, failed=bool(failing))
    return StatusReport(
        workflow=workflow,
        environment=environment,
        at=now,
        up=describe_supervisors(alive, dead),
        is_supervised=bool(alive),
        wrong=(
            *at_work,
            *incidents,
            # What an incident is about is told by it.
            *(fact for fact in failing if fact.stage not in told),
            *(fact for fact in stale_facts(state) if fact.stage not in told),
            *(_open_run(ledger, run, memory.attempts, now, lost=True) for run in lost),
            *disk_fault(disk.free, str(home)),
        ),
        waiting=(
            *_held_code(working),
            *_reviews(ledger, state),
            *_rulings(state),
            *waiting_facts(settings, ledger, state, memory, now),
        ),
        running=tuple(
            _open_run(ledger, run, memory.attempts, now, lost=False)
            for run in state.open_runs
            if run not in lost
        ),
        due=tuple(duty for one in working for duty in one.duties)
        or tuple(_schedule_duties(settings, ledger, environment, now)),
        notes=(
            *_backlogs(working),
            *_deliveries(state),
            *(note for one in working for note in one.notes if note not in idle),
        ),
        free=disk.free,
        size=os.stat(home / "ledger.db").st_size,
    )  # fmt: skip


def _open_run(
    ledger: Ledger, run: RunInfo, attempts: AttemptSums, now: float, *, lost: bool
) -> Fact:
    started = [fact.event for fact in ledger.events(kinds=("RunStarted",), run=run.id)]
    steps = next((event.steps for event in started if isinstance(event, RunStarted)), 0)
    return describe_run(run, steps, attempts.read(run.id).done, now, lost=lost)


def failing_facts(runs: RecentRuns, environment: str) -> tuple[Fact, ...]:
    """The stages whose last attempts in an environment failed."""
    return failing_stages([run for run in runs.read() if run.environment == environment][:_RUNS])


def stale_facts(state: State) -> Iterator[Fact]:
    """The stages of which the last run said that their rows are too old."""
    for stage, verdict in state.stale.items():
        for text in verdict.messages:
            command = f"tidemill explain {stage}{environment_option(state.environment)}"
            yield Fact(text=f"{stage}: {text}", stage=stage, command=command)


def _incidents(
    log: IncidentLog, environment: str, now: float, failing: Mapping[str, Fact]
) -> Iterator[Fact]:
    """The open incidents; one about a stage that fails says why it failed last."""
    for state in log.incidents:
        if state.is_open and state.environment == environment:
            held = next((each for each in log.silences if each.holds(state, now)), None)
            silenced = f"; silenced by {held.silence.actor}" if held else ""
            well = "" if state.recovered is None else ", recovering"
            title = state.cause.title
            if state.cause.kind in _FAILURES and state.cause.stage in failing:
                title = failing[state.cause.stage].text
            yield Fact(
                text=f"{state.severity}{well}: {title}{silenced}",
                stage=state.cause.stage,
                command=f"tidemill incidents show {state.id}{environment_option(environment)}",
            )


def _schedule_duties(
    settings: Settings, ledger: Ledger, environment: str, now: float
) -> Iterator[Duty]:
    """What schedules will ask for once a `tidemill up` works."""
    if not settings.schedules:
        return
    records = ScheduleReader(ledger).records()
    for schedule in declared_schedules(settings).schedules:
        found = next_due(schedule, records.get(schedule.key), now)
        if schedule.environment == environment and found.due is not None:
            because = f"schedule {schedule.name}: {found.because}"
            yield Duty(task=DutyTask.RUN, because=because, at=found.due)


def _reviews(ledger: Ledger, now: State) -> Iterator[Fact]:
    for state in open_reviews(ledger, now.environment).values():
        review = state.review
        text = f"{question(review)} (review {review.id})"
        is_candidate = review.verdict is not None and not review.source
        if is_candidate and live_moved_on(review, now.live.get(review.name)):
            text = f"can't be approved any more: {text}"
        command = f"tidemill review show {review.id}{environment_option(now.environment)}"
        yield Fact(text=text, owner=", ".join(state.asked), command=command)


def _rulings(state: State) -> Iterator[Fact]:
    """The decisions on quarantined rows that no run has applied yet."""
    for stage, by_partition in sorted(state.rulings.items()):
        bound = state.heads[stage].partitions if stage in state.heads else {}
        ruled = {
            key
            for key, rulings in by_partition.items()
            if key in bound and bound[key].inputs.get(RULINGS) != rulings_input(rulings)
        }
        if ruled:
            keys = summarize_keys(ruled - {WHOLE})
            text = f"what was decided on quarantined rows of {f'{stage} {keys}'.strip()} waits for a run"
            command = f"tidemill run {stage}{environment_option(state.environment)}"
            yield Fact(text=text, stage=stage, command=command)


def other_faults(
    settings: Settings,
    ledger: Ledger,
    environment: str,
    now: float,
    reports: tuple[list[UpReport], list[UpReport]],
    *,
    failed: bool,
) -> Iterator[Fact]:
    """What is wrong with supervisors (alive and dead ones), late work, schedules and budgets."""
    yield from supervisor_faults(*reports, failed=failed)
    yield from waiting_works(settings, ledger, environment, now, late=True)
    for fault in declared_schedules(settings).faults:
        yield Fact(text=str(fault), command="tidemill check")
    for fault in budget_faults(settings.budget, settings.price_book.at(now), ""):
        text = f"nothing can run: {fault.message} ({fault.hint})"
        yield Fact(text=text, command="tidemill check")


def waiting_facts(
    settings: Settings, ledger: Ledger, state: State, memory: StatusMemory, now: float
) -> Iterator[Fact]:
    """What waits for cheaper times, the waivers that end soon, and the budgets that are nearly used up."""
    yield from waiting_works(settings, ledger, state.environment, now, late=False)
    yield from _waivers(memory.waivers, state.environment, now)
    yield from budget_facts(settings, state, memory.spending, now)


def _waivers(waivers: RecordedWaivers, environment: str, now: float) -> Iterator[Fact]:
    for waiver in waivers.in_force(now):
        left = waiver.expires - now
        if left < _SOON_S:
            text = f"the waiver of {waiver.rule} for {waiver.scope} ends in {left / 3_600:.0f} h"
            command = f"tidemill policy waivers{environment_option(environment)}"
            yield Fact(text=text, owner=waiver.actor, command=command)


def budget_facts(
    settings: Settings, state: State, spending: SpendingReader, now: float
) -> Iterator[Fact]:
    """The budgets that are nearly used up, and what waits because of those that are."""
    here = state.environments.get(state.environment, Environment(name=state.environment))
    for status in read_budgets(settings, spending, here, now):
        if not status.is_told:
            continue
        budget = f"budget of {status}"
        if status.is_used_up:
            month = ""
            if status.budget.period is BudgetPeriod.MONTH:
                end = local_day(month_end(now, settings.metrics.zone), settings.metrics.zone)
                month = f"{end}, or until "
            # What is cut on a narrow terminal is the end.
            waits = f"deferrable work waits until {month}{status.budget.setting} is raised"
            budget = f"{waits}: {budget}"
        yield Fact(text=budget, command=f"tidemill plan{environment_option(here.name)}")


def waiting_works(
    settings: Settings, ledger: Ledger, environment: str, now: float, *, late: bool
) -> Iterator[Fact]:
    """What waits for a cheaper time, in time or `late`."""
    if not settings.offpeak.is_set:
        return
    for work in recorded_works(ledger, environment):
        is_late = work.late or now > work.deadline
        # What was to begin at once is about to, but for what keeps it from running.
        begins = work.at_once and now < work.start + _BEGINS_S
        if is_late == late and (late or not begins):
            yield Fact(
                text=describe_late(work, now) if late else describe_waiting(work),
                stage=work.stage,
                command=f"tidemill plan{environment_option(environment)}",
            )


def _held_code(working: list[UpReport]) -> Iterator[Fact]:
    for one in working:
        if one.held:
            yield Fact(text=one.held, command="tidemill plan")


def _backlogs(working: list[UpReport]) -> Iterator[str]:
    yield from (one.backlog for one in working if one.backlog)


def _deliveries(state: State) -> Iterator[str]:
    if state.pending_effects:
        yield f"{plural(len(state.pending_effects), 'delivery')} to be completed by the next run"
