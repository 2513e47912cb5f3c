"""Scorecards."""

from __future__ import annotations

from tests.scorecard.test_weekly_note import card
from tidemill.scorecard.scorecard_notebook import scorecard_notebook


def test_notebooks_show_it() -> None:
    assert card()._repr_html_() == scorecard_notebook(card())
