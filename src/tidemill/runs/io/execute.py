"""Execute a plan: run its steps under a lease, publish their output, and sum it up in a receipt."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tidemill.core.errors import ConflictError, TidemillError
from tidemill.governance.io.upheld_append import append_upheld
from tidemill.history.io.log_recorder import LogRecorder
from tidemill.ledger.event import Attempted, Event, RunEnded
from tidemill.ledger.io.process_usage import Stopwatch, cpu_with_children
from tidemill.ledger.redacted import redacted_receipt
from tidemill.ledger.run import Action, Attempt, Outcome, Receipt, Status
from tidemill.planning.data_stages import FILES
from tidemill.ports.ledger import Guard, Lease
from tidemill.runs.io.change_decisions import ChangeDecisions
from tidemill.runs.io.claims import ClaimSet
from tidemill.runs.io.drift_checks import DriftFindings, check_drift
from tidemill.runs.io.engines import Engines, LocalSteps
from tidemill.runs.io.job import Job
from tidemill.runs.io.lease import Heartbeat
from tidemill.runs.io.published_view import PublishedView
from tidemill.runs.io.publisher import AtomicPublisher, Publication, Publisher
from tidemill.runs.io.run_record import (
    TableAges,
    attempt_events,
    check_table_ages,
    completion_events,
    failed_deliveries,
    receipt_of,
    recipe_events,
    start_events,
    tick_events,
    unread_sources,
)
from tidemill.runs.io.scheduler import Scheduler, place_steps
from tidemill.runs.io.step_lifecycle import StepLifecycle
from tidemill.runs.io.step_progress import failed_attempt, is_missing
from tidemill.runs.io.table_checks import TableChecker
from tidemill.runs.io.withheld_tables import WithheldTables
from tidemill.sources.scan import feeds_only
from tidemill.steps.io.step_runner import StepRunner
from tidemill.steps.step_messages import StepFailure
from tidemill.workflow.source import SourceFile

if TYPE_CHECKING:
    from tidemill.memos.io.segments import SegmentIndex

# Outcomes of a step with an output, or a delivery that is queued.
_DONE = (Outcome.OK, Outcome.BOUND)


def execute(job: Job, lease: Heartbeat, messages: Sequence[str]) -> Receipt:
    """Run the steps of a plan; a step that fails stops the steps that need it, or all that haven't begun.

    Raises ConflictError when the heads moved since the plan was made, GateError when a person decided
    meanwhile against what goes on, and StorageError when state can't be written; everything published before
    stays.
    """
    _require_unmoved_heads(job)
    execution = _Execution(job, lease)
    status, broke = Status.FAILED, True
    try:
        execution.run_steps()
        status = execution.commit()
        broke = False
    except KeyboardInterrupt:
        status = Status.INTERRUPTED
        execution.publisher.close()
        broke = False
    finally:
        receipt = execution.end(status, messages, quiet=broke)
    return receipt


def _require_unmoved_heads(job: Job) -> None:
    moved = [
        name
        for name in {*job.plan.heads, *job.state.heads}
        if job.plan.heads.get(name, 0)
        != (job.state.heads[name].version if name in job.state.heads else 0)
    ]
    if moved:
        raise ConflictError(
            f"{', '.join(sorted(moved))} moved since the plan was made; make a new plan"
        )


class _Execution:
    """One run of a plan, from its start in the ledger to its receipt."""

    def __init__(self, job: Job, lease: Heartbeat) -> None:
        self._watch = Stopwatch(cpu_with_children, job.cpu_began)
        self._job, self._lease = job, lease
        self._published = PublishedView.of(job)
        self._claimed = ClaimSet(job.tools.claims)
        append_upheld(
            job.tools.ledger,
            job.plan.environment,
            start_events(job, lease.lease),
            now=job.tools.clock(),
            guard=Guard(lease=lease.lease),
            rests_on=job.rests_on,
        )
        heads = {name: head.version for name, head in job.state.heads.items()}
        self.publisher = publisher = _publisher(job, lease.lease, heads, self._claimed.release)
        self._recorder = LogRecorder(job.tools.logs / job.run, redactor=job.tools.redactor)
        self._placing = placing = place_steps(job)
        # CPU time of other threads is counted by the tasks that they run.
        cpu_clock = time.thread_time if "thread" in placing.places else time.process_time
        self._memo_shelves: dict[str, SegmentIndex] = {}
        runner = self._new_runner(_files_ahead(job))
        checker = TableChecker(
            job.flow, self._published, runner.frames, publisher.heads, publisher.settle
        )
        governed: ChangeDecisions = (
            job.governance.decisions(job, self._published, runner.frames, publisher.settle)
            if job.governance is not None
            else ChangeDecisions()
        )
        self._governed = governed
        self._scheduler = Scheduler(
            job,
            placing,
            StepLifecycle(
                job,
                self._published,
                runner,
                checker,
                self._claimed.take,
                governed,
                cpu_clock=cpu_clock,
            ),
            LocalSteps(runner, placing.batched, cpu_clock),
            Engines(job, self._new_runner, publisher.settle),
            publisher,
            self._claimed,
            WithheldTables(placing.order, governed, job, self._published, checker),
        )

    def _new_runner(
        self, upcoming: Mapping[str, Mapping[str, SourceFile]] | None = None
    ) -> StepRunner:
        job = self._job
        return StepRunner(
            job.tools,
            job.flow,
            job.recipes,
            job.plan.environment,
            self._recorder,
            settle=self.publisher.settle,
            upcoming=upcoming,
            memo_shelves=self._memo_shelves,
        )

    def run_steps(self) -> None:
        """Run all steps, and wait until their output is published."""
        self._job.progress.begin(self._job.plan)
        # The recorder passes output on to the streams, which the progress display has replaced by now.
        with self._recorder:
            self._scheduler.run()
        self.publisher.close()

    def commit(self) -> Status:
        """Publish what was held back to be published at once, if no step failed and nothing is kept back."""
        if isinstance(self.publisher, AtomicPublisher):
            missing = any(map(is_missing, self._scheduler.attempts))
            if self._job.plan.unsettled or self._governed.kept or missing:
                return Status.FAILED
            self.publisher.commit()
        return Status.OK

    def end(self, status: Status, messages: Sequence[str], *, quiet: bool) -> Receipt:
        """Give the claims back, and close the run in the ledger.

        With `quiet` another error is being raised, which is the one to show. The next command closes a run
        whose end could not be written.
        """
        job, published = self._job, self._published
        self.publisher.stop()
        self._claimed.release_all()
        done = status is Status.OK
        age = (
            check_table_ages(job, published.bindings, self.publisher.heads) if done else TableAges()
        )
        drift = check_drift(job, published.partitions) if done else DriftFindings()
        attest = None if quiet else job.attest
        words = [
            *messages,
            *(attest(job.run, job.state.seq) if attest is not None else ()),
            *drift.messages,
            *_unenforced_limits(self._placing.unenforced_limits),
            *_withheld_message(job, status),
            *self._scheduler.stop_messages(),
        ]
        recorded, lost = self._split_attempts()
        late = [*lost, *unread_sources(job), *self._failed_deliveries()]
        receipt = receipt_of(job, [*recorded, *late], status, self._watch, words, age)
        receipt = redacted_receipt(receipt, job.tools.redactor.redact)
        settled = self._stage_events() if done else []
        # What can't be recorded goes on when the tick is run again.
        ticked = [] if quiet else tick_events(job, receipt)
        try:
            self._append(
                [
                    *attempt_events(job, late),
                    *settled,
                    *age.events,
                    *drift.events,
                    *ticked,
                    RunEnded(run=job.run, status=receipt.status, receipt=receipt),
                ]
            )
        except TidemillError:
            if not quiet:
                raise
        return receipt

    def _split_attempts(self) -> tuple[list[Attempt], list[Attempt]]:
        """The attempts that the ledger has, and those that it lacks because publishing failed."""
        attempts, error = self._scheduler.attempts, self.publisher.error
        if error is None:
            return attempts, []
        kinds, ledger = (Attempted.__name__,), self._job.tools.ledger
        try:
            events = [fact.event for fact in ledger.events(kinds=kinds, run=self._job.run)]
        except TidemillError:
            return attempts, []
        names = {_name(event.attempt) for event in events if isinstance(event, Attempted)}
        known = [a for a in attempts if a.outcome is Outcome.CURRENT or _name(a) in names]
        lost = [a for a in attempts if a.outcome is not Outcome.CURRENT and _name(a) not in names]
        return known, [_unstored(attempt, error) for attempt in lost]

    def _failed_deliveries(self) -> list[Attempt]:
        """Attempts at deliveries that are still queued: of earlier runs, and of this one."""
        own = {(a.stage, a.partition) for a in self._scheduler.attempts if a.outcome in _DONE}
        left = [i for i in self._job.undelivered if (i.effect.stage, i.effect.partition) not in own]
        return failed_deliveries([*left, *self.publisher.undelivered])

    def _stage_events(self) -> list[Event]:
        """The events about whole stages, now that all steps have ended."""
        attempts = self._scheduler.attempts
        touched = {
            attempt.stage
            for attempt in attempts
            if (held := self._published.get(attempt.stage, attempt.partition)) is not None
            and held.touched
        }
        return [
            *recipe_events(self._job, self._published.all_bindings),
            *completion_events(
                self._job, attempts, touched, self.publisher.heads, self._published.live
            ),
        ]

    def _append(self, events: Sequence[Event]) -> None:
        tools = self._job.tools
        tools.ledger.append(events, now=tools.clock(), guard=Guard(lease=self._lease.lease))


def _publisher(
    job: Job, lease: Lease, heads: Mapping[str, int], release: Callable[[str], None]
) -> Publisher:
    """What publishes the steps of a run one after the other, or all of them at its end."""
    tools, environment = job.tools, job.plan.environment
    if not job.at_once:
        return Publisher(tools, environment, lease, heads, release)
    governance, first = job.governance, None
    if governance is not None and governance.first:
        first = Publication(events=governance.first, rests_on=job.rests_on)
    return AtomicPublisher(tools, environment, lease, heads, release, first)


def _name(attempt: Attempt) -> tuple[str, str, str, int]:
    """What tells an attempt from the others of its run."""
    return attempt.stage, attempt.partition, attempt.action, attempt.number


def _unstored(attempt: Attempt, error: BaseException) -> Attempt:
    """An attempt, as failed if it had succeeded, since its output couldn't be stored."""
    if attempt.outcome not in _DONE:
        return attempt
    code = error.exit_code if isinstance(error, TidemillError) else 1
    failure = StepFailure(message=f"its output wasn't stored: {error}", exit_code=code)
    return replace(failed_attempt(attempt, failure), rows_out=0, bytes_out=0)


def _files_ahead(job: Job) -> dict[str, dict[str, SourceFile]]:
    """Return by ingest stage the files that are a partition each, in the order of their steps."""
    found: dict[str, dict[str, SourceFile]] = {}
    for step in job.plan.steps:
        if step.action is Action.RUN and len(paths := step.reads.get(FILES, ())) == 1:
            file = job.plan.sources[step.stage][paths[0]]
            if feeds_only(step.partition, {file.path: file}):
                found.setdefault(step.stage, {})[file.path] = file
    return found


def _unenforced_limits(stages: Sequence[str]) -> Iterator[str]:
    for name in stages:
        yield (
            f"{name}: its timeout=, memory= and gpus= aren't enforced, because the workflow isn't in a "
            "module that a worker process could import"
        )


def _withheld_message(job: Job, status: Status) -> Iterator[str]:
    if job.at_once and status is not Status.OK:
        yield (
            f"nothing was published: {job.plan.environment} is unchanged; results are kept, and reused "
            "when this is run again"
        )
