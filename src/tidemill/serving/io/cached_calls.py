"""Answer rows that a model predicted before without calling it."""

from __future__ import annotations

import math
from collections.abc import Awaitable
from typing import Any

import numpy as np
import polars as pl

from tidemill.serving.answer_cache import AnswerCache, matrix_row_key, row_key
from tidemill.serving.counters import Series
from tidemill.serving.io.batches import Predicted
from tidemill.serving.io.dispatchers import Dispatcher
from tidemill.serving.io.runner import USER_ERRORS, Runner
from tidemill.serving.io.warm_up import GoldenInputs


class CachedCalls:
    """A dispatcher that looks into a cache first, for requests of one row.

    The key is the input of the model, after features were computed and looked up: an answer is right as long
    as the version is the same. `name` names the version at its endpoint.
    """

    def __init__(
        self, inner: Dispatcher, cache: AnswerCache[Any], name: str, series: Series
    ) -> None:
        self._inner = inner
        self._cache = cache
        self._name = name
        self._series = series
        cache.add(name)

    @property
    def waiting(self) -> int:
        """The number of requests that wait for the model, or are in it."""
        return self._inner.waiting

    async def predict_row(self, values: list[float], deadline: float = math.inf) -> Predicted:
        """Predict one row: a number, or a probability per class."""
        key = matrix_row_key(values)
        if (known := self._find(key)) is not None:
            return known, None
        found, cpu_s = await self._inner.predict_row(values, deadline)
        self._cache.keep(self._name, key, found)
        return found, cpu_s

    async def predict(self, rows: Any, deadline: float = math.inf) -> Predicted:
        """Predict the rows of an array or a frame."""
        if len(rows) != 1:
            return await self._inner.predict(rows, deadline)
        is_frame = isinstance(rows, pl.DataFrame)
        key = row_key(rows.row(0)) if is_frame else matrix_row_key(rows[0].tolist())
        # `predict_row` keeps another form of the answer.
        place = (key, "rows")
        if (known := self._find(place)) is not None:
            return known, None
        found, cpu_s = await self._inner.predict(rows, deadline)
        # It may be a part of a batch, which would be kept with it.
        self._cache.keep(self._name, place, np.array(found))
        return found, cpu_s

    def contributions(self, rows: Any, deadline: float = math.inf) -> Awaitable[Predicted]:
        """Explain rows; this isn't kept."""
        return self._inner.contributions(rows, deadline)

    async def close(self) -> None:
        """Forget the answers, and close the model."""
        self._cache.remove(self._name)
        await self._inner.close()

    def _find(self, key: Any) -> Any:
        known = self._cache.find(self._name, key)
        if known is None:
            self._series.cache_misses += 1
        else:
            self._series.cache_hits += 1
        return known


def is_repeatable(runner: Runner, golden: GoldenInputs | None) -> bool:
    """Whether a model predicts its golden rows twice with the same bits; False without golden rows."""
    if golden is None:
        return False
    try:
        first, second = (np.asarray(runner.predict(golden.rows)).tobytes() for _ in range(2))
    except USER_ERRORS:
        return False
    return first == second
