"""Turn a trained model into bytes, and compare what they predict with the model in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from tidemill.contracts.column import Column
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.synthetic.rows import sample_rows
from tidemill.core.errors import StepError, StorageError, TidemillError, UsageError, did_you_mean
from tidemill.core.extras import install_command
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import WHOLE
from tidemill.core.payload import Payload
from tidemill.models.class_labels import baseline_of, class_labels, one_class_fault, share_of
from tidemill.models.golden_rows import (
    SPACED_ROWS,
    golden_rows,
    with_predictions,
)
from tidemill.models.predictors import ModelPredictor, as_predictions, model_input
from tidemill.ports.formats import ModelFormat, ModelProbe
from tidemill.store.frames import encode
from tidemill.workflow.model import Artifact, ClassLabel, Feed, Fitted
from tidemill.workflow.stage import Stage
from tidemill.workflow.user_errors import user_error


class Label(NamedTuple):
    """The column that a model predicts, and the input of its stage that has it."""

    stage: str
    contract: ContractSpec
    column: Column


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelExport:
    """A model as bytes, with what its artifact records about it.

    `function` predicts with the model in memory. `golden` are rows with its predictions, as Parquet, on which
    the bytes are compared with it.
    """

    form: ModelFormat
    payload: Payload
    feed: Feed
    label: Label
    classes: tuple[ClassLabel, ...]
    baseline: float
    shares: tuple[float, ...]
    golden: bytes
    function: Callable[[Any], Any]


def export_model(
    stage: Stage,
    fitted: Fitted,
    frames: Mapping[str, pl.LazyFrame],
    formats: Sequence[ModelFormat],
) -> ModelExport:
    """Turn a model into bytes in the first format that accepts it; StepError if it can't be stored."""
    form = _format_of(stage, fitted, formats)
    label = _label_of(stage, fitted.output)
    try:
        feed = form.feed(fitted.model)
        _refuse_text(stage, fitted, feed)
        classes = class_labels(label.column, fitted.classes, form.classes(fitted.model))
        baseline_of(label.column, classes)
        payload = _contiguous(form, form.dump(fitted.model))
    except UsageError as error:
        raise step_error(stage, str(error)) from error
    baseline, shares = _baseline(stage, label, classes, frames)
    rows = _golden_rows(stage, fitted, frames)
    function, original = _predicted(stage, fitted, form, feed, len(classes), rows)
    return ModelExport(
        form=form,
        payload=payload,
        feed=feed,
        label=label,
        classes=classes,
        baseline=baseline,
        shares=shares,
        golden=encode(with_predictions(rows, original)),
        function=function,
    )


def _contiguous(form: ModelFormat, dumped: Payload) -> Payload:
    """What a format returned, as bytes in a row; UsageError for something else."""
    if isinstance(dumped, bytes):
        return dumped
    try:
        return memoryview(dumped).cast("B").toreadonly()
    except TypeError as error:
        raise UsageError(
            f"dump of the format {form.name!r} returned {type(dumped).__name__}: {error}; return bytes, or "
            "a contiguous buffer"
        ) from error


def _predicted(
    stage: Stage,
    fitted: Fitted,
    form: ModelFormat,
    feed: Feed,
    classes: int,
    rows: pl.DataFrame,
) -> tuple[Callable[[Any], Any], Any]:
    """The function of the model in memory, and its predictions; StepError with the trace if it fails."""
    try:
        given = model_input(rows, fitted.inputs.columns, encodings=fitted.encodings, feed=feed)
        function = form.function(fitted.model)
        return function, as_predictions(function(given), rows.height, classes)
    except UsageError as error:
        raise step_error(stage, str(error)) from error
    except TidemillError as error:
        raise step_error(stage, f"its model can't predict its training rows: {error}") from error
    # The library's error, whatever it is.
    except Exception as error:
        known = user_error(stage, WHOLE, error)
        message = f"its model can't predict its training rows: {type(error).__name__}: {error}"
        raise step_error(stage, message, trace=known.trace) from error


def export_difference(
    stage: Stage, export: ModelExport, artifact: Artifact, probe: ModelProbe
) -> float:
    """Load an export in a process of its own, and compare it with the model in memory on the golden rows.

    Returns the largest absolute difference of their predictions; StepError if it can't be used.
    """
    try:
        return probe.measure(artifact, export.form, export.payload, export.golden)
    except StorageError as error:
        raise step_error(
            stage,
            f"its export as {export.form.name} can't be used: {error}; nothing was stored, because the "
            "stored model would not be the one that was trained",
        ) from error


def unstored_predictor(artifact: Artifact, export: ModelExport) -> ModelPredictor:
    """The predictor of a model in memory, which need not be stored."""
    return ModelPredictor(export.function, artifact)


def _golden_rows(stage: Stage, fitted: Fitted, frames: Mapping[str, pl.LazyFrame]) -> pl.DataFrame:
    """A sample of the training rows, or rows drawn from the contract if no input has all columns."""
    wanted, spec = fitted.inputs.columns, fitted.inputs.contract
    for item in stage.frames:
        if item.contract is not None and set(wanted) <= set(item.columns):
            return golden_rows(frames[item.name], wanted)
    columns = tuple(spec.column(name) for name in wanted)
    bare = ContractSpec(name=spec.name, version=spec.version, columns=columns)
    return sample_rows(bare, SPACED_ROWS, np.random.default_rng(0)).select(wanted)


def _format_of(stage: Stage, fitted: Fitted, formats: Sequence[ModelFormat]) -> ModelFormat:
    for form in formats:
        if form.accepts(fitted.model):
            return form
    known = ", ".join(form.name for form in formats)
    kind = type(fitted.model)
    raise step_error(
        stage,
        f"a model of type {kind.__module__}.{kind.__qualname__} can't be stored (known: {known}); "
        f"train a model of one of these libraries, such as lightgbm (`{install_command('lightgbm')}`), "
        "or register a format for it: [tool.tidemill] model_formats",
    )


def _label_of(stage: Stage, output: str) -> Label:
    for item in stage.frames:
        if item.contract is not None and output in item.columns:
            return Label(item.name, item.contract, item.contract.column(output))
    names = [name for item in stage.frames for name in item.columns]
    raise step_error(
        stage, f"output={output!r} is in none of its inputs ({did_you_mean(output, names)})"
    )


def _refuse_text(stage: Stage, fitted: Fitted, feed: Feed) -> None:
    """Refuse columns that aren't numbers for a model that gets floats, unless an encoder made them."""
    if feed == "frame" or fitted.encodings:
        return
    for name in fitted.inputs.columns:
        dtype = fitted.inputs.contract.column(name).dtype
        if not dtype.is_number and dtype.name != "Boolean":
            raise step_error(
                stage,
                f"it reads {name!r}, which is {dtype}; let an encoder make a number of it: "
                "encoder = tm.encoder(table, inputs=...), tm.fitted(model, inputs=encoder, ...)",
            )


def _baseline(
    stage: Stage,
    label: Label,
    classes: Sequence[ClassLabel],
    frames: Mapping[str, pl.LazyFrame],
) -> tuple[float, tuple[float, ...]]:
    """Return the prediction of a trivial model, and the shares of the classes, over the training rows."""
    wanted = [
        baseline_of(label.column, classes),
        *(share_of(label.column, name) for name in (classes if len(classes) > 2 else ())),
    ]
    values = frames[label.stage].select(value.alias(str(at)) for at, value in enumerate(wanted))
    first, *shares = values.collect().row(0)
    if first is None:
        raise step_error(stage, f"the training window has no value of {label.column.name!r}")
    if fault := one_class_fault(label.column, classes, shares or (1 - first, first)):
        raise step_error(stage, fault)
    return float(first), tuple(map(float, shares))


def step_error(stage: Stage, message: str, trace: str = "") -> StepError:
    """An error of a step of a model stage, with the place of the stage."""
    return StepError(
        f"{stage.name} ({stage.place}): {message}", stage=stage.name, partition=WHOLE, trace=trace
    )
