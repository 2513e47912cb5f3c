"""The record of a run as a whole: the events of its start and its end, the age of tables, and its receipt.

Nothing here needs Polars, so that a run with nothing to do never imports it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING

from tidemill.contracts.finding import TableFindings
from tidemill.core.counts import plural
from tidemill.core.errors import BudgetError, ContractError, exit_severity
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import WHOLE
from tidemill.costs.io.recorded_prices import price_events
from tidemill.costs.quantities import Quantities, total_quantities
from tidemill.governance.io.upheld_append import append_upheld
from tidemill.ledger.binding import Binding
from tidemill.ledger.event import (
    Attempted,
    Event,
    Judged,
    RecipeChanged,
    RunEnded,
    RunStarted,
    Settled,
    SourceSeen,
)
from tidemill.ledger.io.process_usage import Stopwatch, cpu_with_children, peak_memory
from tidemill.ledger.price import GB
from tidemill.ledger.redacted import redacted_attempt, redacted_receipt
from tidemill.ledger.run import FAILURES, Action, Attempt, Failure, Outcome, Receipt, Status
from tidemill.planning.completion import completion_marks
from tidemill.planning.freshness import check_freshness
from tidemill.planning.missing_rows import MISSING_EXIT_CODE, missing_lines
from tidemill.planning.source_changes import source_changes
from tidemill.ports.ledger import Guard, Lease
from tidemill.runs.io.job import Job
from tidemill.runs.totals import sum_stages
from tidemill.workflow.model import Artifact
from tidemill.workflow.stage import Kind

if TYPE_CHECKING:
    from tidemill.delivery.io.outbox import Undelivered
    from tidemill.planning.plan import Step


def start_events(job: Job, lease: Lease) -> list[Event]:
    """Return the events of a run's start, and of files in its sources that are new, changed or gone.

    Also new prices, and what was decided before it, unless all is published at its end.
    """
    environment = job.plan.environment
    events: list[Event] = [
        RunStarted(
            run=job.run,
            environment=environment,
            command=job.command,
            holder=lease.holder,
            steps=len(job.plan.steps),
            actor=job.actor,
        )
    ]
    decided = () if job.governance is None or job.at_once else job.governance.first
    prices = price_events(job.tools.ledger, environment, job.prices)
    return [*prices, *events, *_source_events(job), *decided]


def tick_events(job: Job, receipt: Receipt) -> list[Event]:
    """The tick of a schedule that a run consumed, unless it is to be run again."""
    scheduled = job.tick
    if scheduled is None or receipt.status is Status.INTERRUPTED:
        return []
    # A table that is only stale has no failures: to run again would not help it.
    if scheduled.retried and receipt.has_failed and receipt.failures:
        return []
    return [replace(scheduled.tick, run=job.run)]


def _source_events(job: Job) -> Iterator[SourceSeen]:
    now = job.tools.clock()
    for stage in job.plan.sources:
        known = job.state.sources.get(stage, {})
        if (seen := source_changes(job.plan, stage, known, now)) is not None:
            files, gone = seen
            yield SourceSeen(environment=job.plan.environment, stage=stage, files=files, gone=gone)


def recipe_events(job: Job, bound: Callable[[str], Iterable[Binding]]) -> list[Event]:
    """Record the recipes of stages whose published partitions were all computed by it.

    An evaluation also has scores of earlier candidates, which stay as they are. `bound` is called only for
    stages whose recipe changed.
    """
    events: list[Event] = []
    for name, recipe in job.recipes.items():
        if not job.recipe_changed(name):
            continue
        made = [held.recipe == recipe.digest for held in bound(name)]
        if any(made) or not made if job.flow[name].kind is Kind.EVALUATE else all(made):
            events.append(
                RecipeChanged(
                    environment=job.plan.environment,
                    stage=name,
                    recipe=recipe.digest,
                    parts=dict(recipe.parts),
                )
            )
    return events


def completion_events(
    job: Job,
    attempts: Sequence[Attempt],
    touched: Collection[str],
    versions: Mapping[str, int],
    live: Mapping[str, Artifact],
) -> list[Event]:
    """Record the stages that this run leaves wholly up to date, unless that is recorded already.

    `versions` are those of the heads at the end of the run, `live` the models that it left live.
    """
    marks = completion_marks(
        job.flow, job.recipes, job.plan, attempts, touched, versions, job.state.rulings, live
    )
    dropped = {event.stage for event in _source_events(job)}
    return [
        Settled(environment=job.plan.environment, stage=name, mark=mark)
        for name, mark in marks.items()
        if name in dropped or job.state.completion_marks.get(name) != mark
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableAges:
    """The findings about the age of tables: messages, new events, and the exit code."""

    messages: tuple[str, ...] = ()
    events: tuple[Judged, ...] = ()
    exit_code: int = 0


def check_table_ages(
    job: Job, published: Callable[[str], Iterable[Binding]], versions: Mapping[str, int]
) -> TableAges:
    """Check the age of every table in the plan whose contract has a freshness rule.

    `published` returns the published partitions of a stage, `versions` are those of the heads.
    """
    now = job.tools.clock()
    verdicts = {
        name: verdict
        for name in job.plan.aging
        if (verdict := check_freshness(job.flow[name], published(name), versions.get(name, 0), now))
    }
    if not verdicts:
        return TableAges()
    found = [(name, item) for name, verdict in verdicts.items() for item in verdict.findings]
    return TableAges(
        messages=tuple(f"{name}: {finding.message}" for name, finding in found),
        events=tuple(_changed_verdicts(job, verdicts)),
        exit_code=ContractError.exit_code if any(f.severity == "fail" for _, f in found) else 0,
    )


def _changed_verdicts(job: Job, verdicts: Mapping[str, TableFindings]) -> Iterator[Judged]:
    """The verdicts whose broken rules differ from those of the last verdict, or from none."""
    environment = job.plan.environment
    for name, verdict in verdicts.items():
        before = next(_judged(job, name, environment), frozenset())
        if _broken_rules(verdict) != before:
            yield Judged(environment=environment, stage=name, run=job.run, verdict=verdict)


def _judged(job: Job, stage: str, environment: str) -> Iterator[frozenset[str]]:
    """The rules that the verdicts on a table found broken, newest first."""
    facts = job.tools.ledger.events(kinds=(Judged.__name__,), stage=stage, newest=True)
    for fact in facts:
        if isinstance(fact.event, Judged) and fact.event.environment == environment:
            yield _broken_rules(fact.event.verdict)


def _broken_rules(verdict: TableFindings) -> frozenset[str]:
    return frozenset(finding.rule for finding in verdict.findings)


def receipt_of(
    job: Job,
    attempts: Sequence[Attempt],
    status: Status,
    watch: Stopwatch,
    messages: Sequence[str],
    age: TableAges,
) -> Receipt:
    """Sum up the attempts of a run that ended with `status`; stale tables, failures, lost rows count."""
    wall, cpu = watch.read()
    bad = [a for a in attempts if a.outcome in FAILURES]
    lost = missing_lines(job.plan)
    stopped = [a.exit_code for a in attempts if a.exit_code == BudgetError.exit_code]
    codes = [a.exit_code for a in bad] + stopped + [MISSING_EXIT_CODE if lost else age.exit_code]
    code = max(codes, key=exit_severity)
    if status is Status.OK and (bad or code):
        status = Status.FAILED
    stages = sum_stages(tuple(job.plan.current), attempts, job.plan.current)
    steps, held = total_quantities(attempts), peak_memory()
    memory = steps.memory_gb_s + held / GB * wall
    beside = Quantities(cpu_s=cpu, memory_gb_s=memory).beyond(steps)
    return Receipt(
        run=job.run,
        status=status,
        stages=stages,
        wall_s=wall,
        cpu_s=cpu,
        peak_rss=max([held, *(attempt.peak_rss for attempt in attempts)]),
        cost=steps.cost(job.price) + beside.cost(job.price),
        currency=job.price.currency,
        exit_code=130 if status is Status.INTERRUPTED else code,
        # A sink that fails says the same of each partition.
        messages=(*messages, *dict.fromkeys(_messages(attempts)), *age.messages, *lost),
        failures=_group_failures(attempts, job.plan.steps) if bad else (),
        memory_gb_s=memory,
        off_peak=job.saving(stages) if job.saving is not None else None,
        # Without a part of the steps it can't be compared with the cost.
        estimated_cost=None if job.plan.estimate.unknown else job.plan.cost,
    )


def _group_failures(attempts: Sequence[Attempt], steps: Sequence[Step]) -> tuple[Failure, ...]:
    # Most runs have none.
    found: tuple[Failure, ...] = import_module("tidemill.runs.failures").group_failures(
        attempts, steps
    )
    return found


def _messages(attempts: Sequence[Attempt]) -> Iterator[str]:
    """The messages of steps that failed, of gates and rules, and about trainings and evaluations."""
    # A delivery has a message only where rules warn about it.
    telling = (Action.GATE, Action.TRAIN, Action.EVALUATE, Action.DELIVER)
    for attempt in attempts:
        failed = attempt.outcome in FAILURES
        warned = attempt.action in telling and attempt.outcome is Outcome.OK
        if attempt.message and (failed or warned):
            yield attempt.message


def unread_sources(job: Job) -> list[Attempt]:
    """The failures of sources that can't be read; of which partitions they are isn't known."""
    return [
        Attempt(
            stage=stage,
            partition=WHOLE,
            action=Action.RUN,
            outcome=Outcome.FAILED,
            message=f"{stage}: {_unread(files)}",
            exit_code=1,
        )
        for stage, files in job.plan.broken.items()
        if files
    ]


def _unread(files: Mapping[str, str]) -> str:
    """Why files can't be read: of the first one, since thousands may fail for the same reason."""
    first = next(iter(files.values()))
    return f"{first} (and {plural(len(files) - 1, 'more file')})" if len(files) > 1 else first


def failed_deliveries(failed: Iterable[Undelivered]) -> list[Attempt]:
    """The attempts at deliveries whose sinks failed."""
    return [
        Attempt(
            stage=item.effect.stage,
            partition=item.effect.partition,
            action=Action.DELIVER,
            outcome=Outcome.FAILED,
            message=item.message,
            exit_code=1,
        )
        for item in failed
    ]


def attempt_events(job: Job, attempts: Iterable[Attempt]) -> list[Event]:
    """Record attempts, without secrets in their texts."""
    return [
        Attempted(
            run=job.run,
            environment=job.plan.environment,
            attempt=redacted_attempt(attempt, job.tools.redactor.redact),
        )
        for attempt in attempts
    ]


def record_idle_run(job: Job, lease: Lease, messages: Sequence[str]) -> Receipt:
    """Record a run that found everything up to date."""
    watch = Stopwatch(cpu_with_children, job.cpu_began)
    heads = job.state.heads
    versions = {name: head.version for name, head in heads.items()}

    def bound(stage: str) -> Iterable[Binding]:
        return heads[stage].partitions.values() if stage in heads else ()

    age = check_table_ages(job, bound, versions)
    late = failed_deliveries(job.undelivered)
    if job.budget is not None:
        messages = [*messages, *job.budget.messages(())]
    receipt = receipt_of(job, late, Status.OK, watch, messages, age)
    receipt = redacted_receipt(receipt, job.tools.redactor.redact)
    live = {name: delivery.artifact for name, delivery in job.state.live.items()}
    events = (
        *start_events(job, lease),
        # With nothing to publish at the end, what was decided before is recorded here.
        *(job.governance.first if job.governance is not None and job.at_once else ()),
        *attempt_events(job, late),
        *recipe_events(job, bound),
        *completion_events(job, (), (), versions, live),
        *age.events,
        *tick_events(job, receipt),
        RunEnded(run=job.run, status=receipt.status, receipt=receipt),
    )
    append_upheld(
        job.tools.ledger,
        job.plan.environment,
        events,
        now=job.tools.clock(),
        guard=Guard(lease=lease),
        rests_on=job.rests_on,
    )
    return receipt
