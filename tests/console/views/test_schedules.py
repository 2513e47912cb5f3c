"""Schedules: what comes next, and pauses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import edit
from tests.support.console import Visitor
from tests.support.console_shop import HOSTILE, console_shop, require_harmless
from tests.support.users import USER
from tests.support.waiting import until
from tidemill.project.project import open_project


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return console_shop(tmp_path)


@pytest.fixture
def guest(shop: Path) -> Iterator[Visitor]:
    with Visitor(shop) as found:
        yield found


def test_a_schedule_says_when_it_is_due_and_why(guest: Visitor) -> None:
    (found,) = guest.api("/settings/schedules")["schedules"]
    assert (found["name"], found["timing"]) == ("nightly", "0 6 * * mon-fri in Europe/Berlin")
    assert len(found["ticks"]) == 5
    assert found["next_due"] == found["ticks"][0]
    assert "0 6 * * mon-fri in Europe/Berlin" in guest.page("/settings/schedules").words


def test_it_is_paused_and_resumed_with_a_reason(guest: Visitor) -> None:
    page = guest.page("/settings/schedules")
    fields = {"reason": HOSTILE, "until": "2d"}
    page = guest.send(page, "/settings/schedules/nightly/pause", fields)
    assert f"by {USER}" in page.words
    require_harmless(page.text)
    page = guest.send(page, "/settings/schedules/nightly/resume", {"reason": ""})
    assert "nightly goes on." in page.words
    again = guest.post("/settings/schedules/nightly/resume", {})[1]
    assert again["told"] == "nightly wasn't paused."
    assert guest.send(page, "/settings/schedules/nope/pause", {"until": ""}).status == 404
    assert guest.send(page, "/settings/schedules/nightly/pause", {"until": "x"}).status == 400


def test_what_is_due_is_run(built: Path) -> None:
    with (built / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write('\n[tool.tidemill.schedules.nightly]\ncron = "0 6 * * *"\nagain = true\n')
    with open_project(built) as project:
        # It counts since then.
        project.schedules.due(project.tools.clock() - 3 * 86_400)
    with Visitor(built) as guest:
        page = guest.page("/settings/schedules")
        assert "Run what is due of nightly" in page.words
        done = guest.send(page, "/settings/schedules/nightly/run", {})
        assert "Started tidemill schedules run nightly" in done.words
        run = done.url.rpartition("/")[2]
        until(lambda: guest.api(f"/runs/{run}")["run"]["status"] == "ok")
        assert guest.api(f"/runs/{run}")["run"]["actor"] == USER
        assert "Run what is due" not in guest.page("/settings/schedules").words
        again = guest.send(page, "/settings/schedules/nightly/run", {})
        assert (again.status, "nightly isn't due now" in again.words) == (400, True)


def test_schedules_with_faults_are_listed(shop: Path) -> None:
    edit(shop / "pyproject.toml", 'cron = "0 6', 'cron = "99 6')
    with Visitor(shop) as guest:
        found = guest.api("/settings/schedules")
        assert (found["schedules"], len(found["faults"])) == ([], 1)
        assert "nightly" in guest.page("/settings/schedules").words
