"""The model formats of a project: those of Tidemill, and those that its settings name."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from tidemill.adapters.model_formats.custom import CustomFormat, import_format
from tidemill.adapters.model_formats.lightgbm import LightGBMText
from tidemill.adapters.model_formats.onnx import OnnxModel
from tidemill.adapters.model_formats.pickle import OwnPickle
from tidemill.adapters.model_formats.sklearn import SklearnSkops
from tidemill.adapters.model_formats.torch import TorchSafetensors
from tidemill.adapters.model_formats.xgboost import XGBoostUBJ
from tidemill.analysis.code.code_fingerprint import code_of
from tidemill.core.errors import UsageError
from tidemill.ports.formats import ModelFormat
from tidemill.project.model_probe_server import FormatOptions


def own_format_codes(formats: Iterable[ModelFormat]) -> dict[str, str]:
    """The digest of the code of each format of the project's own, by the format's name."""
    return {
        form.name: code_of(form.kind).digest for form in formats if isinstance(form, CustomFormat)
    }


def open_formats(options: FormatOptions) -> tuple[ModelFormat, ...]:
    """The formats in the order in which they are offered a model; the project's own come first."""
    if options.model_formats and options.root not in sys.path:
        sys.path.insert(0, options.root)
    own = [import_format(reference) for reference in options.model_formats]
    built_in: list[ModelFormat] = [
        LightGBMText(),
        XGBoostUBJ(),
        OnnxModel(),
        TorchSafetensors(),
        SklearnSkops(),
    ]
    taken = {form.name for form in built_in} | {"pickle"}
    for form in own:
        if form.name in taken:
            raise UsageError(
                f"[tool.tidemill] model_formats: there is a format {form.name!r} already: rename it"
            )
        taken.add(form.name)
    pickles: list[ModelFormat] = [OwnPickle(Path(options.home))] if options.allow_pickle else []
    return (*own, *built_in, *pickles)
