"""Store LightGBM boosters in LightGBM's own text format."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tidemill.core.errors import TidemillError
from tidemill.core.extras import install_command


class LightGBMText:
    """Store a `lightgbm.Booster` (or the booster of its scikit-learn wrapper) as text."""

    name = "lightgbm"
    is_rowwise = True

    def accepts(self, model: Any) -> bool:
        """Whether `model` is a booster; this doesn't import LightGBM."""
        module = type(model).__module__.partition(".")[0]
        return module == "lightgbm" and hasattr(self._booster(model), "model_to_string")

    def dump(self, model: Any) -> bytes:
        """The model's text, in UTF-8."""
        return bytes(self._booster(model).model_to_string(), "utf-8")

    def load(self, payload: bytes) -> Callable[[Any], Any]:
        """The booster's `predict`; verify the bytes first, because a damaged text can crash the process."""
        try:
            import lightgbm
        except ImportError as error:
            raise TidemillError(
                f"the model needs lightgbm ({error}): {install_command('lightgbm')}"
            ) from error
        return lightgbm.Booster(model_str=payload.decode("utf-8")).predict

    @staticmethod
    def _booster(model: Any) -> Any:
        return getattr(model, "booster_", model)
