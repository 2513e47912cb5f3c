"""Buffers of Polars' columns, read in place."""

from __future__ import annotations

import ctypes

import polars as pl
import pytest

from tidemill.analysis.hashing.arrow_buffers import _Stream, export_buffers
from tidemill.core.errors import TidemillError


def test_a_failing_export_is_reported() -> None:
    stream = _Stream()
    stream.get_schema = type(stream.get_schema)(lambda *_: 22)
    new_capsule = ctypes.pythonapi.PyCapsule_New
    new_capsule.restype = ctypes.py_object
    new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]

    class Broken(pl.Series):
        def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
            return new_capsule(ctypes.addressof(stream), b"arrow_array_stream", None)

    with pytest.raises(TidemillError, match="error 22"), export_buffers(Broken()):
        pass
