"""Execute a plan: its steps under a lease, everything published as it is done, and the sum of it all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tidemill.core.errors import ConflictError, TidemillError
from tidemill.history.io.log_recorder import Recorder
from tidemill.ledger.event import Event, RunEnded
from tidemill.ledger.run import Action, Attempt, Outcome, Receipt, Status
from tidemill.planning.data_stages import FILES
from tidemill.ports.ledger import Guard
from tidemill.runs.failures import failures_of
from tidemill.runs.io.atomic_publisher import Holding
from tidemill.runs.io.claims import Claimed
from tidemill.runs.io.idle_run import peak_rss
from tidemill.runs.io.job import Job, beginning, marks_settled, recipes_settled
from tidemill.runs.io.lease import Heartbeat
from tidemill.runs.io.meter import Meter, with_children
from tidemill.runs.io.published_view import Holdings
from tidemill.runs.io.publisher import Publisher
from tidemill.runs.io.scheduler import Running
from tidemill.runs.io.step_lifecycle import Steps
from tidemill.runs.io.table_age import Aged, aged
from tidemill.runs.io.table_checks import Bench
from tidemill.runs.totals import tally
from tidemill.sources.scan import is_apart
from tidemill.steps.io.step_runner import Workshop
from tidemill.workflow.source import SourceFile


def execute(job: Job, lease: Heartbeat, messages: Sequence[str]) -> Receipt:
    """Run the steps of a plan; a step that fails stops only what needs it.

    Raises ConflictError when the heads moved since the plan was made, and StorageError when state
    can't be written; everything published before stays.
    """
    _refuse_moved(job)
    meter = Meter(with_children)
    holdings = Holdings.of(job)
    claimed = Claimed(job.tools.claims)
    publisher = _begin(job, lease, claimed)
    running = _running(job, holdings, publisher, claimed)
    attempts = running.attempts
    status, broke = Status.FAILED, True
    try:
        running.all()
        publisher.close()
        status = _committed(publisher, attempts)
        broke = False
    except KeyboardInterrupt:
        status = Status.INTERRUPTED
        publisher.close()
        broke = False
    finally:
        publisher.stop()
        claimed.give_all()
        done = status is Status.OK
        age = aged(job, holdings.published, publisher.heads) if done else Aged()
        words = [*messages, *running.notes, *_withheld(job, status)]
        receipt = _receipt(job, attempts, status, meter, words, age)
        settled = _settled(job, holdings, attempts, publisher) if done else []
        _end(job, lease, receipt, [*settled, *age.events], quiet=broke)
    return receipt


def _committed(publisher: Publisher, attempts: Sequence[Attempt]) -> Status:
    """How a run ends whose steps were all tried. One that publishes at once does it if all went well."""
    if isinstance(publisher, Holding):
        if any(attempt.outcome in (Outcome.FAILED, Outcome.SKIPPED) for attempt in attempts):
            return Status.FAILED
        publisher.commit()
    return Status.OK


def _withheld(job: Job, status: Status) -> Iterator[str]:
    if job.at_once and status is not Status.OK:
        yield (
            f"nothing was published: {job.plan.environment} is as it was; what was computed is kept, and "
            "bound when this is done again"
        )


def _refuse_moved(job: Job) -> None:
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


def _begin(job: Job, lease: Heartbeat, claimed: Claimed) -> Publisher:
    guard = Guard(lease=lease.lease)
    job.tools.ledger.append(beginning(job, lease.lease), now=job.tools.clock(), guard=guard)
    heads = {name: head.version for name, head in job.state.heads.items()}
    kind = Holding if job.at_once else Publisher
    return kind(job.tools, job.plan.environment, lease.lease, heads, claimed.give)


def _running(job: Job, holdings: Holdings, publisher: Publisher, claimed: Claimed) -> Running:
    recorder = Recorder(job.tools.logs / job.run)

    def shop(coming: Mapping[str, Mapping[str, SourceFile]]) -> Workshop:
        return Workshop(
            job.tools,
            job.flow,
            job.recipes,
            job.plan.environment,
            recorder,
            settle=publisher.settle,
            coming=coming,
        )

    own = shop(_coming(job))
    bench = Bench(job.flow, holdings, own.frames, publisher.heads, publisher.settle)
    steps = Steps(job, holdings, own, bench, claimed.take)
    return Running(job, steps, own, publisher, claimed, lambda: shop({}))


def _coming(job: Job) -> dict[str, dict[str, SourceFile]]:
    """By ingest stage, the files that are a partition each, in the order of their steps."""
    found: dict[str, dict[str, SourceFile]] = {}
    for step in job.plan.steps:
        if step.action is Action.RUN and len(paths := step.reads.get(FILES, ())) == 1:
            file = job.plan.sources[step.stage][paths[0]]
            if is_apart(step.partition, {file.path: file}):
                found.setdefault(step.stage, {})[file.path] = file
    return found


def _settled(
    job: Job, holdings: Holdings, attempts: Sequence[Attempt], publisher: Publisher
) -> list[Event]:
    """What holds for whole stages now that all steps were tried."""
    touched = {
        attempt.stage
        for attempt in attempts
        if (held := holdings.get(attempt.stage, attempt.partition)) is not None and held.touched
    }
    return [
        *recipes_settled(job, holdings.all),
        *marks_settled(job, attempts, touched, publisher.heads),
    ]


def _receipt(
    job: Job,
    attempts: Sequence[Attempt],
    status: Status,
    meter: Meter,
    messages: Sequence[str],
    age: Aged,
) -> Receipt:
    wall, cpu = meter.read()
    faults = [
        f"{stage}: {message}"
        for stage, files in job.plan.broken.items()
        for message in files.values()
    ]
    bad = [a for a in attempts if a.outcome in (Outcome.FAILED, Outcome.REFUSED)]
    code = max([a.exit_code for a in bad] + [1] * bool(faults), default=0)
    if any(a.outcome is Outcome.FAILED and a.exit_code == 1 for a in bad) or faults:
        code = 1
    code = code or age.exit_code
    if status is Status.OK and (bad or code):
        status = Status.FAILED
    stages = tally(job.flow.names, attempts, job.plan)
    return Receipt(
        run=job.run,
        status=status,
        stages=stages,
        wall_s=wall,
        cpu_s=cpu,
        peak_rss=max([peak_rss(), *(attempt.peak_rss for attempt in attempts)]),
        cost=job.price.of(cpu) + sum(stage.memo.spent for stage in stages if stage.memo),
        currency=job.price.currency,
        exit_code=130 if status is Status.INTERRUPTED else code,
        messages=(*messages, *faults, *_told(attempts), *age.messages),
        failures=failures_of(attempts, job.plan.steps),
    )


def _told(attempts: Sequence[Attempt]) -> Iterator[str]:
    """What went wrong, and every gate's verdict."""
    for attempt in attempts:
        failed = attempt.outcome in (Outcome.FAILED, Outcome.REFUSED)
        judged = attempt.action == Action.GATE and attempt.outcome is Outcome.OK
        if attempt.message and (failed or judged):
            yield attempt.message


def _end(
    job: Job, lease: Heartbeat, receipt: Receipt, settled: Sequence[Event], *, quiet: bool
) -> None:
    """Close the run in the ledger. With `quiet` another error is on its way, which is the one to show.

    The next command closes a run whose end could not be written.
    """
    events = (*settled, RunEnded(run=job.run, status=receipt.status, receipt=receipt))
    try:
        job.tools.ledger.append(events, now=job.tools.clock(), guard=Guard(lease=lease.lease))
    except TidemillError:
        if not quiet:
            raise
