"""Incidents as pages: what is wrong first, why, and what people do about it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import tidemill
from tests.support.console import Visitor
from tests.support.console_shop import HOSTILE, console_shop, require_harmless
from tests.support.users import USER
from tidemill.project.project import Project, open_project


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return console_shop(tmp_path)


@pytest.fixture
def project(shop: Path) -> Iterator[Project]:
    found = open_project(shop)
    yield found
    found.close()


@pytest.fixture
def guest(shop: Path) -> Iterator[Visitor]:
    with Visitor(shop) as found:
        yield found


def test_without_incidents_the_page_says_what_opens_them(guest: Visitor) -> None:
    assert "There are no incidents." in guest.page("/incidents").words
    found = guest.api("/incidents")
    assert (found["incidents"], found["open"], found["next"]) == ([], 0, "")
    assert found["untold"] == 0
    assert "No alerts are held" in guest.page("/silences").words


def test_open_ones_come_first_the_most_severe_of_these_before(
    guest: Visitor, project: Project
) -> None:
    ids = {
        severity: project.incidents.report(severity, severity=severity, stage="orders").id
        for severity in ("note", "page", "ticket")
    }
    gone = project.incidents.report("gone", severity="page").id
    project.incidents.resolve(gone, reason="mended")
    rows = guest.api("/incidents")["incidents"]
    assert [row["id"] for row in rows] == [ids["page"], ids["ticket"], ids["note"], gone]
    assert rows[0]["owner"] == "team-orders"
    assert rows[3]["state"] == f"closed: by a person ({USER}: mended)"
    assert [row["id"] for row in guest.api("/incidents?severity=page")["incidents"]] == [
        ids["page"], gone,
    ]  # fmt: skip
    assert guest.api("/incidents?stage=orders&state=closed")["incidents"] == []
    assert "Choose other filters" in guest.page("/incidents?stage=orders&state=closed").words


def test_pages_follow_each_other_also_when_incidents_are_closed_meanwhile(
    guest: Visitor, project: Project
) -> None:
    ids = [project.incidents.report(f"till {n}", severity="ticket").id for n in range(7)]
    first = guest.api("/incidents?limit=3")
    assert [row["id"] for row in first["incidents"]] == ids[:3]
    assert first["open"] == first["found"] == 7
    project.incidents.resolve(ids[1], reason="mended")
    second = guest.api(f"/incidents?limit=3&after={first['next']}")
    third = guest.api(f"/incidents?limit=3&after={second['next']}")
    assert [row["id"] for row in second["incidents"]] == ids[3:6]
    assert [row["id"] for row in third["incidents"]] == [ids[6], ids[1]]
    assert third["next"] == ""
    assert 'rel="next"' in guest.page("/incidents?limit=3").text


@pytest.mark.parametrize("query", ["severity=high", "state=gone", "after=x", "limit=no"])
def test_a_filter_that_fits_nothing_is_refused(guest: Visitor, query: str) -> None:
    guest.api(f"/incidents?{query}", status=400)


def test_an_incident_tells_all_of_it(guest: Visitor, project: Project) -> None:
    made = project.incidents.report(
        "the till is shut", severity="page", stage="orders", reason="sign on the door"
    )
    found = guest.api(f"/incidents/{made.id[:6]}")
    assert found["evidence"] == {"note": "sign on the door"}
    assert [entry["text"] for entry in found["timeline"]] == [
        "it began", f"opened by {USER}: the till is shut",
    ]  # fmt: skip
    assert found["runbook"] == "https://runbooks.example/orders"
    page = guest.page(f"/incidents/{made.id}")
    for part in ("the till is shut", "sign on the door", "owner: team-orders", "Runbook"):
        assert part in page.words
    assert 'href="/stages/orders"' in page.text
    guest.page("/incidents/nope", status=404)


def test_what_a_person_does_shows_at_once(guest: Visitor) -> None:
    page = guest.page("/incidents")
    fields = {"title": "the till is shut", "severity": "page", "stage": "orders", "reason": ""}
    page = guest.send(page, "/incidents", fields)
    assert "/incidents/i" in page.url
    assert "Opened the incident" in page.words
    id = guest.api("/incidents")["incidents"][0]["id"]
    page = guest.send(page, f"/incidents/{id}/silence", {"ttl": "8h", "reason": "known"})
    assert f"silenced by {USER}" in page.words
    (silence,) = guest.api("/incidents")["silences"]
    assert (silence["stage"], silence["kind"], silence["reason"]) == ("orders", "reported", "known")
    page = guest.send(page, f"/silences/{silence['id']}/end", {})
    assert "is over" in page.words
    assert guest.api(f"/incidents/{id}")["silences"][0]["in_force"] is False
    page = guest.page(f"/incidents/{id}")
    page = guest.send(page, f"/incidents/{id}/resolve", {"reason": "open again"})
    assert f"closed: by a person ({USER}: open again)" in page.words
    refused = guest.send(page, f"/incidents/{id}/resolve", {"reason": ""})
    assert (refused.status, "reason is missing" in refused.words) == (400, True)


def test_alerts_are_held_by_patterns(guest: Visitor) -> None:
    page = guest.page("/silences")
    page = guest.send(page, "/silences", {"stage": "or*", "kind": "*", "ttl": "1h", "reason": "x"})
    assert "in force" in page.words
    assert len(guest.api("/silences?limit=1")["silences"]) == 1
    bad = guest.send(page, "/silences", {"stage": "no*", "ttl": "1h", "reason": "x"})
    assert (bad.status, "there is no stage" in bad.words) == (400, True)
    last = guest.api("/silences")["silences"][0]["id"]
    assert guest.api(f"/silences?after={last}")["silences"] == []


def test_who_may_not_manage_them_sees_who_may(shop: Path, project: Project) -> None:
    token = project.tokens.create("ana", scopes=["read"]).text
    made = project.incidents.report("the till is shut", severity="page")
    with Visitor(shop, token=token) as ana:
        page = ana.page(f"/incidents/{made.id}")
        assert "<button disabled" in page.text
        assert f"May manage incidents and their alerts: ben, {USER}" in page.words
        refused = ana.send(page, f"/incidents/{made.id}/resolve", {"reason": "x"})
        assert refused.status == 403


def test_hostile_text_stays_text(guest: Visitor, project: Project) -> None:
    made = project.incidents.report(HOSTILE, severity="note", reason=HOSTILE + "x" * 3_000)
    project.incidents.silence(reason=HOSTILE, ttl="1h")
    for path in ("/incidents", f"/incidents/{made.id}", "/silences"):
        require_harmless(guest.page(path).text)


@pytest.mark.parametrize("path", ["/incidents", "/silences", "/incidents/i1"])
def test_an_environment_that_does_not_exist_has_none(guest: Visitor, path: str) -> None:
    page = guest.page(f"{path}?env=nope", status=400)
    assert "there is no" in page.words


def test_what_is_wrong_without_an_incident_is_not_hidden(shops: Path) -> None:
    flow = shops / "shop_models_flow.py"
    flow.write_text(
        flow.read_text().replace("table = sales.collect()", "raise ValueError('no')", 1)
    )
    assert tidemill("run", "--train", "demand").code
    with Visitor(shops) as guest:
        assert guest.api("/incidents")["untold"] == 1
        page = guest.page("/incidents")
    assert "1 thing is wrong that no incident tells of: see Now" in page.words
    assert (
        '<span class="status ok">'
        not in page.text.partition("<main")[2].partition("</h1>")[2][:400]
    )
