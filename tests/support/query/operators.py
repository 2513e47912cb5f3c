"""Random operators of a stage, as text in which `@` is the frame that they work on."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping

import polars as pl

from tests.support.query.shape import Shape
from tests.support.query.templates import OPERATORS


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


_SIGNS = re.compile(r" (?:[-+*/%<>&|^]|//|>=|<=|==|!=) ")


def swapped(rng: random.Random, step: str) -> str:
    """An operator in which the operands of one sign have changed places."""
    signs = list(_SIGNS.finditer(step))
    if not signs:
        return step
    sign = rng.choice(signs)
    start, end = _edge(step, sign.start() - 1, -1), _edge(step, sign.end(), 1)
    left, right = step[start + 1 : sign.start()], step[sign.end() : end]
    return step[: start + 1] + right + sign[0] + left + step[end:]


def _edge(text: str, at: int, way: int) -> int:
    """Where an operand ends, going this way: at a bracket that it doesn't hold, or at a comma."""
    depth, opening = 0, "([{" if way > 0 else ")]}"
    while 0 <= at < len(text):
        letter = text[at]
        if letter in "()[]{}":
            depth += 1 if letter in opening else -1
        if depth < 0 or (depth == 0 and letter in ",="):
            break
        at += way
    return at


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
