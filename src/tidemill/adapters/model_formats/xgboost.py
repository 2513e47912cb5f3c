"""Store XGBoost boosters as UBJSON, XGBoost's own binary format."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from tidemill.adapters.model_formats.library import require_library
from tidemill.core.errors import UsageError
from tidemill.core.payload import Payload
from tidemill.workflow.model import ClassLabel, Feed


class XGBoostUBJ:
    """Store an `xgboost.Booster` (or the booster of its scikit-learn wrapper) as UBJSON.

    Of a wrapper that stopped early, only the trees up to its best iteration are stored.
    """

    name = "xgboost"
    modules: tuple[str, ...] = ("xgboost",)
    is_rowwise = True

    def accepts(self, model: Any) -> bool:
        """Whether `model` is a booster; this doesn't import XGBoost."""
        return type(model).__module__.partition(".")[0] == "xgboost" and (
            hasattr(model, "get_booster") or hasattr(model, "save_raw")
        )

    def feed(self, model: Any) -> Feed:
        """A float array."""
        return "matrix"

    def classes(self, model: Any) -> Sequence[ClassLabel]:
        """The labels of a wrapper; those of a booster's objective are 0, 1, and so on."""
        config = json.loads(_booster(model).save_config())["learner"]
        objective = config["objective"]["name"]
        if objective == "multi:softmax":
            raise UsageError(
                "the objective multi:softmax predicts no probabilities: train it with multi:softprob"
            )
        known = getattr(model, "classes_", None)
        if known is not None:
            return list(known.tolist())
        if objective == "multi:softprob":
            return range(int(config["learner_model_param"]["num_class"]))
        return (0, 1) if objective == "binary:logistic" else ()

    def function(self, model: Any) -> Callable[[Any], Any]:
        """The booster's prediction, which is probabilities for a classifier."""
        return _predict_with(_booster(model))

    def dump(self, model: Any) -> Payload:
        """The model as UBJSON."""
        payload: bytearray = _booster(model).save_raw("ubj")
        return payload

    def load(self, payload: bytes) -> Callable[[Any], Any]:
        """The booster's prediction."""
        return _predict_with(self.restore(payload))

    def restore(self, payload: bytes) -> Any:
        """The booster, for `xgb_model`."""
        booster = require_library("xgboost").Booster()
        booster.load_model(bytearray(payload))
        return booster


def _predict_with(booster: Any) -> Callable[[Any], Any]:
    xgboost = require_library("xgboost")
    names, kinds = booster.feature_names, booster.feature_types

    def predict(table: Any) -> Any:
        rows = xgboost.DMatrix(
            table,
            feature_names=names,
            feature_types=kinds,
            enable_categorical=bool(kinds and "c" in kinds),
        )
        return booster.predict(rows)

    return predict


def _booster(model: Any) -> Any:
    if not hasattr(model, "get_booster"):
        return model
    booster = model.get_booster()
    best = getattr(model, "best_iteration", None) if booster.attr("best_iteration") else None
    return booster if best is None else booster[: best + 1]
