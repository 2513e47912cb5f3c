"""The model formats of a project: those of Tidemill, and those that its settings name."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, overload

from tidemill.analysis.code.code_fingerprint import code_of
from tidemill.core.errors import UsageError
from tidemill.ports.formats import ModelFormat
from tidemill.project.model_probe_server import FormatOptions

# The classes of Tidemill's formats by their modules, in the order in which they are offered a model.
_BUILT_IN: Mapping[str, str] = {
    "lightgbm": "LightGBMText",
    "xgboost": "XGBoostUBJ",
    "onnx": "OnnxModel",
    "torch": "TorchSafetensors",
    "sklearn": "SklearnSkops",
}


def own_format_codes(formats: Iterable[ModelFormat]) -> dict[str, str]:
    """The digest of the code of each format of the project's own, by the format's name."""
    # Those of Tidemill aren't imported to find that none of them is one.
    found = [*(formats.own if isinstance(formats, ProjectFormats) else formats)]
    if not found:
        return {}
    custom = _adapter("custom").CustomFormat
    return {form.name: code_of(form.kind).digest for form in found if isinstance(form, custom)}


def open_formats(options: FormatOptions) -> ProjectFormats:
    """The formats in the order in which they are offered a model; the project's own come first.

    UsageError if one of the project's own has the name of another format.
    """
    own: list[ModelFormat] = []
    if options.model_formats:
        if options.root not in sys.path:
            sys.path.insert(0, options.root)
        own += map(_adapter("custom").import_format, options.model_formats)
    formats = ProjectFormats(own, options)
    if own:
        _refuse_same_names(own, formats[len(own) :])
    return formats


class ProjectFormats(Sequence[ModelFormat]):
    """The formats of a project: its `own`, and those of Tidemill, imported when something looks at them."""

    def __init__(self, own: Sequence[ModelFormat], options: FormatOptions) -> None:
        self.own, self._options = own, options

    @cached_property
    def _all(self) -> tuple[ModelFormat, ...]:
        return (*self.own, *_built_in(self._options))

    @overload
    def __getitem__(self, at: int) -> ModelFormat: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[ModelFormat, ...]: ...
    def __getitem__(self, at: int | slice) -> ModelFormat | tuple[ModelFormat, ...]:
        return self._all[at]

    def __len__(self) -> int:
        return len(self._all)


def _built_in(options: FormatOptions) -> Iterable[ModelFormat]:
    for module, name in _BUILT_IN.items():
        yield getattr(_adapter(module), name)()
    if options.allow_pickle:
        yield _adapter("pickle").OwnPickle(Path(options.home))


def _adapter(name: str) -> Any:
    """Import a module that only trainings and predictions need."""
    return import_module(f"tidemill.adapters.model_formats.{name}")


def _refuse_same_names(own: Iterable[ModelFormat], others: Iterable[ModelFormat]) -> None:
    taken = {form.name for form in others} | {"pickle"}
    for form in own:
        if form.name in taken:
            raise UsageError(
                f"[tool.tidemill] model_formats: there is a format {form.name!r} already: rename it"
            )
        taken.add(form.name)
