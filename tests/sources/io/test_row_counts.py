"""How many rows of which partitions files have: counted together, each comes out as it does alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.planning import ingest
from tidemill.contracts.column import Column
from tidemill.contracts.dtype import DType
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import ContractError, SourceError
from tidemill.core.partition import UNPLACED, WHOLE, Grain
from tidemill.sources.io import row_counts
from tidemill.sources.io.file_readers import read_file
from tidemill.sources.io.row_counts import count_rows
from tidemill.sources.scan import FileRows
from tidemill.workflow.source import Files
from tidemill.workflow.stage import Stage

DATE = DType("Date")
DAY0 = date(2024, 2, 27)
SOURCE: Files[Any] = Files(pattern="*")


def staged(cut: Grain | str | None, dtype: DType = DATE) -> Stage:
    """An ingest of days and numbers, cut in some way."""
    day = Column(name="day", dtype=dtype, partition=cut)  # type: ignore[arg-type]
    columns = (day, Column(name="x", dtype=DType("Int64"), nullable=True))
    return replace(ingest("raw"), output=ContractSpec(name="T", version="1.0.0", columns=columns))


def table(days: Sequence[int | None]) -> pl.DataFrame:
    """A row for each day, counted from the first."""
    dates = [None if day is None else DAY0 + timedelta(days=day) for day in days]
    return pl.DataFrame(
        {"day": dates, "x": [1] * len(days)}, schema={"day": pl.Date, "x": pl.Int64}
    )


def counts(
    source: Files[Any], stage: Stage, root: Path, paths: Sequence[str]
) -> dict[str, dict[str, int] | SourceError]:
    """The rows of each file by partition, or its error; files with one partition have no digests."""
    found = count_rows(source, stage, root, paths)
    for item in found.values():
        assert isinstance(item, SourceError) or len(item.rows) > 1 or not item.parts
    return {
        path: item if isinstance(item, SourceError) else item.rows for path, item in found.items()
    }


def key(day: int | None, grain: Grain) -> str:
    """The partition of a day, by the calendar of the standard library."""
    if day is None:
        return UNPLACED
    when = DAY0 + timedelta(days=day)
    if grain is Grain.WEEK:
        when -= timedelta(days=when.weekday())
    return when.strftime("%Y-%m" if grain is Grain.MONTH else "%Y-%m-%d")


DAYS = st.lists(st.one_of(st.none(), st.integers(0, 9)), max_size=4)
ONE_DAY = st.tuples(st.integers(0, 9), st.integers(1, 4)).map(lambda it: [it[0]] * it[1])


@given(st.lists(st.one_of(ONE_DAY, DAYS), max_size=5), st.sampled_from([Grain.DAY, Grain.MONTH]))
def test_what_files_feed_is_what_their_rows_say(
    files: list[list[int | None]], grain: Grain
) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        for number, days in enumerate(files):
            table(days).write_parquet(root / f"{number}.parquet")
        paths = [f"{number}.parquet" for number in range(len(files))]
        counted = counts(SOURCE, staged(grain), root, paths)
    assert counted == {
        path: dict(Counter(key(day, grain) for day in days))
        for path, days in zip(paths, files, strict=True)
    }


def test_each_file_that_cannot_be_counted_says_why(tmp_path: Path) -> None:
    table([1, 1]).write_parquet(tmp_path / "good.parquet")
    table([2]).write_parquet(tmp_path / "other.parquet")
    table([3]).drop("x").write_parquet(tmp_path / "narrow.parquet")
    table([4]).with_columns(pl.col("day").cast(pl.String)).write_parquet(tmp_path / "text.parquet")
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1 not at all")
    (tmp_path / "what.xyz").write_text("?")
    table([5, 6]).write_csv(tmp_path / "rows.csv")
    paths = ["good.parquet", "other.parquet", "narrow.parquet", "text.parquet"]
    paths += ["damaged.parquet", "what.xyz", "rows.csv", "gone.parquet"]
    counted = counts(SOURCE, staged(Grain.DAY), tmp_path, paths)
    faults = {path: str(item) for path, item in counted.items() if isinstance(item, SourceError)}
    assert {path: item for path, item in counted.items() if path not in faults} == {
        "good.parquet": {"2024-02-28": 2},
        "other.parquet": {"2024-02-29": 1},
        # What the contract takes for a day counts as one.
        "text.parquet": {"2024-03-02": 1},
        "rows.csv": {"2024-03-03": 1, "2024-03-04": 1},
    }
    assert set(faults) == {"narrow.parquet", "damaged.parquet", "what.xyz", "gone.parquet"}
    assert "has no column 'x'" in faults["narrow.parquet"]
    assert all(message.startswith(path) for path, message in faults.items())


def test_a_damaged_file_among_good_ones_is_told_alone(tmp_path: Path) -> None:
    for name in "ab":
        table([1]).write_parquet(tmp_path / f"{name}.parquet")
    # The end of the file, with the schema, is as it was.
    whole = (tmp_path / "b.parquet").read_bytes()
    (tmp_path / "b.parquet").write_bytes(whole[:4] + b"\xff" * 40 + whole[44:])
    counted = counts(SOURCE, staged(Grain.DAY), tmp_path, ["a.parquet", "b.parquet"])
    assert counted["a.parquet"] == {"2024-02-28": 1}
    assert isinstance(counted["b.parquet"], SourceError)


def test_files_of_whole_tables_and_of_values_are_counted(tmp_path: Path) -> None:
    table([1, 1, 2, None]).write_parquet(tmp_path / "a.parquet")
    table([]).write_parquet(tmp_path / "b.parquet")
    paths = ["a.parquet", "b.parquet"]
    whole = counts(SOURCE, staged(None), tmp_path, paths)
    assert whole == {"a.parquet": {WHOLE: 4}, "b.parquet": {WHOLE: 0}}
    values = counts(SOURCE, staged("value"), tmp_path, paths)
    assert values["a.parquet"] == {"2024-02-28": 2, "2024-02-29": 1, UNPLACED: 1}


def test_where_the_clock_goes_back_over_midnight_each_moment_counts(tmp_path: Path) -> None:
    """In St. John's, on 7 November 2010, the last hour of the 6th came again a minute after midnight."""
    zone = "America/St_Johns"
    moments = pl.Series("day", [datetime(2010, 11, 7, 2, minute) for minute in (29, 31, 32)])
    moments = moments.dt.replace_time_zone("UTC").dt.convert_time_zone(zone).dt.cast_time_unit("us")
    days = moments.dt.date().cast(pl.String).to_list()
    for name in ("a", "b"):
        pl.DataFrame({"day": moments, "x": [1, 2, 3]}).write_parquet(tmp_path / f"{name}.parquet")
    stage = staged(Grain.DAY, DType("Datetime", ("us", zone)))
    counted = counts(SOURCE, stage, tmp_path, ["a.parquet", "b.parquet"])
    assert counted["a.parquet"] == counted["b.parquet"] == dict(Counter(days))


@pytest.mark.parametrize(
    ("suffix", "write"),
    [("parquet", "write_parquet"), ("csv", "write_csv"), ("ndjson", "write_ndjson"),
     ("arrow", "write_ipc")],
)  # fmt: skip
def test_a_file_name_is_no_pattern(tmp_path: Path, suffix: str, write: str) -> None:
    for name, days in (("day[1]", [1]), ("day1", [2, 2])):
        getattr(table(days), write)(tmp_path / f"{name}.{suffix}")
    stage = staged(Grain.DAY)
    assert stage.output is not None
    frame = read_file(SOURCE, stage.output, tmp_path, f"day[1].{suffix}").collect()
    assert frame.height == 1
    paths = [f"day[1].{suffix}", f"day1.{suffix}"]
    counted = counts(SOURCE, stage, tmp_path, paths)
    assert counted == {paths[0]: {"2024-02-28": 1}, paths[1]: {"2024-02-29": 2}}


def parts(path: Path, frame: pl.DataFrame, grain: Grain | str = Grain.DAY) -> dict[str, str]:
    """The digests of the partitions of a file with these rows."""
    getattr(frame, f"write_{path.suffix[1:]}")(path)
    found = count_rows(SOURCE, staged(grain), path.parent, [path.name])[path.name]
    assert isinstance(found, FileRows)
    assert found.parts.keys() == (found.rows.keys() if len(found.rows) > 1 else set())
    return found.parts


ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=8)


@given(ROWS, ROWS, st.sampled_from(["parquet", "csv", "ndjson"]))
def test_digests_of_a_partition_are_equal_exactly_if_its_rows_are(
    before: list[tuple[int, int]], after: list[tuple[int, int]], suffix: str
) -> None:
    # A partition of each file stays, so that both feed several.
    tables = [table([9, *(day for day, _ in rows)]) for rows in (before, after)]
    frames = [
        frame.with_columns(x=pl.Series([0, *(x for _, x in rows)]))
        for frame, rows in zip(tables, (before, after), strict=True)
    ]
    with TemporaryDirectory() as folder:
        one, two = (parts(Path(folder) / f"{n}.{suffix}", frames[n]) for n in (0, 1))
    values = [
        {key(day, Grain.DAY): [x for other, x in rows if other == day] for day, _ in rows}
        for rows in (before, after)
    ]
    assert one[key(9, Grain.DAY)] == two[key(9, Grain.DAY)]
    for each in values[0].keys() & values[1].keys():
        assert (one[each] == two[each]) is (values[0][each] == values[1][each])


def test_what_a_partition_has_besides_values_counts(tmp_path: Path) -> None:
    frame = table([1, 2, 2, None])
    was = parts(tmp_path / "a.parquet", frame)
    for other in (
        frame.with_columns(pl.col("x").cast(pl.Int32)),
        frame.with_columns(note=pl.lit("new")),
        frame.with_columns(pl.lit(None, pl.Int64).alias("x")),
    ):
        now = parts(tmp_path / "b.parquet", other)
        assert now.keys() == was.keys() == {"2024-02-28", "2024-02-29", UNPLACED}
        assert all(now[key] != was[key] for key in was)


def test_what_cannot_be_digested_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table([1, 2]).write_parquet(tmp_path / "a.parquet")
    monkeypatch.setattr(row_counts, "_MAX_DIGESTED", 10)
    found = count_rows(SOURCE, staged(Grain.DAY), tmp_path, ["a.parquet"])
    assert found == {"a.parquet": FileRows(rows={"2024-02-28": 1, "2024-02-29": 1})}
    monkeypatch.undo()

    def refuse(*_: object) -> None:
        raise ContractError("no bytes")

    monkeypatch.setattr(row_counts, "FrameHasher", refuse)
    assert count_rows(SOURCE, staged(Grain.DAY), tmp_path, ["a.parquet"]) == found
