"""Execute a plan: one step after the other under a lease, everything published as it is done."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tidemill.act.idle import peak_rss
from tidemill.act.publish import Publisher
from tidemill.act.steps import Steps
from tidemill.act.tenure import Heartbeat, Holdings, Meter
from tidemill.act.tools import Progress, Tools
from tidemill.decide.measure import Price, tally
from tidemill.decide.recipe import Recipe
from tidemill.domain.errors import ConflictError, TidemillError
from tidemill.domain.event import Event, RecipeChanged, RunEnded, RunStarted, SourceSeen
from tidemill.domain.plan import Plan
from tidemill.domain.run import Attempt, Outcome, Receipt, Status
from tidemill.domain.source import SourceFile
from tidemill.domain.stage import Flow
from tidemill.ports import Guard, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A plan with all that it takes to execute it."""

    tools: Tools
    flow: Flow
    recipes: Mapping[str, Recipe]
    plan: Plan
    state: State
    run: str
    command: str
    price: Price
    progress: Progress


def execute(job: Job, lease: Heartbeat, messages: Sequence[str]) -> Receipt:
    """Run the steps of a plan; a step that fails stops only what needs it.

    Raises ConflictError when the heads moved since the plan was made, and StorageError when state
    can't be written; everything published before stays.
    """
    _refuse_moved(job)
    meter = Meter()
    attempts: list[Attempt] = []
    publisher = _begin(job, lease)
    status = Status.FAILED
    try:
        _work(job, publisher, attempts)
        publisher.close()
        status = Status.OK
    except KeyboardInterrupt:
        status = Status.INTERRUPTED
        publisher.close()
    finally:
        receipt = _receipt(job, attempts, status, meter, messages)
        _end(job, lease, receipt, attempts)
    return receipt


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


def _begin(job: Job, lease: Heartbeat) -> Publisher:
    environment = job.plan.environment
    events: list[Event] = [
        RunStarted(
            run=job.run,
            environment=environment,
            command=job.command,
            holder=lease.lease.holder,
            steps=len(job.plan.steps),
        )
    ]
    for stage, files in job.plan.sources.items():
        known: Mapping[str, SourceFile] = job.state.sources.get(stage, {})
        fresh = tuple(file for path, file in files.items() if known.get(path) != file)
        broken = job.plan.broken.get(stage, {})
        gone = tuple(path for path in known if path not in files and path not in broken)
        if fresh or gone:
            events.append(SourceSeen(environment=environment, stage=stage, files=fresh, gone=gone))
    job.tools.ledger.append(events, now=job.tools.clock(), guard=Guard(lease=lease.lease))
    heads = {name: head.version for name, head in job.state.heads.items()}
    return Publisher(job.tools, environment, lease.lease, heads)


def _work(job: Job, publisher: Publisher, attempts: list[Attempt]) -> None:
    steps = Steps(
        tools=job.tools,
        flow=job.flow,
        recipes=job.recipes,
        plan=job.plan,
        holdings=Holdings.of(job.state),
        run=job.run,
    )
    for number, step in enumerate(job.plan.steps):
        job.progress(number, len(job.plan.steps), step)
        done = steps.do(step)
        if done.attempt is not None and done.parcel is not None:
            attempts.append(done.attempt)
            publisher.send(done.parcel)


def _receipt(
    job: Job, attempts: Sequence[Attempt], status: Status, meter: Meter, messages: Sequence[str]
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
    if status is Status.OK and (bad or faults):
        status = Status.FAILED
    return Receipt(
        run=job.run,
        status=status,
        stages=tally(job.flow.names, attempts, job.plan),
        wall_s=wall,
        cpu_s=cpu,
        peak_rss=peak_rss(),
        cost=job.price.of(cpu),
        currency=job.price.currency,
        exit_code=130 if status is Status.INTERRUPTED else code,
        messages=(*messages, *faults, *(a.message for a in bad)),
    )


def _end(job: Job, lease: Heartbeat, receipt: Receipt, attempts: Sequence[Attempt]) -> None:
    """Close the run in the ledger; recipes count as the stage's own once nothing of it is left to do."""
    failed = {a.stage for a in attempts if a.outcome in (Outcome.FAILED, Outcome.SKIPPED)}
    events: list[Event] = []
    if receipt.status in (Status.OK, Status.FAILED):
        events += [
            RecipeChanged(
                environment=job.plan.environment,
                stage=name,
                recipe=recipe.digest,
                parts=dict(recipe.parts),
            )
            for name, recipe in job.recipes.items()
            if name not in failed and job.state.recipes.get(name) != recipe.parts
        ]
    events.append(RunEnded(run=job.run, status=receipt.status, receipt=receipt))
    try:
        job.tools.ledger.append(events, now=job.tools.clock(), guard=Guard(lease=lease.lease))
    except TidemillError:
        # The next command closes a run whose end could not be written; the first error is the one
        # to show, and only when there is none is this one.
        if sys.exc_info()[1] is None or receipt.status is Status.OK:
            raise
