"""Recognise codes in text columns: values of one shape."""

from __future__ import annotations

import re
from itertools import groupby

import polars as pl

# With fewer distinct values, a common shape may be chance.
_ENOUGH = 10
_LONGEST = 40
_CLASSES = {"0": "[0-9]", "A": "[A-Z]", "a": "[a-z]"}
_LITERAL = re.compile(r"[ -/:-@\[^_{|}~]")


def pattern_of(series: pl.Series) -> str:
    """Return the pattern of codes that all have one shape, such as `^[A-Z]{2}-[0-9]{4}$`; else "".

    Lower-case words of the same length don't count as codes.
    """
    values = series.drop_nulls()
    lengths = values.str.len_chars()
    if not values.len() or lengths.min() != lengths.max() or lengths.item(0) > _LONGEST:
        return ""
    different = values.unique()
    shapes = (
        different.str.replace_all("[0-9]", "0")
        .str.replace_all("[A-Z]", "A")
        .str.replace_all("[a-z]", "a")
        .unique()
    )
    if different.len() < _ENOUGH or shapes.len() > 1 or not re.search("[0A]", shapes.item()):
        return ""
    return _pattern(shapes.item())


def _pattern(shape: str) -> str:
    parts = []
    for mark, run in groupby(shape):
        if mark not in _CLASSES and not _LITERAL.fullmatch(mark):
            return ""
        count = len(list(run))
        piece = _CLASSES.get(mark) or re.sub(r"[.^$*+?{}()|\[]", r"\\\g<0>", mark)
        parts.append(piece if count == 1 else f"{piece}{{{count}}}")
    return f"^{''.join(parts)}$"
