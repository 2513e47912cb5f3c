"""What a query isn't said to read may hold anything: its result stays, for random stages over random data."""

from __future__ import annotations

import random
from collections import Counter
from functools import partial
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.input_frames import (
    RUN,
    Tables,
    agree,
    handed,
    poisoned,
    probing,
    settled,
    values,
)
from tests.support.query import drawn
from tests.support.query.judge import number
from tests.support.thoroughness import examples, thorough
from tidemill.analysis.query.column_reads import (
    ColumnReads,
    columns_read,
    disallowed_columns,
    reads_of_run,
)
from tidemill.analysis.query.scan_leaves import Leaves
from tidemill.analysis.query.summary import Reads

seeds = st.integers(0, 2**32 - 1)


@thorough
def test_what_is_not_read_does_not_count(tmp_path: Path) -> None:
    counts: Counter[str] = Counter()

    @settings(max_examples=examples(50))
    @given(seeds)
    def each(seed: int) -> None:
        counts[_poison(random.Random(seed), tmp_path)] += 1

    each()
    # Most of the stages are told, run on their data, and give their rows in an order of their own.
    assert counts["compared"] > 0.6 * counts.total(), counts


def test_a_run_asks_for_no_more_than_a_probe_said(tmp_path: Path) -> None:
    counts: Counter[str] = Counter()

    @given(seeds)
    def each(seed: int) -> None:
        rng = random.Random(seed)
        stage, said = _probed(rng)
        for kind in RUN:
            found = _asked(stage, drawn.tables(rng), kind, tmp_path) if said else None
            counts["compared" if found else "not told"] += 1
            if said and found:
                reads = said.reads
                if not found.reads.keys() <= reads.keys():
                    reads = reads_of_run(said, number(stage))
                assert disallowed_columns(found, reads) == {}, (kind, stage.source)
                assert found.reads.keys() <= reads.keys()
                assert set(found.foreign_leaves) <= set(said.foreign_leaves)

    each()
    assert counts["compared"] > 0.9 * counts.total(), counts


def _poison(rng: random.Random, folder: Path) -> str:
    stage, said = _probed(rng)
    if said is None:
        return "not told"
    kind = rng.choice(RUN)
    tables = drawn.tables(rng)
    before = partial(_values, stage, tables, kind, folder)
    if isinstance(before(), str):
        return "raised"
    if not settled(before):
        return "order open"
    after = partial(_values, stage, _others(rng, tables, said.reads), kind, folder)
    assert agree(before, after, tries=60), (kind, stage.source, said.reads, tables)
    return "compared"


def _others(rng: random.Random, tables: Tables, reads: Reads) -> Tables:
    """Other tables that agree with `tables` in what is read; in the number of rows too if it counts."""
    return {
        name: poisoned(table, reads[name], drawn.table(rng, name, table.height))
        if name in reads
        else drawn.table(rng, name, rng.choice([0, 2, 5]))
        for name, table in tables.items()
    }


def _probed(rng: random.Random) -> tuple[drawn.Drawn, ColumnReads | None]:
    stage = drawn.stage(rng)
    frames = probing(drawn.INPUTS)
    try:
        return stage, columns_read(stage(frames), Leaves.of(frames))
    except drawn.RAISED:
        # Some errors of types are only found by the optimiser.
        return stage, None


def _asked(stage: drawn.Drawn, tables: Tables, kind: str, folder: Path) -> ColumnReads | None:
    frames = handed(tables, kind, folder)
    try:
        return columns_read(stage(frames), Leaves.of(frames))
    except drawn.RAISED:
        # Literals are computed by the optimiser, and frames in memory without rows are, too.
        return None


def _values(stage: drawn.Drawn, tables: Tables, kind: str, folder: Path) -> list[str] | str:
    return values(stage, handed(tables, kind, folder), engine="in-memory")
