"""Two trainings with one seed are compared by their bytes and their predictions."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from tidemill.project.model_formats import open_formats
from tidemill.project.model_probe_server import FormatOptions
from tidemill.runs.training_repeatability import (
    CURES,
    RetrainedModel,
    TrainingComparison,
    compare_trainings,
    describe_trainings,
)
from tidemill.workflow.stage import Kind, undeclared_stage

STAGE = undeclared_stage("m", Kind.MODEL)


def trained(digest: str, *values: float | str | None, form: str = "lightgbm") -> RetrainedModel:
    return RetrainedModel(digest=digest, format=form, predictions={"prediction": list(values)})


def test_equal_trainings_are_silent() -> None:
    found = compare_trainings(STAGE, trained("a", 1.0, math.nan), trained("a", 1.0, math.nan), "a")
    assert (found.same_bytes, found.rows, found.differing) == (True, 2, 0)
    assert found.same_as_published is True
    assert list(describe_trainings([found])) == []


def test_each_cure_is_for_a_format(tmp_path: Path) -> None:
    formats = open_formats(FormatOptions(home=str(tmp_path), root=str(tmp_path)))
    assert {*CURES} <= {form.name for form in formats}


@pytest.mark.parametrize(
    ("first", "second", "differing", "largest"),
    [
        ((1.0, 2.0, 3.0), (1.0, 2.5, 3.0), 1, 0.5),
        (("a", "b"), ("a", "c"), 1, 0.0),  # classes have no difference in size
        ((1.0, None), (1.0, 2.0), 1, 0.0),
        ((1.0,), (math.nan,), 1, math.inf),  # no number at all
        ((math.inf,), (-math.inf,), 1, math.inf),
        ((1.0, 2.0), (1.0, 2.0), 0, 0.0),
    ],
)
def test_differences_have_their_figures(
    first: tuple[float, ...], second: tuple[float, ...], differing: int, largest: float
) -> None:
    found = compare_trainings(STAGE, trained("a", *first), trained("b", *second), "a")
    assert (found.same_bytes, found.differing, found.largest) == (False, differing, largest)
    # Neither says what a training gives, so there is nothing to compare with.
    assert found.same_as_published is None
    [note] = describe_trainings([found])
    assert note.startswith("m: two trainings with one seed differ: ")
    assert note.endswith(CURES["lightgbm"])
    if differing:
        assert f"{differing} of {len(first)} golden row" in note
    else:
        assert "the stored bytes, but no prediction on 2 golden rows" in note
    assert ("by at most" in note) is bool(largest)


def test_several_columns_count_a_row_once() -> None:
    one = replace(trained("a"), predictions={"p": [1.0, 2.0], "q": [1.0, 2.0]})
    other = replace(trained("b"), predictions={"p": [1.5, 2.0], "q": [3.0, 2.0]})
    found = compare_trainings(STAGE, one, other, None)
    assert (found.rows, found.differing, found.largest) == (2, 1, 2.0)


def test_an_unknown_format_has_a_general_cure() -> None:
    found = compare_trainings(STAGE, trained("a", form="own"), trained("b", form="own"), None)
    assert found.cure.startswith("pass the seed to everything")


def test_the_same_twice_but_not_as_published() -> None:
    found = compare_trainings(STAGE, trained("a", 1.0), trained("a", 1.0), "b")
    assert found.same_as_published is False
    [note] = describe_trainings([found])
    assert "gave the same model, but not the published one" in note
    assert compare_trainings(STAGE, trained("a"), trained("a"), None).same_as_published is None


def test_a_failed_training_is_an_error_once() -> None:
    failed = RetrainedModel(error="m raised KeyError")
    found = compare_trainings(STAGE, failed, failed, "a")
    assert found == TrainingComparison(stage="m", failed=("m raised KeyError",))
    assert list(describe_trainings([found])) == ["m raised KeyError"]
