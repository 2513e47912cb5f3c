"""Files that feed several partitions: only those whose rows changed are read again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.thoroughness import examples, thorough
from tests.support.tides import CHAIN, FIRST, Tides, day, rebuilt
from tidemill.core.partition import UNPLACED

# Rows may vanish from files, and all rows of a day may be bad.
LENIENT = CHAIN.replace('"data/*.parquet")', '"data/*.parquet", on_missing="remove")').replace(
    "    value = tm.Float64(nullable=True, max=1000)",
    "    value = tm.Float64(nullable=True, max=1000)\n    any_bad = tm.Budget(max_bad=1)",
)

# A row of some day, or of none; a negative id is quarantined.
ROW = st.tuples(st.sampled_from([0, 1, 2, 3, None]), st.integers(-1, 3), st.integers(0, 2))
FILE = st.lists(ROW, max_size=8)
Rows = Sequence[tuple[int | None, int, int]]


def table(rows: Rows) -> pl.DataFrame:
    days: list[date | None] = [
        None if number is None else FIRST + timedelta(days=number) for number, _, _ in rows
    ]
    return pl.DataFrame(
        {"day": days, "id": [row[1] for row in rows], "value": [float(row[2]) for row in rows]},
        schema={"day": pl.Date, "id": pl.Int64, "value": pl.Float64},
    )


def many(count: int = 20) -> pl.DataFrame:
    """Two rows for each of many days, in no order."""
    return table([(number % count, number // count, 1) for number in range(2 * count)])


def put(tides: Tides, name: str, frame: pl.DataFrame) -> None:
    path = tides.root / "data" / name
    getattr(frame, f"write_{path.suffix[1:]}")(path)


@pytest.mark.parametrize("suffix", ["parquet", "csv", "ndjson"])
def test_one_changed_row_is_one_partition(tmp_path: Path, suffix: str) -> None:
    tides = Tides(tmp_path, CHAIN.replace("*.parquet", f"*.{suffix}"))
    put(tides, f"all.{suffix}", many())
    assert len(tides.ok()["ok run raw"]) == 20
    here = (pl.col("day") == FIRST + timedelta(days=7)) & (pl.col("id") == 1)
    changed = many().with_columns(value=pl.when(here).then(9.0).otherwise("value"))
    put(tides, f"all.{suffix}", changed)
    assert tides.ok() == {f"ok run {stage}": [day(7)] for stage in ("raw", "doubled", "daily")}
    assert tides.read("raw", day(7))["value"].to_list() == [1.0, 9.0]
    # Another order of the days changes nothing; a row more and a row less are two partitions.
    put(tides, f"all.{suffix}", changed.sort("day", maintain_order=True))
    assert tides.ok() == {}
    other = changed.filter((pl.col("day") != FIRST) | (pl.col("id") != 1))
    put(tides, f"all.{suffix}", pl.concat([other, table([(3, 5, 1)])]))
    assert tides.ok()["ok run raw"] == [day(0), day(3)]


def test_a_new_column_concerns_all_partitions(tmp_path: Path) -> None:
    tides = Tides(
        tmp_path,
        CHAIN.replace('key=("day", "id")):', 'key=("day", "id"), unknown_columns="keep"):', 1),
    )
    put(tides, "all.parquet", many(4))
    tides.ok()
    put(tides, "all.parquet", many(4).with_columns(note=pl.lit("x")))
    assert tides.ok()["ok run raw"] == [day(number) for number in range(4)]


def test_a_partition_that_is_gone_from_a_file_is_removed(tmp_path: Path) -> None:
    tides = Tides(tmp_path, LENIENT)
    put(tides, "all.parquet", many(4))
    tides.ok()
    put(tides, "all.parquet", many(4).filter(pl.col("day") != FIRST))
    assert tides.ok()["ok remove raw"] == [day(0)]
    put(tides, "all.parquet", many(4))
    # What it was before is known.
    assert "ok run raw" not in tides.ok()
    assert tides.read("raw", day(0)).height == 2


@thorough
@settings(max_examples=examples(5, 40))
@given(st.lists(st.dictionaries(st.sampled_from("ab"), FILE, min_size=1), min_size=2, max_size=3))
def test_changed_files_give_what_a_new_build_gives(changes: list[dict[str, Rows]]) -> None:
    with TemporaryDirectory() as folder:
        tides = Tides(Path(folder) / "one", LENIENT)
        put(tides, "kept.parquet", many(3))
        for number, change in enumerate(changes):
            for name, rows in change.items():
                put(tides, f"{name}.parquet", table(rows))
            tides.run()
            found = tides.contents()
            assert found == rebuilt(tides, Path(folder) / f"new {number}")
            came = pl.concat([pl.read_parquet(path) for path in (tides.root / "data").iterdir()])
            bad = (
                tides.quarantined("raw").height
                if UNPLACED in found["raw"] or came["id"].min() == -1
                else 0
            )
            repeats = came.filter(pl.struct("day", "id").is_duplicated()).height
            assert tides.read("raw").height + bad >= came.height - repeats
