"""A curve that is recorded with scores, drawn without the rows."""

from __future__ import annotations

from collections.abc import Mapping

from tidemill.drawing.chart import Chart
from tidemill.models.charts.named_frames import limited
from tidemill.workflow.gate import Scores
from tidemill.workflow.score_charts import curve_chart


def curve(models: Scores | Mapping[str, Scores], name: str, *, title: str = "") -> Chart:
    """Draw a curve that is recorded with scores: `tm.scores(scored, tm.roc("late"), ...)`.

    `models` are the scores of one model, or a mapping of names to scores of several; `name` is
    "calibration", "lift", "roc" or "precision_recall". Raises UsageError for scores without that curve.
    """
    given = limited(models, "curve") if isinstance(models, Mapping) else {"": models}
    return curve_chart(given, name, title=title)
