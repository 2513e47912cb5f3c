"""Hours of UTC become days of a time zone, complete also where the clock changes."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.support.tides import Tides
from tidemill.core.errors import DeclarationError

# Days by Date and by Datetime, and weeks of these days.
ZONED = """
import polars as pl
import tidemill as tm


class Hourly(tm.Contract, key=("at", "id")):
    at = tm.Datetime("us", "Europe/Berlin", partition="1h")
    id = tm.Int64()


class Daily(tm.Contract, key=("day",)):
    day = tm.Date(partition="1d")
    rows = tm.UInt32()


class Zoned(tm.Contract, key=("day",)):
    day = tm.Datetime("us", "Europe/Berlin", partition="1d")
    rows = tm.UInt32()
    any_bad = tm.Budget(max_bad=1)


class Weekly(tm.Contract, key=("week",)):
    week = tm.Date(partition="1w")
    rows = tm.UInt32()


flow = tm.Workflow("tides")


@flow.ingest
def hourly() -> tm.Source[Hourly]:
    return tm.files("data/*.parquet")


@flow.transform
def daily(hourly: tm.Frame[Hourly]) -> tm.Frame[Daily]:
    return hourly.group_by(day=pl.col("at").dt.date()).agg(rows=pl.len())


@flow.transform
def zoned(hourly: tm.Frame[Hourly]) -> tm.Frame[Zoned]:
    return hourly.group_by(day=pl.col("at").dt.truncate("1d")).agg(rows=pl.len())


@flow.transform
def weekly(daily: tm.Frame[Daily]) -> tm.Frame[Weekly]:
    return daily.group_by(week=pl.col("day").dt.truncate("1w")).agg(rows=pl.col("rows").sum())
"""


def quarters(first: datetime, days: int) -> pl.DataFrame:
    """A row for every quarter of an hour, from a midnight of Berlin on."""
    end = first + timedelta(days=days)
    local = pl.datetime_range(
        first, end, "15m", closed="left", time_zone="Europe/Berlin", eager=True
    )
    return pl.DataFrame({"at": local, "id": pl.Series(range(local.len()), dtype=pl.Int64)})


@pytest.mark.parametrize(
    ("first", "counts"),
    [
        (datetime(2024, 3, 30), [96, 92, 96]),
        (datetime(2024, 10, 26), [96, 100, 96]),
        (datetime(2024, 7, 1), [96, 96, 96]),
    ],
)
def test_a_day_has_all_hours_of_its_zone(
    tmp_path: Path, first: datetime, counts: list[int]
) -> None:
    tides = Tides(tmp_path, ZONED)
    frame = quarters(first, 3)
    tides.put("a.parquet", frame)
    tides.ok()
    days = [first.date() + timedelta(days=number) for number in range(3)]
    assert tides.read("daily").rows() == list(zip(days, counts, strict=True))
    assert tides.read("zoned").select(pl.col("day").dt.date(), "rows").rows() == list(
        zip(days, counts, strict=True)
    )
    assert tides.read("weekly")["rows"].sum() == frame.height
    product = {name: tides.quarantined(name).height for name in ("daily", "zoned", "weekly")}
    assert product == dict.fromkeys(product, 0)
    # An hour that is late is part of its local day only: 23:00 UTC is the day after in Berlin.
    late = pl.DataFrame({"at": [frame["at"][96 + 95]], "id": [-1]})
    tides.put("b.parquet", late.with_columns(pl.col("at").dt.cast_time_unit("us")))
    ran = tides.ok()
    assert ran["ok run daily"] == [str(late["at"].dt.date()[0])]


def test_check_names_how_hours_become_days(tmp_path: Path) -> None:
    project = Tides(tmp_path, ZONED).open()
    notes = project.check()
    project.close()
    assert notes[:3] == (
        "daily: a day (Europe/Berlin) reads every hour (UTC) of hourly that overlaps it; day has no time "
        "zone and counts as a time in Europe/Berlin",
        "zoned: a day (Europe/Berlin) reads every hour (UTC) of hourly that overlaps it",
        "weekly: a week (Europe/Berlin) reads every day (Europe/Berlin) of daily that overlaps it; week "
        "has no time zone and counts as a time in Europe/Berlin",
    )


def test_days_of_one_zone_from_days_of_another(tmp_path: Path) -> None:
    """Each sees both days that it overlaps; the query leaves out what isn't its own."""
    text = ZONED.replace('"Europe/Berlin", partition="1h"', '"UTC", partition="1d"').partition(
        "@flow.transform"
    )[0]
    tides = Tides(
        tmp_path,
        text
        + """
@flow.transform
def zoned(hourly: tm.Frame[Hourly]) -> tm.Frame[Zoned]:
    local = pl.col("at").dt.convert_time_zone("Europe/Berlin").dt.truncate("1d")
    return hourly.group_by(day=local).agg(rows=pl.len()).filter(pl.col("rows") == pl.col("rows").max())
""",
    )
    frame = quarters(datetime(2024, 7, 1), 3).with_columns(pl.col("at").dt.convert_time_zone("UTC"))
    tides.put("a.parquet", frame)
    tides.ok()
    assert tides.read("zoned").select(pl.col("day").dt.date(), "rows").rows() == [
        (date(2024, 7, number), 96) for number in (1, 2, 3)
    ]
    project = tides.open()
    (note,) = [note for note in project.check() if "overlaps" in note]
    project.close()
    assert note == (
        "zoned: a day (Europe/Berlin) reads every day (UTC) of hourly that overlaps it; leave rows of "
        "other days out"
    )


def test_a_day_that_could_be_of_two_zones_is_refused(tmp_path: Path) -> None:
    text = ZONED.replace("def daily(hourly", "def daily(other: tm.Frame[Other], hourly")
    text = text.replace(
        "flow = tm",
        """class Other(tm.Contract, key=("at",)):
    at = tm.Datetime("us", "America/New_York", partition="1h")


flow = tm""",
    ).replace(
        "@flow.transform",
        """@flow.ingest
def other() -> tm.Source[Other]:
    return tm.files("other/*.parquet")


@flow.transform""",
        1,
    )
    with pytest.raises(DeclarationError) as caught:
        Tides(tmp_path, text).open().check()
    assert (
        "transform 'daily': its partition column 'day' has no time zone, and those of its inputs have "
        "America/New_York and Europe/Berlin (make 'day' a tm.Datetime with a time zone, which decides)"
    ) in str(caught.value)
