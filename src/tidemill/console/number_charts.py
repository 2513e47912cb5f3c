"""Draw numbers of the scorecard from documents of the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidemill.drawing.chart import Chart
from tidemill.scorecard.number_plot import NumberPlot, plot_chart


def number_chart(document: Mapping[str, Any] | None) -> Chart | None:
    """Draw a plot of a number, if there is one."""
    return None if document is None else plot_chart(NumberPlot(**document))
