"""Expressions of rules as text that comes back, and is never run as Python."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Mapping
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from tidemill.analysis.query.opaque_parts import hits_in

# What Polars writes before a function of Python. To read such a function would run code of the
# document's author, so it is refused before Polars sees it.
_PYTHON = "PLPY"


def written(expr: pl.Expr) -> dict[str, str]:
    """An expression for people (`text`, which shortens lists), and whole for machines.

    ValueError when JSON can't say it: a literal infinity or NaN, a function of Python.
    """
    try:
        told = {"expression": expr.meta.serialize(format="json"), "polars": pl.__version__}
    except PolarsError as error:
        raise ValueError(str(error).strip().rpartition("\n")[2]) from None
    same = False
    with contextlib.suppress(ValueError):
        same = read(told).meta.serialize() == expr.meta.serialize()
    if not same:
        raise ValueError("JSON can't say all of it, such as a literal infinity or NaN")
    return {"text": str(expr), **told}


def read(told: Mapping[str, Any]) -> pl.Expr:
    """What `written` wrote; ValueError when it holds code, or this Polars can't read it."""
    try:
        tree = json.loads(str(told.get("expression", "")))
    except (ValueError, RecursionError):
        raise ValueError("its expression is no JSON that Polars writes") from None
    # Written again, so that no other spelling of the same JSON hides a name.
    text = json.dumps(tree, separators=(",", ":"))
    if _PYTHON in text or hits_in(text, tree):
        raise ValueError("its expression holds code, or draws random numbers")
    try:
        return pl.Expr.deserialize(io.StringIO(text), format="json")
    except PolarsError:
        by = told.get("polars", "of unknown version")
        raise ValueError(
            f"its expression was written by Polars {by}, and Polars {pl.__version__} can't read it"
        ) from None
