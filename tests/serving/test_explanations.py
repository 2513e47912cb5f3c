import numpy as np

from tidemill.serving.explanations import explanations


def test_one_score_has_a_contribution_per_input() -> None:
    found = explanations(np.array([[1.0, -2.0, 0.5]]), ["x", "y"], [])
    assert found == [{"x": 1.0, "y": -2.0, "baseline": 0.5}]


def test_each_class_has_its_own() -> None:
    table = np.array([[[1.0, 0.5], [2.0, 0.25], [3.0, 0.0]]])
    assert explanations(table, ["x"], ["a", "b", "c"]) == [
        {
            "a": {"x": 1.0, "baseline": 0.5},
            "b": {"x": 2.0, "baseline": 0.25},
            "c": {"x": 3.0, "baseline": 0.0},
        }
    ]
