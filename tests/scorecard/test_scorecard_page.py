"""Pages of scorecards; `test_weekly_note.py` has their text."""

from __future__ import annotations

from tests.scorecard.test_weekly_note import card
from tidemill.scorecard.scorecard_page import number_sections


def test_a_section_for_each_number() -> None:
    sections = number_sections(card())
    assert [each.title for each in sections] == ["Numbers", "Time to recover", "Cost"]
    assert sections[1].commands == ("tidemill incidents",)
