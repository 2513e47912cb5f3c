"""A plan with all that it takes to execute it, and what the ledger is told of it besides its steps.

Nothing here needs Polars, so that a run with nothing to do never imports it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tidemill.ledger.binding import Binding
from tidemill.ledger.event import Event, RecipeChanged, RunStarted, Settled, SourceSeen
from tidemill.ledger.run import Attempt
from tidemill.planning.completion import settled_by
from tidemill.planning.plan import Plan
from tidemill.ports.artifacts import Artifacts
from tidemill.ports.ledger import Lease, State
from tidemill.ports.runtime import Tools
from tidemill.reuse.recipe import Recipe
from tidemill.runs.io.engine_options import Elsewhere
from tidemill.runs.io.progress_listener import Progress
from tidemill.runs.totals import Price
from tidemill.workflow.source import SourceFile
from tidemill.workflow.stage import Flow, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A plan with all that it takes to execute it; `at_once` all is published at its end, or nothing."""

    tools: Tools
    flow: Flow
    recipes: Mapping[str, Recipe]
    plan: Plan
    state: State
    run: str
    command: str
    price: Price
    progress: Progress
    elsewhere: Elsewhere
    at_once: bool = False


def absent_from(artifacts: Artifacts, plan: Plan, state: State) -> frozenset[str]:
    """Objects that a plan's steps would read or bind, and that aren't stored any more."""
    bound = {name: head.partitions for name, head in state.heads.items()}
    wanted = {
        pin
        for step in plan.steps
        for name, keys in (*step.reads.items(), (step.stage, (step.partition,)))
        for key in keys
        if (held := bound.get(name, {}).get(key)) is not None
        for pin in held.product.pins
    }
    return frozenset(artifacts.missing(wanted)) if wanted else frozenset()


def beginning(job: Job, lease: Lease) -> list[Event]:
    """That the run started, and the files that it saw."""
    environment = job.plan.environment
    events: list[Event] = [
        RunStarted(
            run=job.run,
            environment=environment,
            command=job.command,
            holder=lease.holder,
            steps=len(job.plan.steps),
        )
    ]
    return [*events, *_seen(job)]


def _seen(job: Job) -> Iterator[SourceSeen]:
    for stage, files in job.plan.sources.items():
        known: Mapping[str, SourceFile] = job.state.sources.get(stage, {})
        # A file that seems unchanged is the very record that is known; to compare it takes longer.
        fresh = tuple(
            file
            for path, file in files.items()
            if (before := known.get(path)) is not file and before != file
        )
        broken = job.plan.broken.get(stage, {})
        gone = tuple(path for path in known if path not in files and path not in broken)
        # Without any file the whole source is broken, and what it had isn't taken for gone.
        if fresh or (gone and files):
            yield SourceSeen(environment=job.plan.environment, stage=stage, files=fresh, gone=gone)


def changed(job: Job, stage: str) -> bool:
    """Whether a stage's recipe is another than the one that is recorded as its own."""
    return job.state.recipes.get(stage) != job.recipes[stage].parts


def recipes_settled(job: Job, bound: Callable[[str], Iterable[Binding]]) -> list[Event]:
    """That a recipe is a stage's own, for stages that hold nothing made by another.

    An evaluation also holds the scores of candidates that were decided on, which stay as they are.
    `bound` is asked only for stages whose recipe changed.
    """
    events: list[Event] = []
    for name, recipe in job.recipes.items():
        if not changed(job, name):
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


def marks_settled(
    job: Job, attempts: Sequence[Attempt], touched: Collection[str], versions: Mapping[str, int]
) -> list[Event]:
    """The marks of stages that this run leaves wholly current, where they aren't recorded already.

    `versions` are those of the heads at its end.
    """
    marks = settled_by(
        job.flow, job.recipes, job.plan, attempts, touched, versions, job.state.rulings
    )
    dropped = {event.stage for event in _seen(job)}
    return [
        Settled(environment=job.plan.environment, stage=name, mark=mark)
        for name, mark in marks.items()
        if name in dropped or job.state.settled.get(name) != mark
    ]
