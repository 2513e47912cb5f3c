"""The events of a run as a whole: its start, the files it saw, and the stages it leaves up to date.

Nothing here needs Polars, so that a run with nothing to do never imports it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from tidemill.ledger.binding import Binding
from tidemill.ledger.event import Event, RecipeChanged, RunStarted, Settled, SourceSeen
from tidemill.ledger.run import Attempt
from tidemill.planning.completion import completion_marks
from tidemill.ports.ledger import Lease
from tidemill.runs.io.job import Job
from tidemill.workflow.source import SourceFile
from tidemill.workflow.stage import Kind


def start_events(job: Job, lease: Lease) -> list[Event]:
    """Return the events of a run's start, and of files in its sources that are new, changed or gone."""
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
    return [*events, *_source_events(job)]


def _source_events(job: Job) -> Iterator[SourceSeen]:
    for stage, files in job.plan.sources.items():
        known: Mapping[str, SourceFile] = job.state.sources.get(stage, {})
        # A file that seems unchanged is the same object as the known record: `is` is faster than `!=`.
        fresh = tuple(
            file
            for path, file in files.items()
            if (before := known.get(path)) is not file and before != file
        )
        broken = job.plan.broken.get(stage, {})
        gone = tuple(path for path in known if path not in files and path not in broken)
        # Without any file the whole source is broken, and its files don't count as gone.
        if fresh or (gone and files):
            yield SourceSeen(environment=job.plan.environment, stage=stage, files=fresh, gone=gone)


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
    job: Job, attempts: Sequence[Attempt], touched: Collection[str], versions: Mapping[str, int]
) -> list[Event]:
    """Record the stages that this run leaves wholly up to date, unless that is recorded already.

    `versions` are those of the heads at the end of the run.
    """
    marks = completion_marks(
        job.flow, job.recipes, job.plan, attempts, touched, versions, job.state.rulings
    )
    dropped = {event.stage for event in _source_events(job)}
    return [
        Settled(environment=job.plan.environment, stage=name, mark=mark)
        for name, mark in marks.items()
        if name in dropped or job.state.completion_marks.get(name) != mark
    ]
