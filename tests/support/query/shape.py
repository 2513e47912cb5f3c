"""Draws the parts of operators and expressions that fit a schema."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping

import polars as pl

from tests.support.query.templates import (
    GATHERED,
    NUMBERS,
    OTHERS,
    OVER_ALL,
    SELECTORS,
    TEXTS,
    TRUTHS,
)

_KINDS: dict[str, Callable[[pl.DataType], bool]] = {
    "int": lambda dtype: dtype.is_integer(),
    "float": lambda dtype: dtype.is_float(),
    "number": lambda dtype: dtype.is_numeric(),
    "text": lambda dtype: dtype == pl.String,
    "bool": lambda dtype: dtype == pl.Boolean,
    "date": lambda dtype: dtype == pl.Date,
    "list": lambda dtype: dtype == pl.List(pl.Int64),
    "plain": lambda dtype: not dtype.is_nested(),
    "any": lambda _: True,
}


class Shape:
    """Draws what fills the gaps of templates for frames of a schema."""

    def __init__(self, rng: random.Random, schema: Mapping[str, pl.DataType]) -> None:
        self.rng = rng
        self.schema = schema

    def filled(self, template: str, depth: int) -> str:
        """`template` with its gaps drawn, expressions no deeper than `depth`."""
        parts = re.split(r"\$([A-Z])", template)
        return "".join(self._gap(part, depth) if at % 2 else part for at, part in enumerate(parts))

    def _gap(self, gap: str, depth: int) -> str:
        if gap in _EXPRESSIONS:
            return self._expression(gap, depth)
        if gap in _COLUMNS:
            return f"pl.col({self._name(_COLUMNS[gap])})"
        if gap in _NAMES:
            return self._name(_NAMES[gap])
        if gap in _LISTS:
            return self._some(_LISTS[gap])
        return self.rng.choice(_CHOICES[gap])

    def _expression(self, gap: str, depth: int) -> str:
        plain, templates, chance = _EXPRESSIONS[gap]
        if plain and (depth <= 0 or self.rng.random() < chance):
            return self.filled(self.rng.choice(plain), 0)
        return self.filled(self.rng.choice(templates), depth - 1)

    def _named(self, kind: str) -> list[str]:
        """Columns of a kind; any if there are none (what is drawn may not fit)."""
        found = [name for name, dtype in self.schema.items() if _KINDS[kind](dtype)]
        return found or list(self.schema)

    def _name(self, kind: str) -> str:
        return repr(self.rng.choice(self._named(kind)))

    def _some(self, kind: str) -> str:
        found = self._named(kind)
        return repr(self.rng.sample(found, self.rng.randint(1, min(3, len(found)))))


_CONSTANTS = ["0", "1", "2", "-1", "0.5", "0.0", "-0.0", "3, pl.Int8", "1.25", "float('nan')"]
# For a kind of expression: what ends it, what it is made of, and how often it ends early.
_EXPRESSIONS: dict[str, tuple[list[str], list[str], float]] = {
    "N": ([*["$C"] * 24, *(f"pl.lit({text})" for text in _CONSTANTS)], NUMBERS, 0.25),
    "B": ([], TRUTHS, 0),
    "S": (["$E"], TEXTS, 0.4),
    "V": ([], ["$N", "$N", "$B", "$S"], 0),
    "G": ([], GATHERED, 0),
}
_COLUMNS = {"C": "number", "E": "text", "L": "list", "D": "date", "A": "any"}
_NAMES = {"K": "plain", "X": "any", "J": "number", "Y": "int", "M": "list", "T": "date"}
_LISTS = {"P": "any", "Q": "plain", "R": "number"}
_CHOICES = {
    "I": ["0", "1", "2", "3"],
    "F": ["True", "False"],
    "W": ["p", "q", "x", "n"],
    "Z": ["left", "right", "both"],
    "H": SELECTORS,
    "U": OVER_ALL,
    "O": OTHERS,
}
