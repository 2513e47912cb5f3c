"""Files that are read ahead of their steps give the same rows as one by one."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.thoroughness import examples, thorough
from tests.support.tides import CHAIN, Before, Tides, day, rows_of
from tidemill.planning.plan import Step
from tidemill.steps.io import ingest_reader as intake

DROPPING = CHAIN.replace('key=("day", "id")):', 'key=("day", "id"), unknown_columns="drop"):', 1)

# What may happen to a file on its way; a day is a file, and most of them are alike.
LOOKS: Sequence[Callable[[pl.DataFrame], pl.DataFrame]] = (
    *(lambda frame: frame,) * 4,
    lambda frame: frame.with_columns(note=pl.lit("seen")),
    lambda frame: frame.select("value", "day", "id"),
    lambda frame: frame.with_columns(pl.col("id").cast(pl.Int32)),
    lambda frame: frame.clear(),
    lambda frame: frame.vstack(frame.with_columns(value=pl.lit(5000.0), id=pl.col("id") + 50)),
    lambda frame: frame.vstack(frame.with_columns(pl.col("day").dt.offset_by("100d"))),
)
VALUES = st.lists(st.sampled_from((1.0, -2.5, None, 2000.0)), min_size=1, max_size=4)
DAYS = st.lists(st.tuples(VALUES, st.integers(0, len(LOOKS) - 1)), min_size=1, max_size=7)


def outcome(text: str, days: Sequence[tuple[list[float | None], int]], together: int) -> object:
    """The output and messages of a run that reads so many files at once."""
    with TemporaryDirectory() as folder, patch.object(intake, "_TOGETHER", together):
        tides = Tides(Path(folder), text)
        for number, (values, look) in enumerate(days):
            tides.put(f"{day(number)}.parquet", LOOKS[look](rows_of(number, values)))
        receipt = tides.run()
        bad = tides.quarantined("raw").to_dicts() if "raw" in tides.published() else []
        told = sorted(map(repr, bad))
        return tides.contents(), told, receipt.messages, tides.ran(receipt)


@thorough
@settings(max_examples=examples(6, 25))
@given(DAYS, st.sampled_from([CHAIN, DROPPING]))
def test_files_read_together_give_what_each_gives_alone(
    days: list[tuple[list[float | None], int]], text: str
) -> None:
    assert outcome(text, days, 3) == outcome(text, days, 1)


NOTED = (
    DROPPING.replace(
        "max=1000)\n", "max=1000)\n    note = tm.String(nullable=True, optional=True)\n", 1
    )
    .replace('"day", "id", double', '"day", "id", "note", double', 1)
    .replace("    double =", "    note = Raw.note\n    double =", 1)
)


def test_a_name_with_brackets_is_no_pattern(tmp_path: Path) -> None:
    tides = Tides(tmp_path, NOTED)
    tides.put("a1.parquet", rows_of(0))
    for number, name in enumerate(["a[1].parquet", "b.parquet"], 1):
        tides.put(name, rows_of(number).with_columns(note=pl.lit(name)))
    tides.ok()
    notes = [tides.read("doubled", day(number))["note"].unique().to_list() for number in range(3)]
    assert notes == [[None], ["a[1].parquet"], ["b.parquet"]]


def test_metadata_of_another_file_do_not_hide_a_column(tmp_path: Path) -> None:
    tides = Tides(tmp_path, NOTED)
    for number in range(3):
        tides.put(f"{day(number)}.parquet", rows_of(number))
    described = pl.read_parquet_metadata(tmp_path / "data" / f"{day(0)}.parquet")
    for number in range(3, 6):
        path = tmp_path / "data" / f"{day(number)}.parquet"
        noted = rows_of(number).with_columns(note=pl.lit("seen"))
        noted.write_parquet(path, metadata=described)
        an_hour_ago = path.stat().st_mtime - 3600
        os.utime(path, (an_hour_ago, an_hour_ago))
    tides.ok()
    notes = [tides.read("doubled", day(number))["note"].unique().to_list() for number in range(6)]
    assert notes == [[None]] * 3 + [["seen"]] * 3


@pytest.mark.parametrize("rows", [3, 4])
def test_a_file_that_changes_after_it_was_read_ahead_is_refused(tmp_path: Path, rows: int) -> None:
    tides = Tides(tmp_path)
    for number in range(4):
        tides.send(number)

    def replaced(done: int, step: Step) -> None:
        # The second of raw: the third day's file lies in memory by now.
        if (step.stage, step.partition) == ("raw", day(1)):
            tides.send(2, [7.0] * rows)

    receipt = tides.run(progress=Before(replaced))
    says = f"data/{day(2)}.parquet changed while this run was at work; run again"
    assert receipt.messages == (f"raw {day(2)}: {says}",)
    assert day(2) not in tides.published()["raw"]
    tides.ok()
    assert tides.read("raw", day(2))["value"].to_list() == [7.0] * rows


def test_many_files_are_few_queries(tmp_path: Path) -> None:
    tides = Tides(tmp_path)
    for number in range(10):
        tides.send(number)
    with patch.object(intake, "load_file", side_effect=AssertionError("a file by itself")):
        assert tides.ok()["ok run raw"] == [day(number) for number in range(10)]


def test_files_that_are_large_together_are_read_one_by_one(tmp_path: Path) -> None:
    tides = Tides(tmp_path)
    for number in range(3):
        tides.send(number)
    with patch.object(intake, "_TOGETHER_BYTES", 10):
        assert tides.ok()["ok run raw"] == [day(number) for number in range(3)]


@pytest.mark.parametrize("other", ["gone", "damaged", "csv"])
def test_what_cannot_be_read_ahead_is_left_to_its_own_step(tmp_path: Path, other: str) -> None:
    tides = Tides(tmp_path, CHAIN.replace("data/*.parquet", "data/*"))
    for number in range(3):
        tides.send(number)
    path = tides.root / "data" / f"{day(1)}.parquet"
    if other == "csv":
        rows_of(1).write_csv(path.with_suffix(".csv"))
        path.unlink()
        tides.ok()
        return

    def spoilt(done: int, step: Step) -> None:
        if done == 0 and path.exists():
            path.unlink() if other == "gone" else path.write_bytes(b"PAR1")

    receipt = tides.run(progress=Before(spoilt))
    assert [message.partition(":")[0] for message in receipt.messages] == [f"raw {day(1)}"]
    assert tides.published()["raw"] == [day(0), day(2)]
