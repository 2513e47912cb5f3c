"""What a gate of the user sees: no figure that isn't a number."""

from __future__ import annotations

import math
from dataclasses import replace

import polars as pl
import pytest

import tidemill as tm
from tidemill.models.candidate import Candidate, Compared, Figures, with_figures
from tidemill.testing.records import model_artifact, scores


def test_a_figure_that_is_no_number_cant_be_read() -> None:
    """A gate that looks for `mae > 5` would find nothing wrong with NaN."""
    found = Figures(mae=2.0, auc=math.nan, rmse=math.inf)
    assert (found["mae"], found.get("mae"), found.get("gini", 3)) == (2.0, 2.0, 3)
    for name in ("auc", "rmse"):
        with pytest.raises(ValueError, match=f"the metric {name} is (nan|inf)"):
            found[name]
        with pytest.raises(ValueError, match=f"the metric {name} is (nan|inf)"):
            found.get(name, 0)
    with pytest.raises(KeyError):
        found["gini"]
    # All figures, as for a report.
    assert math.isnan(dict(found.items())["auc"])


def test_scores_are_guarded_overall_and_by_slice() -> None:
    broken = replace(scores(), metrics={"mae": math.nan})
    broken = replace(broken, slices=(replace(broken.slices[0], metrics={"mae": math.nan}),))
    found = with_figures(broken)
    assert found is not None
    for metrics in (found.metrics, *(part.metrics for part in found.slices)):
        with pytest.raises(ValueError, match="mae is nan"):
            metrics["mae"]
    assert with_figures(None) is None


def test_a_candidate_has_scores_rows_and_predictions() -> None:
    rows = pl.DataFrame({"x": [1.0, 2.0]})
    candidate: tm.Candidate = Candidate(
        model="delay",
        artifact=model_artifact(),
        evaluations={
            "storms": Compared(scores=scores(1.0), live=scores(2.0), baseline=scores(3.0)),
            "calm": Compared(scores=scores(4.0)),
        },
        _rows=lambda: rows,
        _predict=lambda frame: frame.with_columns(prediction=pl.col("x") * 2),
    )
    assert candidate.scores.metrics == {"mae": 1.0}
    assert candidate.live is not None
    assert candidate.live.metrics == {"mae": 2.0}
    assert candidate.baseline is not None
    assert candidate.baseline.metrics == {"mae": 3.0}
    assert candidate.evaluations["calm"].live is None
    assert candidate.predict(candidate.rows)["prediction"].to_list() == [2.0, 4.0]
