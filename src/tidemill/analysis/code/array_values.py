"""Identify values of NumPy and Polars; neither package is imported here."""

from __future__ import annotations

import sys
from typing import Any

from tidemill.analysis.code.walker_protocol import Visitor
from tidemill.core.fingerprint import Part

# Marks of Python in an expression: Polars' own mark, the name of a node, or the first bytes of a pickle,
# plain or as a list of numbers. Functions of the project are pickled by name, so edits don't show.
_PYTHON = (b"PLPY", b"AnonymousFunction", b"FfiPlugin", b"Python")
_PICKLES = tuple(
    mark + bytes([protocol]) + after
    for protocol in range(2, 6)
    for mark, after in ((b"\x80", b"\x95"), (b"\xcc\x80", b"\xcc\x95"))
)


def numpy_part(value: Any, visitor: Visitor) -> Part | None:
    """Identify an array, a scalar, a dtype or a generator; None for anything else."""
    numpy = sys.modules["numpy"]
    if isinstance(value, numpy.dtype):
        return repr(value)
    if type(value) is numpy.ndarray:
        if value.dtype.hasobject or value.dtype.kind == "T":
            return [repr(value.dtype), list(value.shape), visitor.value(value.tolist())]
        return [repr(value.dtype), list(value.shape), value.tobytes()]
    if isinstance(value, numpy.generic):
        return [repr(value.dtype), value.tobytes()]
    if type(value).__module__.startswith("numpy.random"):
        return visitor.external("numpy.random.instance")
    return None


def polars_part(value: Any, visitor: Visitor) -> Part | None:
    """Identify a value of Polars, under this version of Polars; None for an unknown type."""
    polars = sys.modules["polars"]
    part: Part | None = None
    if isinstance(value, polars.Expr):
        part = _expression(value, visitor)
    elif isinstance(value, polars.DataFrame):
        part = _frame(value, visitor)
    elif isinstance(value, polars.Series):
        part = _frame(value.to_frame(), visitor)
    elif isinstance(value, polars.DataType):
        part = _frame(polars.DataFrame(schema={"": value}), visitor)
    elif isinstance(value, polars.Schema):
        part = [[name, visitor.value(dtype)] for name, dtype in value.items()]
    elif type(value) is polars.ScanCastOptions:
        part = visitor.value(vars(value))
    elif isinstance(value, polars.LazyFrame):
        part = visitor.refuse("a LazyFrame is read when it runs; make it a DataFrame, or an input")
    return None if part is None else [visitor.external("polars"), part]


def _expression(value: Any, visitor: Visitor) -> Part:
    try:
        data: bytes = value.meta.serialize()
    except (sys.modules["polars"].exceptions.PolarsError, TypeError, ValueError, AttributeError):
        data = _PYTHON[0]  # only Python functions can't be pickled
    if any(mark in data for mark in (*_PYTHON, *_PICKLES)):
        return visitor.refuse(
            "a Python function or a plugin sits in the expression; build it inside a function"
        )
    return data


def _frame(value: Any, visitor: Visitor) -> Part:
    types = repr(value.schema)
    if "Object" in types:
        return visitor.refuse("a column of Python objects can't be fingerprinted")
    if "Categorical" in types:
        # Their codes depend on the categories that the process saw before.
        return [types, visitor.value(value.to_dict(as_series=False))]
    data: bytes = value.rechunk().serialize()
    return data
