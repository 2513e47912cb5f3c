from __future__ import annotations

import pytest

from tests.support.svg import checked, texts
from tidemill.models.charts.search_history import search_history
from tidemill.workflow.search import Study, StudyTrial


def study(*values: float | None, higher_is_better: bool = False) -> Study:
    trials = tuple(
        StudyTrial(
            number=n, state="pruned" if v is None else "complete", params=f'{{"a": {n}}}', value=v
        )
        for n, v in enumerate(values)
    )
    return Study(metric="mae", higher_is_better=higher_is_better, best=0, trials=trials, planned=9)


@pytest.mark.parametrize("higher_is_better", [False, True])
def test_a_dot_per_trial_with_its_parameters_and_a_note_for_the_rest(
    higher_is_better: bool,
) -> None:
    chart = search_history(study(3.0, 2.0, None, 4.0, higher_is_better=higher_is_better))
    root = checked(chart.svg)
    found = " ".join(texts(root))
    assert "search by mae" in found
    assert 'trial 1: 2 with {"a": 1}' in chart.svg.replace("&quot;", '"')
    assert chart.notes == ("1 trial without a metric.",)
    assert "trial 0 is best, mae 3" in chart.description


def test_a_single_trial_and_a_title_of_ones_own() -> None:
    chart = search_history(study(3.0), title="rounds")
    checked(chart.svg)
    assert (chart.title, chart.notes) == ("rounds", ())
