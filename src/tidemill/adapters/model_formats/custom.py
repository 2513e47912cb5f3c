"""Formats of users, named in the settings: `[tool.tidemill] model_formats = ["module:Class"]`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from tidemill.core.errors import UsageError
from tidemill.core.payload import Payload
from tidemill.workflow.model import ClassLabel, Feed

_REQUIRED = ("name", "accepts", "dump", "load")


class CustomFormat:
    """A format of a user, with defaults for what it doesn't define.

    It needs a `name` and the methods `accepts`, `dump` and `load`, and may have `modules`, `is_rowwise`,
    `feed`, `classes`, `function` and `restore`, as `ModelFormat` describes them. `kind` is the user's class.
    """

    def __init__(self, kind: Any, place: str) -> None:
        own = kind()
        missing = [name for name in _REQUIRED if not hasattr(own, name)]
        if missing:
            raise UsageError(
                f"the model format {place} has no {', '.join(missing)}: it needs {', '.join(_REQUIRED)}"
            )
        self.kind = kind
        self._own = own
        self.name = str(own.name)
        self.modules: tuple[str, ...] = tuple(getattr(own, "modules", ()))
        self.is_rowwise = bool(getattr(own, "is_rowwise", False))
        self.accepts: Callable[[Any], bool] = own.accepts
        self.dump: Callable[[Any], Payload] = own.dump
        self.load: Callable[[bytes], Callable[[Any], Any]] = own.load

    def feed(self, model: Any) -> Feed:
        """A float array by default."""
        feed: Feed = self._own.feed(model) if hasattr(self._own, "feed") else "matrix"
        return feed

    def classes(self, model: Any) -> Sequence[ClassLabel]:
        """None by default: the model predicts numbers."""
        return self._own.classes(model) if hasattr(self._own, "classes") else ()

    def function(self, model: Any) -> Callable[[Any], Any]:
        """The model's `predict` by default."""
        own = self._own
        function: Callable[[Any], Any] = (
            own.function(model) if hasattr(own, "function") else model.predict
        )
        return function

    def restore(self, payload: bytes) -> Any:
        """The model; UsageError for a format that can only predict."""
        if not hasattr(self._own, "restore"):
            raise UsageError(
                f"the model format {self.name!r} has no restore(payload), which returns the model to continue"
            )
        return self._own.restore(payload)


def import_format(reference: str) -> CustomFormat:
    """Import and construct a format, `module:Class`; UsageError if there is no such class."""
    module, _, name = reference.partition(":")
    place = f"[tool.tidemill] model_formats: {reference!r}"
    if not name:
        raise UsageError(f"{place} is not module:Class, such as formats:Spline")
    try:
        kind = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"{place} can't be imported: {error}") from error
    return CustomFormat(kind, reference)
