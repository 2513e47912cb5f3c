"""A scorecard as a page."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

from tests.scorecard.test_weekly_note import card
from tidemill.cli.render.scorecard_html import scorecard_html
from tidemill.scorecard.number import NumberPoint, NumberUnit, ScoreNumber


def test_text_of_others_is_text() -> None:
    page = scorecard_html(card("<script>alert(1)</script>"))
    assert "<script" not in page
    assert "stage &lt;b&gt;raw&lt;/b&gt; failed" in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    body = page[page.index("<main>") : page.index("</main>")] + "</main>"
    assert len(ElementTree.fromstring(body).findall(".//section")) == 2


def test_plots_of_all_units() -> None:
    points = tuple(NumberPoint(first=f"2026-11-{n:02}", value=n / 100, n=n) for n in range(1, 9))
    for unit in NumberUnit:
        number = ScoreNumber(
            name="n", title="N", unit=unit, counted="cases", value=0.08, points=points, target=0.05,
            currency="EUR", command="tidemill status",
        )  # fmt: skip
        page = scorecard_html(replace(card(), numbers=(number,)))
        assert page.count("<svg") == 1
        assert 'class="reference"' in page
        assert page.count("<circle") == 8
    assert ('class="met"' in page) or ('class="missed"' in page)


def test_nothing_is_drawn_without_values() -> None:
    (_, empty) = card().numbers
    assert "<svg" not in scorecard_html(replace(card(), numbers=(empty,)))
