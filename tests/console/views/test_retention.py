"""How long data are kept, pins, and what a sweep would remove."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.console import Visitor
from tests.support.console_shop import HOSTILE, console_shop, require_harmless
from tests.support.users import USER
from tests.support.waiting import until
from tidemill.project.project import open_project


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[Visitor]:
    project = open_project(console_shop(tmp_path))
    (tmp_path / "orders.csv").write_text("id\n1\n")
    project.run(inline=True)
    project.close()
    with Visitor(tmp_path) as found:
        yield found


def test_what_is_kept_is_said(guest: Visitor) -> None:
    found = guest.api("/settings/retention")
    assert ["superseded results", "7 d"] in found["kept"]
    assert (found["preview"], found["pins"], found["is_declared"]) == (None, [], False)
    assert "Nothing is pinned." in guest.page("/settings/retention").words


def test_a_preview_removes_nothing(guest: Visitor) -> None:
    found = guest.api("/settings/retention?preview=true")
    assert found["preview"]["report"]["dry_run"] is True
    assert "nothing to remove" in found["preview"]["lines"]
    page = guest.page("/settings/retention?preview=true")
    assert "What a sweep would remove now" in page.words


def test_a_sweep_is_started_where_its_preview_was_seen(guest: Visitor) -> None:
    assert "Sweep now" not in guest.page("/settings/retention").words
    page = guest.page("/settings/retention?preview=true")
    then = guest.send(page, "/settings/retention/sweep", {})
    assert "Started tidemill sweep run" in then.words
    until(lambda: guest.api("/settings/retention")["last"])
    assert f"by {USER}" in guest.page("/settings/retention").words


def test_pins_are_set_and_removed(guest: Visitor) -> None:
    page = guest.page("/settings/retention")
    page = guest.send(page, "/settings/retention/pins", {"target": "orders", "reason": HOSTILE})
    assert "orders is pinned." in page.words
    require_harmless(page.text)
    (pin,) = guest.api("/settings/retention")["pins"]
    page = guest.send(page, f"/settings/retention/pins/{pin['id']}/remove", {})
    assert "orders isn't pinned any more." in page.words
    bad = guest.send(page, "/settings/retention/pins", {"target": "nope", "reason": "x"})
    assert bad.status == 404


def test_the_last_sweep_is_told(guest: Visitor) -> None:
    project = open_project(guest.root)
    project.retention.sweep()
    project.close()
    assert guest.api("/settings/retention")["last"]["done"]["objects"] == 0
    assert "The last one ended" in guest.page("/settings/retention").words
