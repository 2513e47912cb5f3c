"""Scorecards in notebooks."""

from __future__ import annotations

from tests.scorecard.test_weekly_note import card


def test_a_row_and_a_chart_of_each_number() -> None:
    html = card("<b>")._repr_html_()
    assert "<caption>&lt;b&gt; in prod</caption>" in html
    assert "<td>Time to recover</td>" in html
    assert html.count("<svg") == 1
    assert "cause: stage &lt;b&gt;raw&lt;/b&gt; failed" in html
    assert len(html) < 30_000
