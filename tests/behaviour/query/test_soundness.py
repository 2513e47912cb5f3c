"""Random stages: equal digests hold equal data, reads are all that counts, order is what it is said to be."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import chain

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.query import drawn
from tests.support.query.judge import number, result, same
from tests.support.thoroughness import examples, thorough
from tidemill.analysis.query.column_digests import QueryDigests

# An example draws many stages, so there are fewer of them.
FEWER = settings(max_examples=examples(8, max(settings().max_examples // 5, 1)))
seeds = st.integers(0, 2**32 - 1)
# Nothing is promised of rows that are declared sorted and aren't, nor of the variance of no values: the
# engines give 0 and null.
UNSETTLED = ("set_sorted", "ddof=0")
# How often a result is computed again, if another one isn't the same.
TRIES = 60
Stages = dict[str, tuple[drawn.Drawn, QueryDigests]]


def numbered(rng: random.Random) -> tuple[drawn.Drawn, QueryDigests]:
    """A random stage whose query Polars takes, also over the frames of a probe."""
    while True:
        stage = drawn.stage(rng)
        try:
            return stage, number(stage)
        except drawn.RAISED:
            continue


def family(rng: random.Random, size: int) -> Stages:
    """Stages, each with two edits of it, so that many of them share parts and differ in one."""
    stages = {}
    for _ in range(size):
        stage, found = numbered(rng)
        stages[stage.source] = (stage, found)
        for one in (drawn.variant(rng, stage), drawn.variant(rng, stage)):
            with suppress(*drawn.RAISED):
                stages[one.source] = (one, number(one))
    return stages


def equals(stages: Stages) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    """Pairs of columns, as source and name, with the same digest."""
    known: dict[str, tuple[str, str]] = {}
    for source, (_, found) in stages.items():
        for name, column in found.columns.items():
            first = known.setdefault(column.digest, (source, name))
            if first != (source, name):
                yield first, (source, name)


def comes_out(
    stage: drawn.Drawn,
    tables: Mapping[str, pl.DataFrame],
    name: str,
    known: pl.DataFrame,
    wanted: pl.Series,
    *,
    ordered: bool,
) -> bool:
    """Whether a column of a stage comes out as wanted: in its known result, or when it is computed again.

    Polars drops a sort below sums, and adds floats in another order each time.
    """
    again = (result(stage, tables) for _ in range(TRIES))
    return any(
        same(one[name], wanted, ordered=ordered) for one in chain([known], again) if one is not None
    )


@thorough
@FEWER
@given(seeds)
def test_equal_digests_hold_equal_data(seed: int) -> None:
    rng = random.Random(seed)
    stages = family(rng, 10)
    data = [drawn.tables(rng), drawn.tables(rng), drawn.tables(rng, most=14)]
    results: dict[tuple[str, int], pl.DataFrame | None] = {}
    for first, second in equals(stages):
        numbers = [stages[source][1] for source, _ in (first, second)]
        if any(found.unstable for found in numbers):
            continue
        ordered = not any(found.unordered for found in numbers)
        for at, tables in enumerate(data):
            for source, _ in (first, second):
                if (source, at) not in results:
                    results[source, at] = result(stages[source][0], tables)
            left, right = (results[source, at] for source, _ in (first, second))
            if left is not None and right is not None:
                stage, name = stages[first[0]][0], first[1]
                good = comes_out(stage, tables, name, left, right[second[1]], ordered=ordered)
                assert good, (first, second, tables)


@thorough
@FEWER
@given(seeds)
def test_columns_that_are_not_read_do_not_count(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(8):
        stage, found = numbered(rng)
        tables = drawn.tables(rng)
        before = result(stage, tables)
        if found.unstable or before is None:
            continue
        for name in rng.sample(list(found.columns), min(2, len(found.columns))):
            poisoned = poison(rng, tables, found.columns[name].reads)
            after = result(stage, poisoned)
            if after is not None:
                ordered = not found.unordered
                good = comes_out(stage, tables, name, before, after[name], ordered=ordered)
                assert good, (stage.source, name, found.columns[name].reads, tables, poisoned)


def unsigned(table: pl.DataFrame) -> pl.DataFrame:
    """A table without negative zeros; Polars returns -0.0 + 0.0 as it is."""
    return table.with_columns(
        pl.when(pl.col(name) == 0).then(pl.lit(0, dtype=dtype)).otherwise(pl.col(name)).alias(name)
        for name, dtype in table.schema.items()
        if dtype.is_float()
    )


def poison(
    rng: random.Random, tables: Mapping[str, pl.DataFrame], reads: Mapping[str, tuple[str, ...]]
) -> dict[str, pl.DataFrame]:
    """Other values in all columns that aren't read, another table where not even the rows count."""
    poisoned = {}
    for name, table in tables.items():
        other = drawn.table(rng, name, table.height if name in reads else rng.randint(0, 9))
        kept = [table[column] for column in reads.get(name, ())]
        poisoned[name] = other.with_columns(kept)
    return poisoned


@thorough
@FEWER
@given(seeds)
def test_order_and_values_are_as_settled_as_they_are_said_to_be(seed: int) -> None:
    """The engines differ in what Polars doesn't promise, and but for faults of theirs in nothing else."""
    rng = random.Random(seed)
    for _ in range(8):
        stage, found = numbered(rng)
        # Which of -0.0 and 0.0 is the smaller one is not promised either.
        tables = {n: unsigned(t) for n, t in drawn.tables(rng, 30).items()}
        here, there = (result(stage, tables, engine) for engine in ("in-memory", "streaming"))
        if found.unstable or here is None or there is None:
            continue
        if any(word in stage.source for word in UNSETTLED):
            continue
        for name in found.columns:
            if here[name].dtype != there[name].dtype:
                continue
            good = same(here[name], there[name], ordered=not found.unordered, exact=False)
            assert good, (stage.source, name, found.unordered, here[name], there[name], tables)


@pytest.mark.parametrize("seed", range(3))
def test_drawing_is_repeatable(seed: int) -> None:
    first, second = (drawn.stage(random.Random(seed)) for _ in range(2))
    assert first == second
    assert number(first) == number(second)
