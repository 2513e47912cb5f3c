"""The four numbers in full, the note of the week, and the hand-off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.console import Visitor
from tests.support.console_shop import HOSTILE, console_shop, require_harmless
from tidemill.project.project import open_project


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[Visitor]:
    project = open_project(console_shop(tmp_path))
    with (tmp_path / "pyproject.toml").open("a") as file:
        file.write('[tool.tidemill.scorecard]\nrecover_within = "1h"\n')
    (tmp_path / "orders.csv").write_text("id\n1\n")
    project.run(inline=True)
    made = project.incidents.report(HOSTILE, severity="page", stage="orders")
    project.incidents.report("it lasts", severity="ticket", stage="orders")
    project.incidents.resolve(made.id, reason="mended")
    project.incidents.silence(reason=HOSTILE, ttl="1h")
    project.close()
    with Visitor(tmp_path) as found:
        yield found


def test_the_numbers_stand_with_what_they_are_made_of(guest: Visitor) -> None:
    found = guest.api("/scorecard")
    assert [each["card"]["name"] for each in found["numbers"]] == [
        "deliver", "cost", "recover", "fresh",
    ]  # fmt: skip
    recover = found["numbers"][2]
    assert len(recover["plot"]["days"]) == len(recover["plot"]["hints"]) == 8
    assert recover["plot"]["target"] > 0
    assert [row[5] for row in recover["table"]["rows"]] == ["lasts", "recovered"]
    assert len(found["recoveries"]["recovered"]) == 1
    fresh = found["numbers"][3]["table"]["rows"]
    assert fresh[0][0] == "orders"
    page = guest.page("/scorecard")
    assert "<figure" in page.text
    assert 'style="' not in page.text
    assert "Time to recover from errors" in page.words
    assert "What it is made of (2 rows)" in page.words


def test_the_window_is_a_choice(guest: Visitor) -> None:
    week, quarter = (guest.api(f"/scorecard?window={name}")["first_day"] for name in ("7d", "90d"))
    assert quarter < week
    guest.api("/scorecard?window=soon", status=400)
    guest.api("/scorecard?env=nope", status=400)


def test_the_note_of_the_week_has_its_sections(guest: Visitor) -> None:
    found = guest.api("/scorecard/week")
    titles = [part["title"] for part in found["page"]["sections"]]
    assert titles[:2] == ["Decide", "Numbers"]
    page = guest.page("/scorecard/week")
    assert found["page"]["title"] in page.words
    status, refused = guest.post("/scorecard/week/send", {})
    # The hook of the shop can't be reached.
    assert (status, "no weekly note by hook" in refused["detail"]) == (409, True)


def test_the_hand_off_says_what_is_silenced(guest: Visitor) -> None:
    page = guest.page("/scorecard/handoff")
    assert "it lasts" in page.words
    require_harmless(page.text)
