"""Load a stored model for serving, in the fastest way that predicts the same as its format."""

from __future__ import annotations

from collections.abc import Iterable

from tidemill.ports.formats import ModelFormat
from tidemill.serving.io.function_runner import FunctionRunner
from tidemill.serving.io.lightgbm_runner import LightGBMRunner
from tidemill.serving.io.runner import Runner
from tidemill.steps.io.model_loading import format_named
from tidemill.workflow.model import Artifact


def open_runner(artifact: Artifact, payload: bytes, formats: Iterable[ModelFormat]) -> Runner:
    """Load a model; only bytes that were verified, and that the probe confirmed.

    Where the fast way isn't possible, the runner's `fallback` says why. StepError for a format that isn't
    among `formats`; TidemillError or an error of the library for bytes that can't be loaded.
    """
    form = format_named(artifact, formats)
    if form.name == "lightgbm":
        try:
            return LightGBMRunner(artifact, payload)
        except OSError as error:
            return FunctionRunner(
                artifact, form.load(payload), fallback=f"LightGBM's library isn't usable: {error}"
            )
    return FunctionRunner(artifact, form.load(payload))
