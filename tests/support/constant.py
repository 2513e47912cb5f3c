"""A model that always says the same, and how it is stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np


class Constant:
    """Predicts one number."""

    def __init__(self, value: float) -> None:
        self.value = value


class ConstantFormat:
    """Stores constants as JSON."""

    name = "constant"
    is_rowwise = True

    def accepts(self, model: Any) -> bool:
        return isinstance(model, Constant)

    def dump(self, model: Any) -> bytes:
        return json.dumps(model.value).encode()

    def load(self, payload: bytes) -> Callable[[Any], Any]:
        value = float(json.loads(payload))
        return lambda table: np.full(len(table), value)
