"""A scorecard as a page."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

from tests.scorecard.test_weekly_note import card
from tidemill.scorecard.change_record import DeliveredChange
from tidemill.scorecard.number import NumberPoint, NumberUnit, ScoreNumber
from tidemill.scorecard.scorecard_html import scorecard_html


def test_text_of_others_is_text() -> None:
    page = scorecard_html(card("<script>alert(1)</script>"))
    assert "<script" not in page
    assert "stage &lt;b&gt;raw&lt;/b&gt; failed" in page
    assert "http:" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https:" not in page
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


def test_scales_fit_what_is_drawn() -> None:
    points = (NumberPoint(first="2026-11-01", value=60.0, n=1),)
    number = ScoreNumber(
        name="n", title="N", unit=NumberUnit.SECONDS, counted="cases", value=60.0, points=points,
        target=2 * 86_400.0, action="let `tidemill up` do it",
    )  # fmt: skip
    page = scorecard_html(replace(card(), numbers=(number,)))
    assert ">days<" in page
    assert "dashed: the target" in page
    assert "<code>tidemill up</code>" in page
    money = replace(number, unit=NumberUnit.MONEY, currency="EUR", target=None, points=(
        replace(points[0], value=6e-7),
    ))  # fmt: skip
    page = scorecard_html(replace(card(), numbers=(money,)))
    assert ">millionths of 1 EUR<" in page
    assert ">0.6<" in page
    assert "dashed: " not in page


def test_changes_are_listed_if_wanted() -> None:
    known, at = card(), card().now - 86_400.0
    change = DeliveredChange(
        id="abc<d>", committed=at, planned=at, candidate=at, approved=at, live=at + 60.0
    )
    report = replace(known.changes, delivered=(change,))
    page = scorecard_html(replace(known, changes=report), changes=True)
    assert "<h2>Changes</h2>" in page
    assert "abc&lt;d&gt;" in page
    assert "<table" not in scorecard_html(known)
    assert "There are none." in scorecard_html(known, changes=True)


def test_nothing_is_drawn_without_values() -> None:
    (_, empty) = card().numbers
    assert "<svg" not in scorecard_html(replace(card(), numbers=(empty,)))
