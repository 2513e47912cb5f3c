"""Random stages over fixed inputs, and random data for them.

    rng = random.Random(7)
    stage = drawn.stage(rng)                 # one to five operators over `one`, `two` and `three`
    stage.source                             # the Python text of the query; shown by every failure
    stage(drawn.empty())                     # called on frames: a mapping of names to LazyFrames
    stage(lazy(drawn.tables(rng)))           # ... on data: may raise what Polars raises on values
    drawn.variant(rng, stage)                # the same stage with one operator redrawn, left out, moved

Every stage that is drawn has a schema (it was tried on frames without rows) and at least a column.
Floats are multiples of 1/8, so sums are exact in any order.
"""

from __future__ import annotations

import datetime as dt
import random
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import polars as pl
import polars.selectors as cs
from polars.exceptions import PanicException, PolarsError

from tests.support.query.operators import operator, retouched, swapped

Frames = Mapping[str, pl.LazyFrame]

# The inputs share names, types and values on purpose: joins hit, names clash, positions differ.
INPUTS: dict[str, dict[str, pl.DataType]] = {
    "one": {
        "k": pl.Int64(),
        "g": pl.String(),
        "x": pl.Float64(),
        "n": pl.Int64(),
        "f": pl.Boolean(),
        "d": pl.Date(),
        "l": pl.List(pl.Int64),
    },
    "two": {
        "k": pl.Int64(),
        "y": pl.Float64(),
        "n": pl.Int64(),
        "g": pl.String(),
        "s": pl.String(),
        "e": pl.Enum(["lo", "mid", "hi"]),
    },
    "three": {"g": pl.String(), "k": pl.Int32(), "x": pl.Float32(), "d": pl.Date()},
}
_VALUES: dict[Any, list[Any]] = {
    pl.Int64: [0, 1, 2, 3, -1],
    pl.Int32: [0, 1, 2, 3],
    pl.Float64: [0.0, -0.0, 0.125, 1.5, -2.25, 7.0, float("nan")],
    pl.Float32: [0.0, -0.0, 0.125, 1.5, -2.25],
    pl.String: ["a", "b", "c", "", "ab", "2"],
    pl.Boolean: [True, False],
    pl.Date: [dt.date(2024, 2, 28) + dt.timedelta(days) for days in range(4)],
    pl.Enum: ["lo", "mid", "hi"],
    pl.List: [[], [1], [1, 2], [3, None], [2, 2]],
}
# What a step may raise on a frame that doesn't have what it needs: it is drawn again.
RAISED = (
    PolarsError, PanicException, TypeError, ValueError, AttributeError, OverflowError, NameError,
    SyntaxError, Warning,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A stage as text: the input that it starts from, and operators in which `@` is what came before."""

    root: str
    steps: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        text = self.root
        for step in self.steps:
            text = step.replace("@", text)
        return text

    def __call__(self, frames: Frames) -> pl.LazyFrame:
        """The query over `frames`; calling it runs nothing."""
        frame = frames[self.root]
        for step in self.steps:
            frame = _apply(step, frame, frames)
        return frame


def stage(rng: random.Random, most: int = 5) -> Drawn:
    """A stage of one to `most` operators."""
    drawn = Drawn(root=rng.choice(["one", "one", "two", "three"]))
    for _ in range(rng.randint(1, most)):
        drawn = _extended(rng, drawn)
    return drawn


def variant(rng: random.Random, drawn: Drawn) -> Drawn:
    """`drawn` after one edit; `drawn` itself if ten edits gave nothing that has a schema."""
    for _ in range(10):
        at = rng.randrange(len(drawn.steps)) if drawn.steps else 0
        head, rest = drawn.steps[:at], drawn.steps[at + 1 :]
        kept = drawn.steps[at : at + 1]
        before = replace(drawn, steps=head)
        match rng.randint(0, 6):
            case 0:
                steps = head + rest
            case 1:
                steps = head + rest[:1] + kept + rest[1:]
            case 2:
                steps = _extended(rng, before).steps + kept + rest
            case 3 | 4 if kept:
                steps = (*head, retouched(rng, kept[0]), *rest)
            case 5 if kept:
                steps = (*head, swapped(rng, kept[0]), *rest)
            case _:
                steps = _extended(rng, before).steps + rest
        edited = replace(drawn, steps=steps)
        if edited != drawn and _schema(edited) is not None:
            return edited
    return drawn


def empty() -> dict[str, pl.LazyFrame]:
    """The inputs without rows."""
    return {name: pl.LazyFrame(schema=schema) for name, schema in INPUTS.items()}


def lazy(tables: Mapping[str, pl.DataFrame]) -> dict[str, pl.LazyFrame]:
    return {name: table.lazy() for name, table in tables.items()}


def tables(rng: random.Random, most: int = 9) -> dict[str, pl.DataFrame]:
    """Data for every input: few values, so that they repeat; nulls, NaN, -0.0; sometimes no rows."""
    return {name: table(rng, name, rng.choice([0, 1, 3, 6, most])) for name in INPUTS}


def table(rng: random.Random, name: str, height: int) -> pl.DataFrame:
    """`height` rows of the input `name`, some of them twice."""
    columns = {
        column: [_value(rng, dtype) for _ in range(height)]
        for column, dtype in INPUTS[name].items()
    }
    frame = pl.DataFrame(columns, schema=INPUTS[name])
    return frame[[rng.randrange(height) for _ in range(height)]] if rng.random() < 0.3 else frame


def _value(rng: random.Random, dtype: pl.DataType) -> Any:
    return None if rng.random() < 0.15 else rng.choice(_VALUES[dtype.base_type()])


def _apply(step: str, frame: pl.LazyFrame, frames: Frames) -> pl.LazyFrame:
    # `this` stands for what came before, so that a step may use it twice.
    names = {"pl": pl, "cs": cs, "dt": dt, "this": frame, **frames}
    return eval(step.replace("@", "this"), names)  # type: ignore[no-any-return]


def schema(drawn: Drawn, frames: Frames) -> dict[str, pl.DataType] | None:
    """What Polars gives as the schema of a stage over `frames`; None if it has none, or warns."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = dict(drawn(frames).collect_schema())
    except RAISED:
        return None
    return found or None


def _schema(drawn: Drawn) -> dict[str, pl.DataType] | None:
    return schema(drawn, empty())


def _extended(rng: random.Random, drawn: Drawn) -> Drawn:
    found = _schema(drawn)
    assert found is not None
    for _ in range(30):
        step = operator(rng, found)
        longer = replace(drawn, steps=(*drawn.steps, step))
        if _schema(longer) is not None:
            return longer
    return drawn
