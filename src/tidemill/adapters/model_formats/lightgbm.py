"""Store LightGBM boosters in LightGBM's own text format."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from tidemill.adapters.model_formats.library import require_library
from tidemill.workflow.model import ClassLabel, Feed

_OBJECTIVE = re.compile(r"^objective=(\w+)(?:.*?\bnum_class:(\d+))?", re.MULTILINE)
_MULTICLASS = ("multiclass", "multiclassova")


class LightGBMText:
    """Store a `lightgbm.Booster` (or the booster of its scikit-learn wrapper) as text."""

    name = "lightgbm"
    modules: tuple[str, ...] = ("lightgbm",)
    is_rowwise = True

    def accepts(self, model: Any) -> bool:
        """Whether `model` is a booster; this doesn't import LightGBM."""
        module = type(model).__module__.partition(".")[0]
        return module == "lightgbm" and hasattr(_booster(model), "model_to_string")

    def feed(self, model: Any) -> Feed:
        """A float array."""
        return "matrix"

    def classes(self, model: Any) -> Sequence[ClassLabel]:
        """The labels that a wrapper knows; those of a booster's objective are 0, 1, and so on."""
        known = getattr(model, "classes_", None)
        if known is not None:
            return list(known.tolist())
        # The head of the text names the objective; of a custom one nothing is known.
        found = _OBJECTIVE.search(_booster(model).model_to_string(num_iteration=1))
        if found is None:
            return ()
        if found[1] in _MULTICLASS and found[2]:
            return range(int(found[2]))
        return (0, 1) if found[1] == "binary" else ()

    def function(self, model: Any) -> Callable[[Any], Any]:
        """The booster's `predict`, which returns probabilities for a classifier."""
        predict: Callable[[Any], Any] = _booster(model).predict
        return predict

    def dump(self, model: Any) -> bytes:
        """The model's text, in UTF-8."""
        return bytes(_booster(model).model_to_string(), "utf-8")

    def load(self, payload: bytes) -> Callable[[Any], Any]:
        """The booster's `predict`; verify the bytes first, because a damaged text can crash the process."""
        predict: Callable[[Any], Any] = self.restore(payload).predict
        return predict

    def restore(self, payload: bytes) -> Any:
        """The booster, for `init_model`."""
        return require_library("lightgbm").Booster(model_str=payload.decode("utf-8"))


def _booster(model: Any) -> Any:
    return getattr(model, "booster_", model)
