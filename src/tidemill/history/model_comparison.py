"""Compare two versions of a model, from recorded facts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from tidemill.ledger.model_version import (
    Evaluation,
    MetricComparison,
    ModelVersion,
    VersionComparison,
)
from tidemill.models.intervals import SHOWN_CONFIDENCE, gain, gain_estimate
from tidemill.workflow.gate import Goal, Scores, Slice


def compare_versions(one: ModelVersion, other: ModelVersion) -> VersionComparison:
    """Compare `other` with `one`: metrics overall and by slice, inputs, parameters and packages.

    Metrics are those of the newest evaluation that scored both on the same rows, else the newest of each.
    """
    metrics: list[MetricComparison] = []
    same: dict[str, bool] = {}
    for stage in dict.fromkeys(found.stage for found in one.evaluations):
        pair = _pair(stage, one, other)
        if pair is not None:
            mine, theirs = pair
            same[stage] = mine.rows_read == theirs.rows_read
            metrics += _metrics(stage, mine.scores, theirs.scores, paired=same[stage])
    first, second = (set(version.artifact.inputs) for version in (one, other))
    return VersionComparison(
        one=one,
        other=other,
        metrics=tuple(metrics),
        same_rows=same,
        inputs={name: (name in first, name in second) for name in sorted(first ^ second)},
        parameters=dict(_changes(_parameters(one), _parameters(other))),
        packages={
            # Which further packages are loaded also depends on the process that trained.
            name: (str(before), str(after))
            for name, (before, after) in _changes(one.artifact.packages, other.artifact.packages)
            if before and after
        },
        notes=tuple(
            f"{stage}: the versions were scored on different rows, so their figures aren't comparable "
            "as they are"
            for stage, equal in same.items()
            if not equal
        ),
    )


def compare_scores(
    one: Mapping[str, Scores], other: Mapping[str, Scores]
) -> tuple[MetricComparison, ...]:
    """Compare scores by evaluation, which may be of different rows, so that no gain has an interval."""
    return tuple(
        each
        for stage, scores in one.items()
        if stage in other
        for each in _metrics(stage, scores, other[stage], paired=False)
    )


def _pair(
    stage: str, one: ModelVersion, other: ModelVersion
) -> tuple[Evaluation, Evaluation] | None:
    mine = [found for found in one.evaluations if found.stage == stage]
    theirs = [found for found in other.evaluations if found.stage == stage]
    if not mine or not theirs:
        return None
    by_rows = {found.rows_read: found for found in mine}
    for found in reversed(theirs):
        if found.rows_read in by_rows:
            return by_rows[found.rows_read], found
    return mine[-1], theirs[-1]


def _metrics(stage: str, one: Scores, other: Scores, *, paired: bool) -> Iterator[MetricComparison]:
    goals = {**one.goals, **other.goals}
    yield from _part(stage, "", one, other, goals, paired=paired)
    if one.by != other.by:
        return
    known = {part.value: part for part in one.slices}
    for part in other.slices:
        if part.value in known:
            name = f"{other.by}={part.value}"
            yield from _part(stage, name, known[part.value], part, goals, paired=paired)


def _part(
    stage: str,
    name: str,
    one: Scores | Slice,
    other: Scores | Slice,
    goals: Mapping[str, Goal],
    *,
    paired: bool,
) -> Iterator[MetricComparison]:
    for metric, value in one.metrics.items():
        if metric not in other.metrics:
            continue
        goal = goals.get(metric, Goal.LOW)
        estimate = gain_estimate(other, one, metric, goal) if paired else None
        yield MetricComparison(
            stage=stage,
            slice=name,
            rows=other.rows,
            metric=metric,
            one=value,
            other=other.metrics[metric],
            gain=gain(other.metrics[metric], value, goal),
            interval=estimate.interval(SHOWN_CONFIDENCE)
            if estimate and estimate.is_enough
            else None,
        )


def _parameters(version: ModelVersion) -> dict[str, object]:
    known: dict[str, object] = json.loads(version.artifact.params)
    return {**known, "seed": version.artifact.seed}


def _changes(
    one: Mapping[str, object], other: Mapping[str, object]
) -> Iterator[tuple[str, tuple[object, object]]]:
    for name in sorted({*one, *other}):
        if one.get(name) != other.get(name):
            yield name, (one.get(name), other.get(name))
