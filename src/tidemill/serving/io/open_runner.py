"""Load a stored model for serving, in the fastest way that predicts the same as its format."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tidemill.adapters.model_formats.library import require_library
from tidemill.adapters.model_formats.onnx import has_labelled_output, open_session, predict_with
from tidemill.ports.formats import ModelFormat
from tidemill.serving.io.function_runner import FunctionRunner
from tidemill.serving.io.lightgbm_runner import LightGBMRunner
from tidemill.serving.io.runner import Runner
from tidemill.steps.io.model_loading import format_named
from tidemill.workflow.model import Artifact

_MOST_FLOAT32 = float(np.finfo(np.float32).max)


def open_runner(artifact: Artifact, payload: bytes, formats: Iterable[ModelFormat]) -> Runner:
    """Load a model; only bytes that were verified, and that the probe confirmed.

    Where the fast way isn't possible, the runner's `fallback` says why. StepError for a format that isn't
    among `formats`; TidemillError or an error of the library for bytes that can't be loaded.
    """
    form = format_named(artifact, formats)
    opener = _OPENERS.get(form.name, _open_function)
    return opener(artifact, payload, form)


def _open_function(artifact: Artifact, payload: bytes, form: ModelFormat) -> Runner:
    return FunctionRunner(artifact, form.load(payload))


def _open_lightgbm(artifact: Artifact, payload: bytes, form: ModelFormat) -> Runner:
    try:
        return LightGBMRunner(artifact, payload)
    except OSError as error:
        return FunctionRunner(
            artifact, form.load(payload), fallback=f"LightGBM's library isn't usable: {error}"
        )


def _open_onnx(artifact: Artifact, payload: bytes, form: ModelFormat) -> Runner:
    """Run a model without the package onnx, which only reads what the file is made of."""
    session = open_session(payload)
    if has_labelled_output(session):
        return FunctionRunner(
            artifact,
            form.load(payload),
            thread_safe=True,
            fallback="the ONNX model returns a dictionary per row: export it with zipmap=False",
        )
    return FunctionRunner(artifact, predict_with(session, ()), thread_safe=True)


def _open_xgboost(artifact: Artifact, payload: bytes, form: ModelFormat) -> Runner:
    """Predict in place: a DMatrix starts threads, also for one row, which then takes milliseconds."""
    booster = form.restore(payload)
    function = form.function(booster)
    booster.set_param({"nthread": 1})
    kind = json.loads(booster.save_config())["learner"]["gradient_booster"]["name"]
    if kind != "gbtree":
        return FunctionRunner(
            artifact,
            function,
            fallback=f"XGBoost predicts a {kind} model in place not at all, or with other sums",
            contributions=_contributions(booster),
        )
    return FunctionRunner(
        artifact,
        _in_place(booster, function),
        thread_safe=True,
        contributions=_contributions(booster),
    )


def _in_place(booster: Any, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def predict(table: Any) -> Any:
        # A DMatrix refuses numbers that are infinite as float32; in place they are taken.
        if (np.abs(table) > _MOST_FLOAT32).any():
            return function(table)
        return booster.inplace_predict(table)

    return predict


def _contributions(booster: Any) -> Callable[[Any], Any]:
    matrix = require_library("xgboost").DMatrix
    names, kinds = booster.feature_names, booster.feature_types

    def contribute(table: Any) -> Any:
        rows = matrix(
            table,
            feature_names=names,
            feature_types=kinds,
            enable_categorical=bool(kinds and "c" in kinds),
            nthread=1,
        )
        return booster.predict(rows, pred_contribs=True)

    return contribute


def _open_torch(artifact: Artifact, payload: bytes, form: ModelFormat) -> Runner:
    # Threads gain nothing for few rows, and cost the others on the machine.
    require_library("torch").set_num_threads(1)
    return FunctionRunner(artifact, form.load(payload))


_OPENERS: dict[str, Callable[[Artifact, bytes, ModelFormat], Runner]] = {
    "lightgbm": _open_lightgbm,
    "onnx": _open_onnx,
    "torch": _open_torch,
    "xgboost": _open_xgboost,
}
