"""Run LightGBM models by the C functions of its library."""

from __future__ import annotations

import ctypes
import struct
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tidemill.core.errors import StorageError, UsageError
from tidemill.models.predictors import as_predictions
from tidemill.serving.call_cost import UNKNOWN_COST
from tidemill.serving.io.lightgbm_library import LightGBMLibrary, open_library
from tidemill.serving.io.runner import closed_error
from tidemill.workflow.model import Artifact, Feed

_PARAMETERS = b"num_threads=1 verbosity=-1"
_FLOAT64 = 1
_ROW_MAJOR = 1
_NORMAL = 0
_CONTRIBUTIONS = 3
# From the first tree to the last. The text of a model that stopped early ends with its best iteration.
_ITERATIONS = (0, -1)
_WAIT_S = 5e-4


class LightGBMRunner:
    """A LightGBM model, loaded from its text.

    It predicts what `lightgbm.Booster(model_str=...).predict` does, bit for bit. Each thread that calls it
    has its own buffers.
    """

    __slots__ = (
        "__weakref__",
        "_calls",
        "_closed",
        "_handle",
        "_library",
        "_lock",
        "_pick",
        "_thread",
        "_width",
        "cost",
        "fallback",
        "features",
        "feed",
        "thread_safe",
    )

    def __init__(self, artifact: Artifact, payload: bytes) -> None:
        self._closed = True
        self.feed: Feed = "matrix"
        self.cost = UNKNOWN_COST
        self.thread_safe = True
        self.fallback = ""
        self._lock = threading.Lock()
        self._thread = threading.local()
        self._calls: list[_RowCall] = []
        self._library = open_library()
        self._handle = _load(self._library, payload)
        self._closed = False
        self.features = _feature_count(self._library, self._handle)
        if self.features != len(artifact.inputs):
            raise StorageError(
                f"the LightGBM file has {self.features} features, but the model's record names "
                f"{len(artifact.inputs)} inputs"
            )
        self._width = _output_count(self._library, self._handle)
        # The position of the only number in a row of the output; None if all count.
        kept = as_predictions(np.arange(self._width)[np.newaxis], 1, len(artifact.class_labels))
        self._pick = int(kept[0]) if kept.ndim == 1 else None

    def predict_row(self, values: list[float]) -> float | list[float]:
        """Predict one row in some two microseconds; this keeps the GIL."""
        try:
            call = self._thread.call
        except AttributeError:
            call = self._open_call()
        call.busy = True
        try:
            if self._closed:
                raise closed_error()
            try:
                call.pack(*values)
            except struct.error as error:
                raise self._row_error(values, error) from error
            if code := call.predict():
                self._library.require_success(code)
            found = call.output
            return found[:] if self._pick is None else found[self._pick]  # type: ignore[no-any-return]
        finally:
            call.busy = False

    def predict(self, rows: Any) -> Any:
        """Predict rows of an array; this releases the GIL."""
        return self._predict_as(_NORMAL, rows)

    def contributions(self, rows: Any) -> Any:
        """SHAP values, as `pred_contrib=True` gives them; TidemillError for linear trees."""
        return self._predict_as(_CONTRIBUTIONS, rows, self.features + 1)

    def close(self) -> None:
        """Free the model after the calls that are in flight."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        for call in self._calls:
            # It set this before it looked whether the model is closed.
            while call.busy:
                time.sleep(_WAIT_S)
        for call in self._calls:
            self._library.short.LGBM_FastConfigFree(call.config)
        self._library.long.LGBM_BoosterFree(self._handle)

    def __del__(self) -> None:
        # One that was never opened counts as closed.
        if hasattr(self, "_lock"):
            self.close()

    def _predict_as(self, kind: int, rows: Any, *shape: int) -> Any:
        """Predict rows of an array, with so many numbers per row and output."""
        if rows.ndim != 2 or rows.shape[1] != self.features:
            raise UsageError(
                f"the model reads {self.features} inputs, but the array has shape {rows.shape}"
            )
        table = np.ascontiguousarray(rows, dtype=np.float64)
        found = np.empty((len(table), self._width, *shape))
        if len(table):
            self._call(found, table, kind)
        return found if self._pick is None else found[:, self._pick]

    def _call(self, found: Any, table: Any, kind: int) -> None:
        call = getattr(self._thread, "call", None) or self._open_call()
        call.busy = True
        try:
            if self._closed:
                raise closed_error()
            code = self._library.long.LGBM_BoosterPredictForMat(
                self._handle,
                ctypes.c_void_p(table.ctypes.data),
                _FLOAT64,
                *map(ctypes.c_int32, table.shape),
                _ROW_MAJOR,
                kind,
                *_ITERATIONS,
                _PARAMETERS,
                ctypes.byref(ctypes.c_int64()),
                ctypes.c_void_p(found.ctypes.data),
            )
            self._library.require_success(code)
        finally:
            call.busy = False

    def _open_call(self) -> _RowCall:
        with self._lock:
            if self._closed:
                raise closed_error()
            call = _RowCall(self._library, self._handle, self.features, self._width)
            self._calls.append(call)
        self._thread.call = call
        return call

    def _row_error(self, values: list[float], error: struct.error) -> UsageError:
        if len(values) != self.features:
            return UsageError(f"the model reads {self.features} inputs, not {len(values)}")
        return UsageError(f"a row for the model holds numbers, with NaN for null: {error}")


class _RowCall:
    """The calls of one thread with single rows: LightGBM's configuration of the call, and buffers."""

    __slots__ = ("_input", "_length", "busy", "config", "output", "pack", "predict")

    def __init__(
        self, library: LightGBMLibrary, handle: ctypes.c_void_p, features: int, width: int
    ) -> None:
        self.busy = False
        self.config = ctypes.c_void_p()
        library.require_success(
            library.long.LGBM_BoosterPredictForMatSingleRowFastInit(
                handle,
                _NORMAL,
                *_ITERATIONS,
                _FLOAT64,
                features,
                _PARAMETERS,
                ctypes.byref(self.config),
            )
        )
        self._input = (ctypes.c_double * features)()
        self._length = ctypes.c_int64()
        self.output = (ctypes.c_double * width)()
        # Raises struct.error for another number of values, which C would read beyond the buffer.
        self.pack: Callable[..., None] = partial(
            struct.Struct(f"{features}d").pack_into, self._input, 0
        )
        self.predict: Callable[[], int] = partial(
            library.short.LGBM_BoosterPredictForMatSingleRowFast,
            self.config,
            *map(ctypes.byref, (self._input, self._length, self.output)),
        )


def _load(library: LightGBMLibrary, payload: bytes) -> ctypes.c_void_p:
    handle = ctypes.c_void_p()
    library.require_success(
        library.long.LGBM_BoosterLoadModelFromString(
            ctypes.c_char_p(payload), ctypes.byref(ctypes.c_int()), ctypes.byref(handle)
        )
    )
    return handle


def _feature_count(library: LightGBMLibrary, handle: ctypes.c_void_p) -> int:
    found = ctypes.c_int()
    library.require_success(library.long.LGBM_BoosterGetNumFeature(handle, ctypes.byref(found)))
    return found.value


def _output_count(library: LightGBMLibrary, handle: ctypes.c_void_p) -> int:
    """How many numbers the model returns for a row."""
    found = ctypes.c_int64()
    library.require_success(
        library.long.LGBM_BoosterCalcNumPredict(
            handle, 1, _NORMAL, *_ITERATIONS, ctypes.byref(found)
        )
    )
    return found.value
