"""Turn a trained model into bytes, and compare what they predict with the model in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from tidemill.contracts.column import Column
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.synthetic.rows import sample_rows
from tidemill.core.errors import StepError, TidemillError, UsageError, did_you_mean
from tidemill.core.extras import install_command
from tidemill.core.partition import WHOLE
from tidemill.models.class_labels import baseline_of, class_labels, share_of
from tidemill.models.golden_rows import (
    SPACED_ROWS,
    compare_predictions,
    golden_rows,
    with_predictions,
)
from tidemill.models.predictors import as_predictions, model_input
from tidemill.ports.formats import ModelFormat
from tidemill.store.frames import encode
from tidemill.workflow.model import ClassLabel, Feed, Fitted
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

    `golden` are the rows on which the bytes were compared with the model in memory, as Parquet, and
    `difference` is the largest absolute difference of their predictions.
    """

    form: ModelFormat
    payload: bytes
    feed: Feed
    label: Label
    classes: tuple[ClassLabel, ...]
    baseline: float
    shares: tuple[float, ...]
    golden: bytes
    difference: float


def export_model(
    stage: Stage,
    fitted: Fitted,
    frames: Mapping[str, pl.LazyFrame],
    formats: Sequence[ModelFormat],
) -> ModelExport:
    """Store a model in the first format that accepts it; StepError if its export predicts something else."""
    form = _format_of(stage, fitted, formats)
    label = _label_of(stage, fitted.output)
    try:
        feed = form.feed(fitted.model)
        _refuse_text(stage, fitted, feed)
        classes = class_labels(label.column, fitted.classes, form.classes(fitted.model))
        baseline_of(label.column, classes)
        payload = form.dump(fitted.model)
    except UsageError as error:
        raise step_error(stage, str(error)) from error
    baseline, shares = _baseline(stage, label, classes, frames)
    rows = _golden_rows(stage, fitted, frames)
    check = _ExportCheck(stage, fitted, feed, len(classes), rows)
    original = check.predict(lambda: form.function(fitted.model), "can't predict its training rows")
    loaded = check.predict(
        lambda: form.load(payload), f"can't be loaded from what {form.name} stored"
    )
    return ModelExport(
        form=form,
        payload=payload,
        feed=feed,
        label=label,
        classes=classes,
        baseline=baseline,
        shares=shares,
        golden=encode(with_predictions(rows, original)),
        difference=check.difference(form.name, original, loaded),
    )


class _ExportCheck:
    """Predicts the golden rows of one training."""

    def __init__(
        self, stage: Stage, fitted: Fitted, feed: Feed, classes: int, rows: pl.DataFrame
    ) -> None:
        self._stage = stage
        self._rows = rows
        self._classes = classes
        self._given = model_input(
            rows, fitted.inputs.columns, encodings=fitted.encodings, feed=feed
        )

    def predict(self, function: Callable[[], Callable[[Any], Any]], fault: str) -> Any:
        """Predict with the function that is made; StepError with the user's trace if one fails."""
        try:
            return as_predictions(function()(self._given), self._rows.height, self._classes)
        except UsageError as error:
            raise step_error(self._stage, str(error)) from error
        except TidemillError as error:
            raise step_error(self._stage, f"its model {fault}: {error}") from error
        # The library's error, whatever it is.
        except Exception as error:
            known = user_error(self._stage, WHOLE, error)
            message = f"its model {fault}: {type(error).__name__}: {error}"
            raise step_error(self._stage, message, trace=known.trace) from error

    def difference(self, form: str, original: Any, loaded: Any) -> float:
        """The largest difference; StepError with the first row that is out of bounds."""
        found = compare_predictions(original, loaded)
        if found.row is None:
            return found.largest
        row = ", ".join(
            f"{key}={value!r}" for key, value in self._rows.row(found.row, named=True).items()
        )
        raise step_error(
            self._stage,
            f"its export as {form} predicts {_shown(loaded[found.row])} where the model in memory predicts "
            f"{_shown(original[found.row])}, for {row}: the stored model would not be the one that was "
            "trained, so nothing was stored",
        )


def _shown(value: Any) -> str:
    return f"{value:.9g}" if value.ndim == 0 else f"[{', '.join(f'{v:.9g}' for v in value)}]"


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
    return float(first), tuple(map(float, shares))


def step_error(stage: Stage, message: str, trace: str = "") -> StepError:
    """An error of a step of a model stage, with the place of the stage."""
    return StepError(
        f"{stage.name} ({stage.place}): {message}", stage=stage.name, partition=WHOLE, trace=trace
    )
