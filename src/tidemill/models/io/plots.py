"""`tm.plots`: the plots of scored rows and of models, to show in a notebook or to save as a file."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec

from tidemill.contracts.profiles import then_and_now as _then_and_now
from tidemill.core.errors import UsageError
from tidemill.drawing.chart import Chart
from tidemill.models.charts import calibration as _calibration
from tidemill.models.charts import columns as _columns
from tidemill.models.charts import over_time as _over_time
from tidemill.models.charts import ranking as _ranking
from tidemill.models.charts import recorded_curve as _recorded_curve
from tidemill.models.charts import residuals as _residuals
from tidemill.models.charts import search_history as _search_history
from tidemill.models.charts import slices as _slices

__all__ = [
    "Plot",
    "calibration",
    "curve",
    "importance",
    "over_time",
    "precision_recall",
    "residuals",
    "roc",
    "search_history",
    "slices",
    "then_and_now",
]

P = ParamSpec("P")


class Plot:
    """A plot, which draws itself in notebooks."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart

    def __repr__(self) -> str:
        return f"<Plot {self.chart.title}>"

    @property
    def svg(self) -> str:
        """The plot as an SVG document that loads nothing else, readable in light and dark."""
        return self.chart.svg

    def save(self, path: str | Path) -> Path:
        """Write the document to a file that ends with `.svg`, and return its path.

        Raises UsageError for another ending and for a file that can't be written.
        """
        target = Path(path)
        if target.suffix.lower() != ".svg":
            raise UsageError(
                f"a plot is saved as SVG: name the file {target.stem}.svg, not {target.name}"
            )
        try:
            target.write_text(self.svg, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"can't write the plot to {target}: {error.strerror}") from error
        return target

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_html_(self) -> str:
        return self.chart._repr_html_()


def _plotted(draw: Callable[P, Chart]) -> Callable[P, Plot]:
    """The same function, with a plot as its result."""

    @wraps(draw)
    def plot(*args: P.args, **options: P.kwargs) -> Plot:
        return Plot(draw(*args, **options))

    return plot


calibration = _plotted(_calibration.calibration)
curve = _plotted(_recorded_curve.curve)
importance = _plotted(_columns.importance)
over_time = _plotted(_over_time.over_time)
precision_recall = _plotted(_ranking.precision_recall)
residuals = _plotted(_residuals.residuals)
roc = _plotted(_ranking.roc)
search_history = _plotted(_search_history.search_history)
slices = _plotted(_slices.slices)
then_and_now = _plotted(_then_and_now.then_and_now)
