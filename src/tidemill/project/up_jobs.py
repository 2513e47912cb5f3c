"""What a process of `tidemill up` does: describe its project, run what is due, and keep things up."""

from __future__ import annotations

import glob
import signal
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from tidemill.core.counts import plural
from tidemill.core.errors import (
    BudgetError,
    ConflictError,
    DeclarationError,
    TidemillError,
    UsageError,
    exit_severity,
)
from tidemill.core.partition import WHOLE
from tidemill.governance.io.recorded_reviews import open_reviews
from tidemill.ledger.off_peak import DeferredWork, describe_waiting
from tidemill.ledger.run import Receipt, Status
from tidemill.offpeak.io.recorded_works import recorded_works
from tidemill.operations.duty import Due, DutyTask
from tidemill.operations.io.up_files import forget_killed
from tidemill.operations.schedule import DueTick
from tidemill.operations.supervision import (
    Ending,
    JobAnswer,
    SourcePlace,
    UpJob,
    WorkflowDescription,
)
from tidemill.operations.watch import catch_up
from tidemill.planning.plan import Plan
from tidemill.project.budget_status import next_month
from tidemill.project.enforcement import end_overdue_reviews
from tidemill.project.mlflow_hook import catch_up_mlflow
from tidemill.project.project import Project
from tidemill.project.review_upkeep import announce_reviews
from tidemill.project.setting_faults import setting_faults
from tidemill.sources.io.file_listing import call_ingest
from tidemill.sources.io.file_root import is_stored
from tidemill.workflow.loaders import Dbt
from tidemill.workflow.source import Delta, Files, Query
from tidemill.workflow.stage import Kind, Stage
from tidemill.workflow.trigger import MaxAge, leaf_triggers

COMMAND = "tidemill up"
# Folders below a project whose modules aren't its own.
_OTHERS = ("site-packages", ".venv", "venv")


def describe_project(project: Project) -> WorkflowDescription:
    """Where the sources and the code of a project are, and what is due at which time."""
    # Imported while nobody waits for it: every run with steps needs it.
    import_module("tidemill.runs.io.execute")
    flow = project.flow
    return WorkflowDescription(
        workflow=flow.name,
        sources=tuple(
            _source_place(project, stage) for stage in flow.stages if stage.kind is Kind.INGEST
        ),
        code=tuple(sorted(_code_files(project.root))),
        has_endpoints=bool(flow.endpoints),
        dues=_dues(project),
        notes=tuple(map(str, setting_faults(project.settings, project.workspace.declared))),
    )


def do_job(project: Project, job: UpJob) -> JobAnswer:
    """Run what is due, or look after alerts, reviews and sweeps only."""
    if job.task is DutyTask.RUN:
        return replace(_run(project, job), dues=_dues(project))
    if job.task is DutyTask.OFF_PEAK:
        return replace(_run_deferred(project), dues=_dues(project))
    return JobAnswer(ending=Ending.OK, notes=_keep_up(project), dues=_dues(project))


def _source_place(project: Project, stage: Stage) -> SourcePlace:
    try:
        source = call_ingest(stage)
    except TidemillError:
        # A run says what is wrong with it.
        return SourcePlace(stage=stage.name)
    # No events tell of changes in an object store.
    if isinstance(source, Files) and not is_stored(source):
        return SourcePlace(stage=stage.name, pattern=source.pattern)
    if isinstance(source, Delta) and "://" not in source.path:
        log = str(Path(glob.escape(source.path)) / "_delta_log" / "*.json")
        return SourcePlace(stage=stage.name, pattern=log)
    if isinstance(source, Dbt):
        results = (
            Path(glob.escape(source.project)) / glob.escape(source.target) / "run_results.json"
        )
        return SourcePlace(stage=stage.name, pattern=str(results))
    if isinstance(source, Query) and source.notify:
        return SourcePlace(stage=stage.name, url=source.url, channel=source.notify)
    # The files of a database change when it is read, too: it is asked.
    return SourcePlace(stage=stage.name)


def _code_files(root: Path) -> Iterator[str]:
    """The files of the project's own modules that are imported."""
    for module in [*sys.modules.values()]:
        file = getattr(module, "__file__", None)
        if not file or not Path(file).is_relative_to(root):
            continue
        if not set(Path(file).relative_to(root).parts) & {*_OTHERS}:
            yield file


def _run(project: Project, job: UpJob) -> JobAnswer:
    settings = project.settings.up
    if settings.on_change == "plan" and (held := _unaccepted_code(project)):
        return JobAnswer(
            ending=Ending.HELD,
            summary=f"{held}; look with `tidemill plan`, and accept with `tidemill run`",
            seq=project.tools.ledger.state(project.environment).seq,
        )
    try:
        ticks = _run_ticks(project)
        if settings.on_data == "schedule":
            return _joined(ticks, JobAnswer(ending=Ending.OK, summary="nothing is due"))
        return _joined(ticks, _run_changes(project, look_first=job.look_first or bool(ticks)))
    except ConflictError as error:
        return JobAnswer(ending=Ending.BUSY, summary=str(error), exit_code=error.exit_code)
    except BudgetError as error:
        return _without_budget(error)


def _without_budget(error: BudgetError, subject: str = "") -> JobAnswer:
    """What is said of work that a budget stops: it goes on when a month begins, or the settings change."""
    return JobAnswer(ending=Ending.OK, summary=f"{subject}{error}", exit_code=error.exit_code)


def _run_ticks(project: Project) -> list[JobAnswer]:
    """Run what schedules ask for in this environment."""
    if not project.settings.schedules:
        return []
    due = project.schedules.due(project.tools.clock())
    own = [tick for tick in due if tick.environment == project.environment]
    return [_run_tick(project, tick) for tick in own]


def _run_tick(project: Project, tick: DueTick) -> JobAnswer:
    """Run a tick; a schedule with a fault keeps nothing else from running.

    What fails is tried again: by the next plan if that does what the tick asks for, else with its tick.
    """
    forced = tick.again or bool(tick.train)
    retried = forced or project.settings.up.on_data == "schedule"
    try:
        return _answer_of(project.schedules.run(tick, command=COMMAND, retried=retried))
    except BudgetError as error:
        return _without_budget(error, f"schedule {tick.schedule}: ")
    except (DeclarationError, UsageError) as error:
        why = f"schedule {tick.schedule}: {error}"
        return JobAnswer(ending=Ending.FAILED, failures=(why,), exit_code=error.exit_code)


def _run_changes(project: Project, *, look_first: bool) -> JobAnswer:
    """Run everything that isn't up to date; a part of it, if it is too much at once."""
    backlog = None
    if look_first:
        plan = project.plan_urgent()
        if not _has_work(project, plan):
            return JobAnswer(ending=Ending.OK, summary="nothing to do")
        steps = Counter(step.stage for step in plan.steps)
        backlog = catch_up(steps, project.settings.up.max_catch_up)
    limit = None if backlog is None else backlog.at_once
    receipt = project.run_urgent(limit=limit, command=COMMAND)
    return replace(_answer_of(receipt), backlog=backlog)


def _run_deferred(project: Project) -> JobAnswer:
    """Run the work that waited for this time, if it is still to run now."""
    off_peak = project.plans.off_peak
    if off_peak is None:
        return JobAnswer(ending=Ending.OK)
    plan = project.plan()
    waiting = off_peak.waiting(plan)
    off_peak.note(plan, plan.deferred)
    due = [work for work in plan.deferred if work not in waiting]
    if not due:
        return JobAnswer(ending=Ending.OK, summary="nothing is due: " + _next_words(waiting))
    now = project.tools.clock()
    if any(work.has_to_begin(now) for work in due):
        # To be interrupted would make it late.
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        receipt = project.run(off_peak=True, command=COMMAND, raise_on_failure=False)
    except ConflictError as error:
        return JobAnswer(ending=Ending.BUSY, summary=str(error), exit_code=error.exit_code)
    except BudgetError as error:
        return _without_budget(error)
    return _answer_of(receipt)


def _next_words(waiting: Sequence[DeferredWork]) -> str:
    return "; ".join(map(describe_waiting, waiting)) or "nothing waits"


def _answer_of(receipt: Receipt) -> JobAnswer:
    ending = _ending(receipt)
    return JobAnswer(
        ending=ending,
        summary=f"run {receipt.run} {receipt.outcome_line}",
        run=receipt.run,
        exit_code=receipt.exit_code,
        failures=_failures(receipt) if ending is Ending.FAILED else (),
    )


def _joined(ticks: Sequence[JobAnswer], last: JobAnswer) -> JobAnswer:
    """One answer for the runs of ticks and the last one: as bad as the worst, with what all say."""
    every = [*ticks, last]
    ran = [answer for answer in every if answer.run] or every[-1:]
    worst = max(every, key=lambda one: (one.ending is not Ending.OK, exit_severity(one.exit_code)))
    return replace(
        last,
        ending=worst.ending,
        exit_code=worst.exit_code,
        run=ran[-1].run,
        summary="\n".join(answer.summary for answer in ran),
        failures=tuple(cause for answer in every for cause in answer.failures),
    )


def _has_work(project: Project, plan: Plan) -> bool:
    """Whether a run would do anything: steps, sources that can't be read, or what an earlier run left."""
    if not plan.empty or plan.broken or plan.missing:
        return True
    state = project.tools.ledger.state(project.environment)
    if state.open_runs or state.pending_effects or not state.heads:
        return True
    # A run records that sources can be read again, even if there is nothing else to do.
    failing = project.metrics.read().failing
    return any(WHOLE in failing[name].partitions for name in plan.current if name in failing)


def _unaccepted_code(project: Project) -> str:
    """Which published stages would be computed by other code than recorded; "" if none."""
    state = project.tools.ledger.state(project.environment)
    changed = [
        name
        for name, parts in state.recipes.items()
        if name in project.recipes and project.recipes[name].parts != parts
    ]
    return f"the code of {', '.join(sorted(changed))} changed" if changed else ""


def _ending(receipt: Receipt) -> Ending:
    if receipt.status is Status.INTERRUPTED:
        return Ending.INTERRUPTED
    return Ending.FAILED if receipt.has_failed else Ending.OK


def _failures(receipt: Receipt) -> tuple[str, ...]:
    return tuple(f"{one.stage}: {one.why}" for one in receipt.failures) or receipt.messages


def _keep_up(project: Project) -> tuple[str, ...]:
    """Do what is due beside runs; return what failed, which fails no run."""
    space, notes = project.workspace, list[str]()
    for duty in (_keep_reviews_up, _sweep, _mirror_models, _check_alerts, _send_note):
        try:
            notes += duty(project)
        except TidemillError as error:
            notes.append(space.redactor.redact(str(error)))
    return tuple(notes)


def _keep_reviews_up(project: Project) -> Iterable[str]:
    end_overdue_reviews(project.workspace)
    return announce_reviews(project.workspace)


def _sweep(project: Project) -> Iterable[str]:
    """Remove what nothing needs any more, at least once a day."""
    reason = project.retention.is_due(project.tools.clock())
    if reason is None:
        return
    report = project.retention.sweep_by_itself()
    if report is None:
        return
    if report.bytes:
        yield f"swept {plural(report.objects, 'object')}, {report.bytes / 1e6:,.1f} MB: {reason}"
    yield from (f"sweep: {why}" for why in (*report.failed.values(), *report.notes))


def _mirror_models(project: Project) -> Iterable[str]:
    """Mirror what people and rollouts made live since the last run."""
    return catch_up_mlflow(project.workspace)


def _check_alerts(project: Project) -> Iterable[str]:
    failures = project.alerts.check().failures
    # It is an incident now, which ends with the next checks.
    forget_killed(project.home, project.workspace.declared.name, project.environment)
    return failures


def _send_note(project: Project) -> Iterable[str]:
    """Send the note of the week, in its time."""
    if project.settings.scorecard.weekly is None:
        return ()
    return project.weekly_notes.send_due()


def _dues(project: Project) -> tuple[Due, ...]:
    """The times at which something is due that no change of a source tells."""
    return (
        *_schedule_dues(project),
        *_training_dues(project),
        *_off_peak_dues(project),
        *_review_dues(project),
        *_alert_dues(project),
        *_budget_dues(project),
        *_note_dues(project),
    )


def _note_dues(project: Project) -> Iterator[Due]:
    if project.settings.scorecard.weekly is None:
        return
    at = project.weekly_notes.due()
    if at is not None:
        yield Due(task=DutyTask.UPKEEP, at=at, because="the note of the week is due")


def _alert_dues(project: Project) -> Iterator[Due]:
    at = project.alerts.due()
    if at is not None:
        yield Due(task=DutyTask.UPKEEP, at=at, because="an incident is to be told or closed")


def _budget_dues(project: Project) -> Iterator[Due]:
    """The month in which a budget that is used up begins again."""
    space = project.workspace
    state = project.tools.ledger.state(project.environment)
    if not space.has_budgets(state):
        return
    statuses = import_module("tidemill.project.budgets").statuses_of(space, state)
    at = next_month(project.settings, statuses, project.tools.clock())
    if at is not None:
        yield Due(task=DutyTask.RUN, at=at, because="the budgets of the next month begin")


def _schedule_dues(project: Project) -> Iterator[Due]:
    if not project.settings.schedules:
        return
    schedules = project.schedules
    own = {
        each.name
        for each in schedules.declared.schedules
        if each.environment == project.environment
    }
    for next_one in schedules.upcoming(project.tools.clock()):
        if next_one.schedule in own and next_one.due is not None:
            because = f"schedule {next_one.schedule}: {next_one.because}"
            yield Due(task=DutyTask.RUN, at=next_one.due, because=because)


def _off_peak_dues(project: Project) -> Iterator[Due]:
    if project.plans.off_peak is not None:
        for work in recorded_works(project.tools.ledger, project.environment):
            yield Due(task=DutyTask.OFF_PEAK, at=work.start, because=f"{work.name} is cheaper then")


def _review_dues(project: Project) -> Iterator[Due]:
    for state in open_reviews(project.tools.ledger, project.environment).values():
        if state.expires is not None:
            because = f"the time to decide review {state.review.id} ends"
            yield Due(task=DutyTask.UPKEEP, at=state.expires, because=because)


def _training_dues(project: Project) -> Iterator[Due]:
    heads = project.tools.ledger.state(project.environment).heads
    for stage in project.flow.stages:
        retrain = stage.training.retrain if stage.training is not None else None
        head = heads.get(stage.name)
        if retrain is None or head is None or not head.partitions:
            continue
        trained = max(binding.at for binding in head.partitions.values())
        for trigger in leaf_triggers(retrain):
            if isinstance(trigger, MaxAge):
                moment = datetime.fromtimestamp(trained, UTC).replace(tzinfo=None)
                age = (moment - trigger.span.before(moment)).total_seconds()
                yield Due(
                    task=DutyTask.RUN, at=trained + age, because=f"{stage.name} has {trigger}"
                )
