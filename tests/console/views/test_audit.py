"""The trail as pages: search, page by page, and verification."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.console import Visitor
from tests.support.console_shop import HOSTILE, console_shop, require_harmless
from tests.support.users import USER
from tidemill.project import audit
from tidemill.project.project import open_project


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[Visitor]:
    project = open_project(console_shop(tmp_path))
    for number in range(5):
        project.incidents.report(f"till {number}", severity="note")
    made = project.incidents.report(HOSTILE, severity="page", stage="orders")
    project.incidents.resolve(made.id, reason=HOSTILE)
    project.close()
    with Visitor(tmp_path) as found:
        yield found


def test_entries_are_found_newest_first(guest: Visitor) -> None:
    found = guest.api("/audit?limit=2")
    first, second = (each["entry"] for each in found["entries"])
    assert (first["kind"], first["who"]) == ("IncidentClosed", USER)
    assert (second["kind"], found["zone"]) == ("IncidentOpened", "Pacific/Auckland")
    assert found["entries"][0]["page"] == ["incidents", first["subject"]]
    rest = guest.api(f"/audit?before={found['next']}")
    assert [each["entry"]["reason"] for each in rest["entries"]] == [
        f"till {number}" for number in (4, 3, 2, 1, 0)
    ]
    assert rest["next"] == 0


@pytest.mark.parametrize(
    ("query", "count"),
    [
        (f"who={USER}", 7),
        ("who=nobody", 0),
        ("what=*closed*", 1),
        ("kinds=IncidentClosed,Silenced", 1),
        ("since=1h", 7),
        ("until=2020-01-01", 0),
        ("since=2020-01-01T10:00&until=2999-01-01", 7),
    ],
)
def test_filters_fit_or_not(guest: Visitor, query: str, count: int) -> None:
    assert len(guest.api(f"/audit?{query}")["entries"]) == count


@pytest.mark.parametrize("query", ["since=soon", "kinds=Nope", "until=9999-12-31", "before=x"])
def test_filters_that_make_no_sense_are_refused(guest: Visitor, query: str) -> None:
    guest.api(f"/audit?{query}", status=400)


def test_a_rare_entry_is_looked_for_page_by_page(
    guest: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "_LOOKED_AT", 3)
    first = guest.api("/audit?what=*&kinds=IncidentOpened&who=nobody")
    assert first["entries"] == []
    page = guest.page("/audit?kinds=IncidentOpened&who=nobody")
    assert "None of the events that were looked at fits" in page.words
    second = guest.api(f"/audit?kinds=IncidentOpened&who=nobody&before={first['next']}")
    assert (second["entries"], second["next"]) == ([], 0)


def test_the_page_is_harmless_and_says_if_nothing_fits(guest: Visitor) -> None:
    page = guest.page("/audit")
    require_harmless(page.text)
    assert '<option value="IncidentOpened">incident opened</option>' in page.text
    assert "Nothing was recorded that fits." in guest.page("/audit?who=nobody").words


def test_events_are_verified_if_somebody_asks(guest: Visitor) -> None:
    found = guest.api("/audit/verify")
    assert (found["report"], found["checkpoints"], found["is_on"]) == (None, [], False)
    assert "Verify now" in guest.page("/audit/verify").words
    found = guest.api("/audit/verify?check=true")
    assert (found["is_sound"], found["report"]["problems"]) == (True, [])
    assert found["unsealed"] == found["report"]["events"]
    assert "nothing was changed" in guest.page("/audit/verify?check=true").words
