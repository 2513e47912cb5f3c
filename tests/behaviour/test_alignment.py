"""A column that is computed alone stands in the same rows as the whole output, for random stages.

That is what lets one column of a stored output be made anew beside the others. It holds for the engine
in memory, over frames, files and IO sources alike, where the rows of a stage have an order of their
own. Where they don't it mostly holds, but not always: a sort that may exchange ties lets the optimiser
leave out the sort before it, if no other column needs it. It doesn't hold for the streaming engine
(about one column in fifty), nor between kinds of source where the order is open (a `unique` that keeps
any order is another over files than over a frame), and the last bits of a deviation are others over one
frame than over the same rows in two parts.
"""

from __future__ import annotations

import random
from collections import Counter
from functools import partial
from pathlib import Path

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.input_frames import RUN, Tables, agree, handed, settled, values
from tests.support.query import drawn
from tests.support.thoroughness import examples, thorough

seeds = st.integers(0, 2**32 - 1)
KINDS = (*RUN, "source")
# Operators that promise no order of rows, or none for equal rows; floats that depend on the chunks.
_OPEN = (
    "maintain_order=False", "unique(", "pivot(", "join", "update(", "align_full", "merge_sorted(",
    "group_by(", "top_k(", "bottom_k(", "union(", ".mode()", "std(", "var(",
)  # fmt: skip


@thorough
def test_a_column_alone_is_that_column_of_the_whole(tmp_path: Path) -> None:
    counts: Counter[str] = Counter()

    @settings(max_examples=examples(25))
    @given(seeds)
    def each(seed: int) -> None:
        counts.update(_alone(random.Random(seed), tmp_path))

    each()
    assert counts["aligned"] > 4 * (counts["raised"] + counts["order open"]), counts


@thorough
def test_frames_files_and_sources_give_the_same_rows_in_the_same_order(tmp_path: Path) -> None:
    counts: Counter[str] = Counter()

    @settings(max_examples=examples(40))
    @given(seeds)
    def each(seed: int) -> None:
        rng = random.Random(seed)
        stage, tables = drawn.stage(rng), drawn.tables(rng)
        ordered = _ordered(stage)
        found = {kind: _values(stage, tables, kind, tmp_path) for kind in KINDS if ordered}
        # Whether an expression fails for want of rows to fail on is another matter.
        compared = ordered and not any(isinstance(rows, str) for rows in found.values())
        counts["compared" if compared else "not"] += 1
        assert not compared or len(set(map(repr, found.values()))) == 1, (stage.source, found)

    each()
    assert counts["compared"] > counts.total() / 6, counts


def _alone(rng: random.Random, folder: Path) -> Counter[str]:
    stage, tables, kind = drawn.stage(rng), drawn.tables(rng), rng.choice(KINDS)
    whole = partial(_values, stage, tables, kind, folder)
    if isinstance(whole(), str):
        return Counter(["raised"])
    if not settled(whole):
        return Counter(["order open"])
    names = stage(drawn.empty()).collect_schema().names()
    counts: Counter[str] = Counter()
    for name in names:
        of_whole = partial(_column, stage, name, False, handed(tables, kind, folder))
        alone = partial(_column, stage, name, True, handed(tables, kind, folder))
        aligned = agree(of_whole, alone, tries=60)
        assert aligned or not _ordered(stage), (kind, name, stage.source, tables)
        counts["aligned" if aligned else "order open"] += 1
    return counts


def _ordered(stage: drawn.Drawn) -> bool:
    return not any(word in stage.source for word in _OPEN)


def _column(
    stage: drawn.Drawn, name: str, alone: bool, frames: dict[str, pl.LazyFrame]
) -> list[str]:
    query = stage(frames).select(name) if alone else stage(frames)
    return [repr(value) for value in query.collect(engine="in-memory").get_column(name)]


def _values(stage: drawn.Drawn, tables: Tables, kind: str, folder: Path) -> list[str] | str:
    return values(stage, handed(tables, kind, folder), engine="in-memory")
