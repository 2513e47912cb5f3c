"""Check a training and an evaluation for leakage: what a model knows that it can't know when it predicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import polars as pl

from tidemill.contracts.finding import Finding
from tidemill.core.counts import plural
from tidemill.core.errors import did_you_mean
from tidemill.ledger.binding import Binding
from tidemill.models.entities import entity_finding, entity_sample
from tidemill.models.proxies import proxy_findings
from tidemill.steps.io.model_export import step_error
from tidemill.workflow.model import Artifact, Fitted
from tidemill.workflow.stage import Input, Stage

# Rows that a check of single features looks at.
SAMPLE_ROWS = 20_000

Frames = Mapping[str, pl.LazyFrame]


class CheckedTraining(NamedTuple):
    """What leaks in a training, and a sample of the entities that it saw."""

    findings: tuple[Finding, ...]
    entities: str


def check_training(
    stage: Stage,
    fitted: Fitted,
    label_stage: str,
    frames: Frames,
    inputs: Mapping[str, Mapping[str, Binding]],
    *,
    classes: bool,
) -> CheckedTraining:
    """Check a training for features that alone tell the label, or are newer than the prediction."""
    features = _features(stage, fitted)
    _require_known(stage, fitted, features)
    rows = sum(bound.product.rows for bound in inputs.get(label_stage, {}).values())
    table = _sample(stage, fitted, features, label_stage, frames, rows)
    found: list[Finding] = []
    if table is not None:
        found += proxy_findings(table, fitted.inputs.columns, fitted.output, classes=classes)
    for observed, moment in fitted.as_of:
        found += _newer(observed, moment, frames[features.name])
    accepted = {f"leakage.{name}" for name in fitted.allow_leakage}
    return CheckedTraining(
        findings=tuple(finding for finding in found if finding.rule not in accepted),
        entities=_trained_entities(stage, fitted, frames),
    )


def _trained_entities(stage: Stage, fitted: Fitted, frames: Frames) -> str:
    """The sample of the entities that a model was trained on; "" if none is to be checked."""
    names = [name for item in stage.frames for name in item.columns]
    if fitted.entity and fitted.entity not in names:
        advice = did_you_mean(fitted.entity, names)
        raise step_error(stage, f"entity={fitted.entity!r} is in none of its inputs ({advice})")
    if not fitted.entity or fitted.entity in fitted.allow_leakage:
        return ""
    item = next(item for item in stage.frames if fitted.entity in item.columns)
    return entity_sample(_distinct(frames[item.name], fitted.entity))


def evaluation_findings(stage: Stage, artifact: Artifact, frames: Frames) -> tuple[Finding, ...]:
    """Return what leaks into an evaluation: entities that the model was trained on."""
    if not artifact.entities:
        return ()
    for item in stage.frames:
        if artifact.entity in item.columns:
            values = _distinct(frames[item.name], artifact.entity)
            found = entity_finding(artifact.entity, artifact.entities, values)
            return () if found is None else (found,)
    return ()


def _distinct(frame: pl.LazyFrame, column: str) -> Iterable[object]:
    return frame.select(pl.col(column).unique()).collect().to_series()


def _features(stage: Stage, fitted: Fitted) -> Input:
    """The input that has the columns that the model reads."""
    wanted = set(fitted.inputs.columns)
    having = [item for item in stage.frames if wanted <= set(item.columns)]
    own = [item for item in having if item.contract == fitted.inputs.contract]
    if not having:
        raise step_error(stage, f"none of its inputs has all of {', '.join(fitted.inputs.columns)}")
    return (own or having)[0]


def _require_known(stage: Stage, fitted: Fitted, features: Input) -> None:
    """Raise StepError for names of columns that aren't there."""
    named = [name for pair in fitted.as_of for name in pair]
    for name in named:
        if name not in features.columns:
            advice = did_you_mean(name, features.columns)
            raise step_error(
                stage, f"as_of names {name!r}, which {features.name} doesn't have ({advice})"
            )
    known = [*features.columns, *([fitted.entity] if fitted.entity else [])]
    for name in fitted.allow_leakage:
        if name not in known:
            raise step_error(
                stage,
                f"allow_leakage names {name!r}, which isn't there ({did_you_mean(name, known)})",
            )


def _sample(
    stage: Stage, fitted: Fitted, features: Input, label_stage: str, frames: Frames, rows: int
) -> pl.DataFrame | None:
    """Some rows with features and label; None where the two can't be brought together."""
    columns = [*fitted.inputs.columns, fitted.output]
    step = max(1, rows // SAMPLE_ROWS)
    labels = frames[label_stage].gather_every(step)
    if label_stage == features.name:
        return labels.select(columns).collect()
    key = _shared_key([item for item in stage.frames if item.name in (features.name, label_stage)])
    if not key:
        return None
    wanted = [*key, *(name for name in fitted.inputs.columns if name not in key)]
    joined = (
        frames[features.name]
        .select(wanted)
        .join(labels.select(*key, fitted.output), on=key, how="inner")
    )
    return joined.select(columns).collect()


def _shared_key(inputs: Sequence[Input]) -> list[str]:
    """The shortest key of some inputs, if the stage gets its columns of all of them."""
    keys = sorted((item.contract.key for item in inputs if item.contract), key=len)
    shared = keys[0] if all(keys) else ()
    return list(shared) if all(set(shared) <= set(item.columns) for item in inputs) else []


def _newer(observed: str, moment: str, frame: pl.LazyFrame) -> list[Finding]:
    """A finding if values were observed after the moment of the prediction."""
    late = pl.col(observed).cast(pl.Datetime("us")) > pl.col(moment).cast(pl.Datetime("us"))
    found = frame.filter(late).select(
        rows=pl.len(), observed=pl.col(observed).first(), moment=pl.col(moment).first()
    )
    rows, first, then = found.collect().row(0)
    if not rows:
        return []
    return [
        Finding(
            rule=f"leakage.{observed}",
            severity="warn",
            rows=rows,
            sample=str(first),
            message=(
                f"{plural(rows, 'row')} of training had `{observed}` after `{moment}`, such as {first} after "
                f"{then}: a prediction can't know it; join what was known then, or accept it: "
                f"tm.fitted(..., allow_leakage=[{observed!r}])"
            ),
        )
    ]
