"""A model that always says the same, and how it is stored."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tidemill.workflow.model import ClassLabel, Feed


class Constant:
    """Predicts one number."""

    def __init__(self, value: float) -> None:
        self.value = value


class ConstantFormat:
    """Stores constants as JSON."""

    name = "constant"
    modules: tuple[str, ...] = ()
    is_rowwise = True

    def accepts(self, model: Any) -> bool:
        return isinstance(model, Constant)

    def feed(self, model: Any) -> Feed:
        return "matrix"

    def classes(self, model: Any) -> Sequence[ClassLabel]:
        return ()

    def function(self, model: Any) -> Callable[[Any], Any]:
        return lambda table: np.full(len(table), float(model.value))

    def dump(self, model: Any) -> bytes:
        return json.dumps(model.value).encode()

    def load(self, payload: bytes) -> Callable[[Any], Any]:
        value = float(json.loads(payload))
        return lambda table: np.full(len(table), value)

    def restore(self, payload: bytes) -> Constant:
        return Constant(json.loads(payload))
