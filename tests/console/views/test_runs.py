"""Runs: what failed and why, what waits for people, and the log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import tidemill
from tests.support.console import Visitor
from tidemill.console.views.now import show_now
from tidemill.console.views.runs import list_runs
from tidemill.operations.stage_states import StageNode, StageState
from tidemill.project.project import Project, open_project


@pytest.fixture
def project(shops: Path) -> Iterator[Project]:
    with open_project(shops) as found:
        yield found


@pytest.fixture
def shop(shops: Path) -> Iterator[Visitor]:
    with Visitor(shops) as found:
        yield found


def stage(project: Project, name: str) -> StageNode:
    return next(node for node in project.stage_states.read().nodes if node.name == name)


def test_what_waits_for_people_is_not_wrong(project: Project) -> None:
    [state] = project.reviews.list()
    id = state.review.id
    now = show_now(project)
    assert "demand" not in {fact.stage for fact in now.status.wrong}
    assert [fact.command for fact in now.status.waiting] == [f"tidemill review show {id}"]
    newest, first = now.runs
    assert now.words == list_runs(project).words == {newest.id: "waiting"}
    assert first.receipt is not None
    found = stage(project, "demand")
    assert (found.state, found.detail) == (StageState.WAITING, f"waits for review {id}")
    # Gates refused this one: nobody is asked.
    assert stage(project, "strict").state is StageState.FAILED


def test_nothing_waits_or_is_wrong_once_people_have_decided(project: Project) -> None:
    [state] = project.reviews.list()
    project.reviews.approve(state.review.id, "better everywhere")
    now = show_now(project)
    assert "demand" not in {fact.stage for fact in now.status.wrong}
    assert now.status.waiting == ()
    assert now.words == {now.runs[0].id: "decided"}
    assert stage(project, "demand").state not in (StageState.WAITING, StageState.FAILED)


def test_pages_and_the_command_line_say_that_a_run_waits(shop: Visitor, shops: Path) -> None:
    text = shop.page("/now").text
    assert '<span class="status waiting">' in text
    assert "waiting" in shop.page("/runs").words
    assert "waiting" in tidemill("runs").out
    assert "demand failed" not in tidemill("status").out


def test_runs_are_found_by_their_status(shop: Visitor) -> None:
    every = shop.api("/runs")["runs"]
    for status in ("ok", "failed", "interrupted"):
        found = shop.api(f"/runs?status={status}")
        assert found["runs"] == [run for run in every if run["status"] == status]
        assert found["next"] == 0
    page = shop.page("/runs?status=interrupted")
    assert "No run has this status." in page.words
    assert "'late' is none of running, ok" in shop.page("/runs?status=late", 400).words


def test_runs_say_where_and_why_they_failed(shop: Visitor) -> None:
    failed = [run for run in shop.api("/runs")["runs"] if run["receipt"]["failures"]]
    assert failed
    page = shop.page("/runs").words
    for run in failed:
        [cause, *_] = run["receipt"]["failures"]
        assert f"{cause['stage']}: {cause['why']}" in page
