"""A review of a large model in a home with a long history, and what its page costs."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import tidemill as tm
from tidemill.adapters.codec.events import encode
from tidemill.governance.model_sections import ModelEvidence, MovedExamples, model_sections
from tidemill.governance.page_html import html_page
from tidemill.ledger.event import Event
from tidemill.ledger.governance_events import ReviewClosed, ReviewOpened, ReviewPageStored, Voted
from tidemill.ledger.model_version import (
    MetricComparison,
    ModelVersion,
    VersionComparison,
    VersionState,
)
from tidemill.ledger.review import Review, ReviewOutcome
from tidemill.project.project import open_project
from tidemill.project.reviews import Reviews, StoredPage
from tidemill.testing import records as samples
from tidemill.workflow.gate import Interval

REVIEWS, SLICES, METRICS, TURNS = 500, 200, 4, 7


class Rows(tm.Contract, key=("id",)):
    """The one table of the workflow."""

    id = tm.Int64()


def workflow() -> tm.Workflow:
    """A workflow that is never run."""
    flow = tm.Workflow("flights")

    @flow.ingest
    def rows() -> tm.Source[Rows]:
        return tm.files("rows/*.csv")

    return flow


def version(name: str) -> ModelVersion:
    days = {f"2013-{month:02}-{day:02}": "digest" for month in range(1, 13) for day in range(1, 29)}
    artifact = replace(samples.model_artifact(name), snapshot={"features": days, "labels": days})
    return ModelVersion(
        artifact=artifact,
        state=VersionState.CANDIDATE,
        trained_at=1.0,
        run="run",
        bytes=10,
        key="key",
    )


def evidence(review: Review) -> ModelEvidence:
    """What is known about a model with many slices, inputs and examples."""
    interval = Interval(value=-0.1, low=-0.3, high=0.1, confidence=0.95, days=60)
    metrics = [
        MetricComparison(
            stage="scores", slice=f"carrier=C{part}" if part else "", rows=10_000, metric=f"metric_{metric}",
            one=10.0, other=10.0 + part / SLICES, gain=-part / SLICES, interval=interval,
        )
        for part in range(SLICES + 1)
        for metric in range(METRICS)
    ]  # fmt: skip
    one, other = version("old"), version("new")
    headers = (*(f"column_{n}" for n in range(8)), ">live", ">candidate", ">moved by")
    examples = MovedExamples(
        headers=headers, cells=(("some text of a cell",) * len(headers),) * 10, rows=2_000, share=0.8,
        average=0.2, largest=3.0,
    )  # fmt: skip
    return ModelEvidence(
        review=review,
        candidate=other,
        live=one,
        comparison=VersionComparison(one=one, other=other, metrics=tuple(metrics)),
        decision=samples.policy_decision(),
        waivers=(samples.waiver(),) * 5,
        examples=examples,
        code=tuple(f"stage_{n}: its code changed" for n in range(20)),
        diff=tuple(f"+    table = table.join(other_{n}, on=keys)" for n in range(2_000)),
    )


def history() -> list[Event]:
    """Reviews that ended, each after two votes, and one that is open."""
    found: list[Event] = []
    for number in range(REVIEWS):
        review = replace(samples.review(f"r{number}", subject=f"subject {number}"), within=None)
        found.append(ReviewOpened(environment="prod", review=review))
        if number < REVIEWS - 1:
            votes = (samples.vote("ben"), samples.vote("cleo"))
            found += [Voted(environment="prod", review=review.id, vote=vote) for vote in votes]
            closed = ReviewClosed(
                environment="prod", review=review.id, outcome=ReviewOutcome.APPROVED
            )
            found.append(closed)
    return found


def pages() -> dict[str, Any]:
    """Milliseconds of CPU to make the page of the open review, in its whole, and its size."""
    with tempfile.TemporaryDirectory() as folder:
        project = open_project(Path(folder), workflow=workflow())
        tools, events = project.tools, history()
        last = events[-1]
        assert isinstance(last, ReviewOpened)
        page = StoredPage(sections=model_sections(evidence(last.review)))
        [name] = tools.artifacts.put_all([(encode(page).encode(), ".json")])
        stored = ReviewPageStored(environment="prod", review=last.review.id, page=name)
        tools.ledger.append([*events, stored], now=2.0)
        reviews, runs, size = Reviews(project.workspace), [], 0
        for _ in range(TURNS):
            began = time.process_time()
            html = html_page(reviews.show(last.review.id))
            runs.append((time.process_time() - began) * 1e3)
            size = len(html.encode())
        project.close()
    return {"make": median(runs), "runs": runs, "size": size / 1e3, "reviews": REVIEWS}
