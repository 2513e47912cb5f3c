"""The metric of each trial of a hyperparameter search, and the best one so far."""

from __future__ import annotations

from collections.abc import Sequence

from tidemill.core.counts import plural
from tidemill.drawing.axes import Axis
from tidemill.drawing.chart import Chart
from tidemill.drawing.line import Line
from tidemill.drawing.panel import draw_panel
from tidemill.drawing.scatter import Scatter
from tidemill.drawing.svg import Hue
from tidemill.models.charts.phrases import read_aloud
from tidemill.workflow.search import Study, StudyTrial


def search_history(study: Study, *, title: str = "") -> Chart:
    """Draw the metric of each trial of a search as a dot, and the best one so far as a line.

    `study` is that of a model's version: `project.models.current("demand").study`. Trials that were pruned
    or failed have no metric, and are counted below.
    """
    scored = [trial for trial in study.trials if trial.value is not None]
    numbers = [float(trial.number) for trial in scored]
    values = [trial.value for trial in scored if trial.value is not None]
    others = len(study.trials) - len(scored)
    name = title or f"search by {study.metric}"
    return Chart(
        title=name,
        subtitle="dots are trials, the line is the best one so far",
        drawing=draw_panel(
            [
                Scatter(x=numbers, y=values, hue=Hue.BLUE, hints=[_hint(t) for t in scored]),
                Line(x=numbers, y=_best_so_far(values, study), hue=Hue.BLUE, dots=False),
            ],
            x=Axis(label="trial"),
            y=Axis(label=study.metric),
        ),
        description=read_aloud(name, [str(study)]),
        notes=(f"{plural(others, 'trial')} without a metric.",) if others else (),
    )


def _hint(trial: StudyTrial) -> str:
    return f"trial {trial.number}: {trial.value:.5g} with {trial.params}"


def _best_so_far(values: Sequence[float], study: Study) -> list[float]:
    best = max if study.higher_is_better else min
    return [best(values[: end + 1]) for end in range(len(values))]
