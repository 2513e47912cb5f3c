"""Numbers are drawn from documents."""

from __future__ import annotations

from tidemill.console.number_charts import number_chart
from tidemill.core.json_values import to_json_values
from tidemill.scorecard.number_plot import NumberPlot, plot_chart


def test_a_document_is_drawn_as_its_record() -> None:
    plot = NumberPlot(
        title="N", label="days", is_share=False, days=("2026-11-01", "2026-11-08"),
        values=(1.0, None), hints=("2026-11-01: 1 day (2 errors)", "2026-11-08: n/a"), target=2.0,
    )  # fmt: skip
    found = number_chart(to_json_values(plot))
    assert found is not None
    assert found.chart.svg == plot_chart(plot).svg
    week, target = found.series.lines
    assert week.texts == ("1 day (2 errors)", "n/a")
    assert (target.values, target.is_reference) == ((2.0, 2.0), True)
    assert number_chart(None) is None
