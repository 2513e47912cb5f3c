"""Random operators of a stage, as text in which `@` is the frame that they work on."""

from __future__ import annotations

import random
from collections.abc import Mapping

import polars as pl

from tests.decide.query.shape import Shape
from tests.decide.query.templates import OPERATORS


def operator(rng: random.Random, schema: Mapping[str, pl.DataType]) -> str:
    """One operator; it need not fit a frame of `schema`."""
    (templates,) = rng.choices(list(OPERATORS), weights=list(OPERATORS.values()))
    return Shape(rng, schema).filled(rng.choice(templates), depth=2)


# Pairs of words that a small edit exchanges.
_WORDS = [
    ("sum()", "max()"), ("first()", "last()"), ("True", "False"), ('"left"', '"inner"'),
    (" + ", " - "), (" > ", " >= "), ("cum_sum", "cum_max"), ("'k'", "'n'"), ("'g'", "'k'"),
    (".head(", ".tail("), ("0.0", "-0.0"), ("1", "2"), ("mean()", "median()"), (" & ", " | "),
    ("strict=True", "strict=False"), ("one", "two"), ("'any'", "'none'"), ("min()", "max()"),
    ("0.5", "0.25"), ("'x'", "'y'"), ("lo", "hi"), ("forward_fill", "backward_fill"), ("2", "3"),
    ("left", "right"), ("'n'", "'x'"), ("'first'", "'last'"), ("backward", "forward"),
]  # fmt: skip


def retouched(rng: random.Random, step: str) -> str:
    """An operator with one word exchanged; it need not be Python any more."""
    words = [pair for pair in _WORDS if pair[0] in step or pair[1] in step]
    if not words:
        return step
    old, new = rng.choice(words)
    if old not in step or (new in step and rng.random() < 0.5):
        old, new = new, old
    spots = [at for at in range(len(step)) if step.startswith(old, at)]
    spot = rng.choice(spots)
    return step[:spot] + new + step[spot + len(old) :]
