"""Serialise expressions of rules as JSON text that can be read back without running Python."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Mapping
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from tidemill.analysis.query.opaque_parts import find_opaque_parts

# Marks a Python function in serialised expressions. Deserialising it would run code of the document's
# author, so it is refused before Polars sees it.
_PYTHON = "PLPY"


def serialize(expr: pl.Expr) -> dict[str, str]:
    """Serialise an expression, with a readable `text` that shortens lists.

    ValueError if JSON can't represent it: a literal infinity or NaN, a Python function.
    """
    try:
        whole = {"expression": expr.meta.serialize(format="json"), "polars": pl.__version__}
    except PolarsError as error:
        raise ValueError(str(error).strip().rpartition("\n")[2]) from None
    same = False
    with contextlib.suppress(ValueError):
        same = deserialize(whole).meta.serialize() == expr.meta.serialize()
    if not same:
        raise ValueError("JSON can't represent all of it, such as a literal infinity or NaN")
    return {"text": str(expr), **whole}


def deserialize(document: Mapping[str, Any]) -> pl.Expr:
    """Deserialise an expression; ValueError if it holds code, or this version of Polars can't read it."""
    try:
        tree = json.loads(str(document.get("expression", "")))
    except (ValueError, RecursionError):
        raise ValueError("its expression is not JSON from Polars") from None
    # Serialise again, so that no other spelling of the same JSON hides a name.
    text = json.dumps(tree, separators=(",", ":"))
    if _PYTHON in text or find_opaque_parts(text, tree):
        raise ValueError("its expression holds code or draws random numbers")
    try:
        return pl.Expr.deserialize(io.StringIO(text), format="json")
    except PolarsError:
        by = document.get("polars", "of unknown version")
        raise ValueError(
            f"its expression was written by Polars {by}, and Polars {pl.__version__} can't read it"
        ) from None
