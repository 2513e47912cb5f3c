"""Load a stored model, after its bytes were verified and it was loaded once in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import polars as pl

from tidemill.core.errors import StepError, StorageError, TidemillError
from tidemill.core.partition import WHOLE
from tidemill.models.golden_rows import find_golden_fault
from tidemill.models.io.parent import LoadedParent
from tidemill.models.predictors import ModelPredictor
from tidemill.ports.artifacts import Artifacts
from tidemill.ports.formats import ModelFormat, ModelProbe
from tidemill.workflow.model import Artifact


def load_predictor(
    artifact: Artifact,
    artifacts: Artifacts,
    formats: Iterable[ModelFormat],
    probe: ModelProbe,
) -> ModelPredictor:
    """Load the predictor of a stored model.

    Its bytes are verified against their digest. Unless this project has loaded them before with the same
    versions of the library, they are first loaded in a process of their own, which may crash. The model must
    predict its golden rows as in training: code of the project that it is made of may have changed since.
    """
    form = format_named(artifact, formats)
    with _explained(artifact, f"`tidemill run --train {artifact.stage}` trains it again"):
        _, function = _load(artifact, form, artifacts, probe)
    return ModelPredictor(function, artifact)


def load_parent(
    artifact: Artifact,
    new: Collection[str],
    artifacts: Artifacts,
    formats: Iterable[ModelFormat],
    probe: ModelProbe,
) -> LoadedParent:
    """Load a stored model to continue it; `new` are the partitions that it wasn't trained on.

    It is verified like a model that predicts.
    """
    form = format_named(artifact, formats)
    advice = (
        "run again: a parent whose stored object is missing or damaged isn't continued; with "
        "warm_start=0 the training is from scratch"
    )
    with _explained(artifact, advice):
        payload, _ = _load(artifact, form, artifacts, probe)
        model = form.restore(payload)
    return LoadedParent(artifact=artifact, model=model, new=new)


def _load(
    artifact: Artifact, form: ModelFormat, artifacts: Artifacts, probe: ModelProbe
) -> tuple[bytes, Callable[[Any], Any]]:
    """Return the verified bytes of a model and its prediction function."""
    payload = artifacts.get(artifact.object)
    golden = artifacts.get(artifact.golden) if artifact.golden else b""
    probe.confirm(artifact, form, payload, golden)
    function = form.load(payload)
    if golden and (fault := _golden_fault(function, artifact, golden)):
        raise StorageError(fault)
    return payload, function


@contextmanager
def _explained(artifact: Artifact, advice: str) -> Iterator[None]:
    """Let an error name the model that can't be loaded, with an advice; it becomes a StorageError."""
    try:
        yield
    except StorageError as error:
        raise type(error)(_explain(artifact, error, advice)) from error
    except TidemillError as error:
        raise StorageError(_explain(artifact, error, advice)) from error


def _explain(artifact: Artifact, error: Exception, advice: str) -> str:
    return f"{artifact.stage} {artifact.id} can't be loaded: {error}; {advice}"


def _golden_fault(function: Callable[[Any], Any], artifact: Artifact, golden: bytes) -> str:
    try:
        return find_golden_fault(function, artifact, pl.read_parquet(BytesIO(golden)))
    # The code of a model may raise anything.
    except Exception as error:  # noqa: BLE001
        return f"predicting its golden rows failed: {type(error).__name__}: {error}"


def format_named(artifact: Artifact, formats: Iterable[ModelFormat]) -> ModelFormat:
    """The format that an artifact is stored in; StepError if the project doesn't have it."""
    form = next((form for form in formats if form.name == artifact.format), None)
    if form is None:
        known = ", ".join(form.name for form in formats)
        advice = "set allow_pickle = true in [tool.tidemill], or train it in another format"
        if artifact.format != "pickle":
            advice = "register its format: [tool.tidemill] model_formats"
        raise StepError(
            f"model {artifact.id} is stored as {artifact.format!r}, which none of {known} reads: {advice}",
            stage=artifact.stage,
            partition=WHOLE,
        )
    return form
