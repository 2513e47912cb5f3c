"""Train, evaluate and deliver in a case: a model stays in memory, and nothing is stored."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import polars as pl

from tidemill.cases.io.case_tables import CaseTables
from tidemill.core.errors import StepError
from tidemill.core.partition import WHOLE
from tidemill.models.input_compatibility import column_as_json
from tidemill.models.io.batches import with_partitions
from tidemill.models.predictors import PREDICTION, ModelPredictor
from tidemill.ports.formats import ModelFormat
from tidemill.steps.io.audit_watch import AuditWatch
from tidemill.steps.io.invocation import call_stage
from tidemill.steps.io.model_export import ModelExport, export_model, step_error, unstored_predictor
from tidemill.workflow.gate import Scores
from tidemill.workflow.model import Artifact, Fitted
from tidemill.workflow.search import NoTrial
from tidemill.workflow.stage import Stage

Formats = Sequence[ModelFormat]


def predict_training_rows(stage: Stage, tables: CaseTables, formats: Formats) -> pl.Series:
    """Train a model, and return its predictions for the rows that it was trained on."""
    predictor, fitted, frames = _train(stage, tables, formats)
    wanted = {*fitted.inputs.columns}
    own = [item.name for item in stage.frames if wanted <= {*item.columns}]
    if not own:
        names = ", ".join(fitted.inputs.columns)
        raise step_error(stage, f"none of its inputs has all of the columns that it reads: {names}")
    return predictor.predict(frames[own[0]]).select(PREDICTION).collect().to_series()


def evaluate_model(stage: Stage, tables: CaseTables, formats: Formats) -> Mapping[str, float]:
    """Train the model of an evaluation, and return its metrics."""
    model = next(tables.flow[item.name] for item in stage.inputs if item.contract is None)
    predictor, _, _ = _train(model, tables, formats)
    frames = tables.frames(stage, tables.visible(stage, WHOLE))
    tables.computed.append(stage.name)
    with AuditWatch(stage.place, active=not stage.is_vouched_for) as opened:
        found = call_stage(stage, WHOLE, {**frames, model.name: predictor})
    tables.notes += [f"{stage.name} {touch}" for touch in opened.describe()]
    if not isinstance(found, Scores):
        raise step_error(stage, f"it returned {type(found).__name__}, not tm.scores(...)")
    return found.metrics


def predict_rows(stage: Stage, tables: CaseTables, formats: Formats) -> pl.DataFrame:
    """The rows that a delivery sends: those of its stage, or predictions for them."""
    source = stage.inputs[0].name
    predictor: ModelPredictor | None = None
    if stage.model:
        predictor, _, _ = _train(tables.flow[stage.model], tables, formats)
    parts = tables.parts(source)
    if tables.case.partition:
        if tables.case.partition not in parts:
            raise StepError(
                f"{stage.name} {tables.case.partition} needs {source}, which has "
                f"{', '.join(parts) or 'no rows'}",
                stage=stage.name,
                partition=tables.case.partition,
            )
        parts = {tables.case.partition: parts[tables.case.partition]}
    tables.computed.append(stage.name)
    found = [_delivered(stage, tables, key, rows, predictor) for key, rows in sorted(parts.items())]
    return pl.concat(found) if found else tables.rows(source)


def _delivered(
    stage: Stage,
    tables: CaseTables,
    partition: str,
    rows: pl.DataFrame,
    predictor: ModelPredictor | None,
) -> pl.DataFrame:
    source = tables.flow[stage.inputs[0].name].output
    assert source is not None
    if predictor is not None:
        rows = predictor.predict(rows.lazy()).collect()
        rows = rows.with_columns(pl.lit("case").alias("model"))
    if stage.output is not None:
        return tables.check(
            stage, partition, rows.select(n for n in stage.output.names if n in rows.columns)
        )
    if predictor is None:
        return rows
    return rows.select(*(source.key or source.names), *predictor.columns, "model")


def _train(
    stage: Stage, tables: CaseTables, formats: Formats
) -> tuple[ModelPredictor, Fitted, dict[str, pl.LazyFrame]]:
    """Train a model on the tables of a case, with the parameters that the case gives."""
    assert stage.training is not None
    seen = tables.visible(stage, WHOLE)
    frames = {
        name: with_partitions(
            frame,
            {key: partial(_columns_of, tables, stage, name, key) for key in seen.get(name, ())},
            tables.cuts[name].column,
        )
        for name, frame in tables.frames(stage, seen).items()
    }
    tables.computed.append(stage.name)
    with AuditWatch(stage.place, active=not stage.is_vouched_for) as opened:
        fitted = call_stage(stage, WHOLE, _arguments(stage, tables, frames))
    tables.notes += [f"{stage.name} {touch}" for touch in opened.describe()]
    if not isinstance(fitted, Fitted):
        raise step_error(stage, f"it returned {type(fitted).__name__}, not tm.fitted(...)")
    if fitted.output in fitted.inputs.columns:
        raise step_error(stage, f"its label {fitted.output!r} is among the columns that it reads")
    export = export_model(stage, fitted, frames, formats)
    return unstored_predictor(_artifact(stage, fitted, export), export), fitted, frames


def _columns_of(tables: CaseTables, stage: Stage, name: str, key: str) -> pl.LazyFrame:
    item = next(each for each in stage.frames if each.name == name)
    return tables.parts(name)[key].select(item.columns).lazy()


def _arguments(
    stage: Stage, tables: CaseTables, frames: Mapping[str, pl.LazyFrame]
) -> dict[str, Any]:
    training = stage.training
    assert training is not None
    arguments: dict[str, Any] = dict(frames)
    if training.wants_params:
        arguments["params"] = {**training.params, **tables.case.params.get(stage.name, {})}
    if training.wants_seed:
        arguments["seed"] = training.seed
    if training.wants_trial:
        arguments["trial"] = NoTrial()
    if training.warm_start is not None:
        arguments["parent"] = None
    return arguments


def _artifact(stage: Stage, fitted: Fitted, export: ModelExport) -> Artifact:
    """What a predictor has to know of the model."""
    return Artifact(
        id="case",
        stage=stage.name,
        object="",
        format=export.form.name,
        inputs=fitted.inputs.columns,
        output=fitted.output,
        baseline=export.baseline,
        anchor="",
        rows=0,
        trained_on={},
        contracts={},
        recipe="",
        params="",
        seed=None,
        encodings=fitted.encodings,
        feed=export.feed,
        label=column_as_json(export.label.contract, fitted.output),
        classes=json.dumps(export.classes) if export.classes else "",
        shares=export.shares,
    )
