"""What one can go to by name: stages with their columns, runs, reviews, models, endpoints, environments."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from urllib.parse import quote

from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.permissions import Permission
from tidemill.governance.review_page import question
from tidemill.ledger.run import Status
from tidemill.project.project import Project
from tidemill.project.run_words import read_run_words
from tidemill.workflow.environment import PRODUCTION

_RUNS, _VERSIONS, _COLUMNS, _MOST = 20, 20, 5_000, 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedPlace:
    """A page about something with a `name`: what it is `about`, other `words` for it, and its `path`.

    One that `is_first` comes before others that fit what is typed: the open review, if there is one only.
    """

    name: str
    about: str
    path: str
    words: str = ""
    is_first: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacesView:
    """What one can go to by name, beside the pages themselves."""

    places: tuple[NamedPlace, ...]


def list_places(project: Project) -> PlacesView:
    """List what one can go to by name: stages, columns, runs, reviews, models, endpoints, environments."""
    project.workspace.require(Permission.READ)
    return PlacesView(places=tuple(islice(_places(project), _MOST)))


def _places(project: Project) -> Iterator[NamedPlace]:
    yield from _reviews(project)
    yield from _runs(project)
    yield NamedPlace(
        name="Costs of last month", about="costs", path="/costs?since=last-month", words="spent"
    )
    for name in project.models:
        words = f"roll back {name} rollback versions"
        yield NamedPlace(name=name, about="model", path=_path("models", name), words=words)
        for version in project.models[name].versions[:_VERSIONS]:
            yield NamedPlace(
                name=version.id,
                about=f"version of {name}, {version.state}",
                path=_path("models", name, "versions", version.id),
            )
    for endpoint in project.flow.endpoints:
        yield NamedPlace(
            name=endpoint.name, about="endpoint", path=_path("endpoints", endpoint.name)
        )
    for name in (PRODUCTION, *(each.name for each in project.environments.list())):
        path = f"/now?env={quote(name)}"
        yield NamedPlace(name=name, about="environment", path=path, words="switch env")
    for stage in project.flow.stages:
        about = f"{stage.kind} stage"
        yield NamedPlace(
            name=stage.name, about=about, path=_path("stages", stage.name), words="data"
        )
    yield from islice(_columns(project), _COLUMNS)


def _reviews(project: Project) -> Iterator[NamedPlace]:
    states = project.reviews.list()
    for state in states:
        review = state.review
        words = f"{review.id} approve reject decide vote"
        yield NamedPlace(
            name=question(review),
            about="open review",
            path=_path("reviews", review.id),
            words=words,
            is_first=len(states) == 1,
        )


def _runs(project: Project) -> Iterator[NamedPlace]:
    runs = project.history.runs(_RUNS)
    words = read_run_words(project.workspace.tools.ledger, runs)
    here = (run for run in runs if run.environment == project.environment)
    failed = next(
        (run for run in here if run.status is Status.FAILED and run.id not in words), None
    )
    if failed is not None:
        path = _path("runs", failed.id)
        yield NamedPlace(
            name="Last failed run", about=failed.id, path=path, words="why failed error"
        )
    for run in runs:
        yield NamedPlace(
            name=run.id,
            about=f"run in {run.environment}, {words.get(run.id, run.status)}",
            path=_path("runs", run.id),
            words=run.command,
        )


def _columns(project: Project) -> Iterator[NamedPlace]:
    for stage in project.flow.stages:
        for name in stage.output.names if stage.output is not None else ():
            path = _path("lineage", stage.name, name)
            about = f"column of {stage.name}, lineage"
            words = f"{stage.name}.{name} who reads"
            yield NamedPlace(name=name, about=about, path=path, words=words)


def _path(*parts: str) -> str:
    return "".join(f"/{quote(part, safe='')}" for part in parts)
