from __future__ import annotations

import numpy as np
import pytest

from tests.support.svg import checked, elements, texts
from tidemill.models.charts.columns import importance
from tidemill.models.importance import ColumnImportance, Importance


def test_a_mapping_is_ranked() -> None:
    chart = importance({"a": 1, "<b>": 3, "c": -2}, title="Gain")
    assert texts(checked(chart.svg), "label") == ["<b>", "a", "c"]
    assert chart.description == "Gain, by column: <b>: 3; a: 1; c: -2."


def test_permutation_importance_shows_its_repetitions() -> None:
    columns = tuple(
        ColumnImportance(column=name, values=(size, size * 2))
        for name, size in (("a", 2.0), ("b", 1.0))
    )
    found = Importance(metric="mae", value=3.5, rows=100, seed=0, columns=columns)
    chart = importance(found)
    assert len(elements(checked(chart.svg), "whisker")) == 2
    assert "mae (3.5)" in chart.subtitle
    assert "2 repetitions on 100 rows" in chart.subtitle
    assert "a: 3 (2 to 4)" in chart.description


def test_nothing_important() -> None:
    found = Importance(metric="mae", value=0, rows=1, seed=0, columns=())
    assert texts(checked(importance(found).svg), "empty") == ["no data"]
    assert texts(checked(importance({}).svg), "label") == []


def test_of_many_columns_the_most_important_are_drawn() -> None:
    chart = importance({f"c{n}": n for n in range(99)})
    assert texts(checked(chart.svg), "label")[0] == "c98"
    assert chart.notes == ("The 30 most important columns, of 99.",)


def test_a_model_says_it_itself() -> None:
    linear = pytest.importorskip("sklearn.linear_model", reason="scikit-learn is not installed")
    x = np.random.default_rng(0).normal(size=(50, 2))
    chart = importance(linear.LinearRegression().fit(x, x[:, 1]), names=["a", "b"])
    assert texts(checked(chart.svg), "label") == ["b", "a"]
    assert "on the training rows" in chart.subtitle
