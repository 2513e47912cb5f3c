"""Two versions of a model are compared by what is recorded of them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tidemill.history.model_comparison import compare_scores, compare_versions
from tidemill.ledger.model_version import Evaluation, ModelVersion, VersionState
from tidemill.testing.records import model_artifact
from tidemill.workflow.gate import Daily, Goal, Scores, Slice


def version(name: str, *evaluations: Evaluation, **artifact: Any) -> ModelVersion:
    return ModelVersion(
        artifact=replace(model_artifact(name), **artifact),
        state=VersionState.APPROVED,
        trained_at=1.0,
        run="run",
        bytes=10,
        key="key",
        evaluations=evaluations,
    )


def daily(values: list[float]) -> Daily:
    days = tuple(f"2026-01-{n:02}" for n in range(1, len(values) + 1))
    return Daily(days=days, rows=(10,) * len(values), metrics={"mae": tuple(values)})


def scored(
    mae: float, *, rows: str = "w1", days: list[float] | None = None, by: str = "shop"
) -> Evaluation:
    part = Slice(value="north", rows=5, metrics={"mae": mae * 2})
    found = Scores(
        rows=10,
        metrics={"mae": mae, "hits": 1 - mae / 10},
        by=by,
        slices=(part,),
        daily=daily(days) if days else None,
        goals={"hits": Goal.HIGH},
    )
    return Evaluation(stage="s", scores=found, run="r", at=1.0, rows_read=rows)


def test_metrics_are_compared_on_the_same_rows() -> None:
    found = compare_versions(
        version("a", scored(3.0), scored(9.0, rows="w2")),
        version("b", scored(2.0), scored(7.0, rows="w3")),
    )
    assert found.same_rows == {"s": True}
    rows = [(m.slice, m.metric, m.one, m.other, round(m.gain, 3)) for m in found.metrics]
    assert rows == [
        ("", "mae", 3.0, 2.0, 1.0),
        ("", "hits", 0.7, 0.8, 0.1),
        ("shop=north", "mae", 6.0, 4.0, 2.0),
    ]
    assert {m.could_be_noise for m in found.metrics} == {None}
    assert found.notes == ()


def test_other_rows_are_said_to_be_other() -> None:
    found = compare_versions(
        version("a", scored(3.0)), version("b", scored(2.0, rows="w2", by="hour"))
    )
    assert found.same_rows == {"s": False}
    assert [m.slice for m in found.metrics] == ["", ""]
    [note] = found.notes
    assert note.startswith("s: the versions were scored on different rows")
    assert compare_versions(version("a", scored(1.0)), version("b")).metrics == ()


def test_scores_of_other_rows_are_compared_without_an_interval() -> None:
    one, other = scored(3.0, days=[3.0] * 20).scores, scored(2.0, days=[2.0] * 20).scores
    found = compare_scores({"s": one, "t": one}, {"s": other})
    assert [(m.stage, m.slice, m.metric, m.gain) for m in found[:2]] == [
        ("s", "", "mae", 1.0), ("s", "", "hits", pytest.approx(0.1)),
    ]  # fmt: skip
    assert {m.interval for m in found} == {None}


@pytest.mark.parametrize(
    ("better", "noise"),
    # A steady gain every day, and one that is a matter of a single day.
    [([1.0] * 20, False), ([*[2.0] * 19, -10.0], True)],
)
def test_a_gain_has_an_interval_over_days(better: list[float], noise: bool) -> None:
    base = [2.0 + n % 3 for n in range(20)]
    other = (
        [value - gain + 1 for value, gain in zip(base, better, strict=True)]
        if noise
        else [value - 1 for value in base]
    )
    one = scored(sum(base) / 20, days=base)
    found = compare_versions(
        version("a", one), version("b", scored(sum(other) / 20, days=other))
    ).metrics[0]
    assert found.interval is not None
    assert found.interval.days == 20
    assert found.could_be_noise is noise


def test_only_slices_and_metrics_that_both_have_are_compared() -> None:
    before, after = scored(3.0), scored(2.0)
    south = Slice(value="south", rows=5, metrics={"mae": 1.0})
    named = {"bias": 0.0, "hits": 0.8}
    after = replace(after, scores=replace(after.scores, slices=(south,), metrics=named))
    found = compare_versions(version("a", before), version("b", after))
    assert [(m.slice, m.metric) for m in found.metrics] == [("", "hits")]


def test_a_week_is_no_interval() -> None:
    days = [1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 1.0]
    pair = [version(name, scored(2.0, days=days)) for name in "ab"]
    assert compare_versions(*pair).metrics[0].interval is None


def test_inputs_parameters_and_packages_that_differ() -> None:
    found = compare_versions(
        version("a", params=json.dumps({"rounds": 10, "rate": 0.1}), packages={"x": "1"}),
        version(
            "b",
            inputs=("hour", "rain"),
            params=json.dumps({"rounds": 20}),
            seed=8,
            packages={"x": "2", "y": "1"},
        ),
    )
    assert found.inputs == {"rain": (False, True), "wind": (True, False)}
    assert found.parameters == {"rate": (0.1, None), "rounds": (10, 20), "seed": (7, 8)}
    assert found.packages == {"x": ("1", "2")}
