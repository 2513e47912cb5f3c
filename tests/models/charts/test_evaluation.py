"""Charts of recorded scores."""

from __future__ import annotations

from math import nan

from tests.models.test_card import scored
from tidemill.models.charts.evaluation import evaluation_charts
from tidemill.workflow.gate import Scores


def test_what_is_recorded_is_drawn() -> None:
    titles = [chart.title for chart in evaluation_charts("s", scored())]
    assert titles == ["s: mae by day", "s: mae by carrier", "s: ROC curve"]
    assert [*evaluation_charts("s", Scores(rows=0, metrics={"mae": nan}))] == []
    assert [*evaluation_charts("s", Scores(rows=0, metrics={}))] == []
