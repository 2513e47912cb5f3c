"""Which partitions a stage has and sees; the properties in test_plan hold it against a rebuild."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import polars as pl
import pytest

from tests.support.planning import (
    deliver,
    evaluate,
    flow_of,
    ingest,
    model,
    reads,
    spec,
    transform,
)
from tidemill.contracts.checks.partition_column import partition_keys
from tidemill.core.partition import WHOLE, Grain, Partitioning, partition_key
from tidemill.workflow.partition_mapping import (
    inherited_zones,
    is_alike,
    output_partitions,
    partitionings_of,
    resolve_partitionings,
    sortable_end,
    visible_partitions,
    visible_to_unpartitioned,
)
from tidemill.workflow.window import Window, all_partitions, last

CUT = {cut: spec(cut).partitioning for cut in ("hour", "day", "week", "month", "value", "whole")}
DAYS = ["2013-02-27", "2013-02-28", "2013-03-01", "2013-03-04"]

SEEN: list[tuple[str, str, str, Window | None, list[str], tuple[str, ...] | None]] = [
    # cut, its partition, the input's cut, window, what there is, what is seen
    ("day", "2013-03-01", "day", None, DAYS, ("2013-03-01",)),
    ("day", "2013-03-02", "day", None, DAYS, None),
    ("day", "2013-03-05", "day", None, DAYS, None),
    ("day", "2013-03-01", "day", last(2), DAYS, ("2013-02-28", "2013-03-01")),
    ("day", "2013-03-04", "day", last("3d"), DAYS, ("2013-03-04",)),
    ("day", "2013-03-01", "day", all_partitions, DAYS, tuple(DAYS[:3])),
    ("value", "EWR", "day", last(2, before=last(1)), DAYS, ("2013-02-28", "2013-03-01")),
    ("value", "EWR", "day", last(2, before=last(1)), DAYS[:1], None),
    # The day before the own one, which isn't there.
    ("day", "2013-03-04", "day", last("1d", before=last("1d")), DAYS, ()),
    ("month", "2013-02", "day", None, DAYS, ("2013-02-27", "2013-02-28")),
    ("month", "2013-04", "day", None, DAYS, None),
    ("week", "2013-W09", "month", None, ["2013-02", "2013-03"], ("2013-02", "2013-03")),
    ("day", "2013-02-28", "month", None, ["2013-02", "2013-03"], ("2013-02",)),
    ("month", "2013-02", "day", last(1), DAYS, ("2013-02-28",)),
    # Of the months that ended by then, the newest.
    ("day", "2013-03-04", "month", last(1), ["2013-02", "2013-03"], ("2013-02",)),
    ("day", "2013-03-04", "month", last(1), ["2013-03"], None),
    ("day", "2013-03-01", "whole", None, [WHOLE], (WHOLE,)),
    ("day", "2013-03-01", "whole", None, [], None),
    ("day", "2013-03-01", "value", None, ["EWR", "JFK"], ("EWR", "JFK")),
    ("day", "2013-03-01", "value", None, [], None),
    ("value", "JFK", "value", None, ["EWR", "JFK"], ("JFK",)),
    ("value", "LGA", "value", None, ["EWR", "JFK"], None),
    ("value", "JFK", "day", None, DAYS, tuple(DAYS)),
    ("value", "JFK", "day", last(1), DAYS, ("2013-03-04",)),
    ("whole", WHOLE, "day", last("2d"), DAYS, ("2013-03-04",)),
    ("whole", WHOLE, "day", last("2d"), [], None),
]


@pytest.mark.parametrize(("cut", "own", "other", "window", "keys", "expected"), SEEN)
def test_visible(
    cut: str, own: str, other: str, window: Window | None, keys: list[str],
    expected: tuple[str, ...] | None,
) -> None:  # fmt: skip
    item = reads(ingest("raw", other), window)
    assert visible_partitions(item, own, CUT[cut], CUT[other], keys) == expected


def test_alike() -> None:
    pairs = [(one, other) for one in CUT for other in CUT if is_alike(CUT[one], CUT[other])]
    times = ["hour", "day", "week", "month"]
    assert pairs == [*((a, b) for a in times for b in times), ("value", "value")]


def test_outputs() -> None:
    raw, months, names, lookup = (
        ingest("raw"), ingest("months", "month"), ingest("names", "value"), ingest("lookup", "whole"),
    )  # fmt: skip
    there = {
        "raw": ["(none)", *DAYS], "months": ["2013-02"], "names": ["EWR"], "lookup": [WHOLE],
    }  # fmt: skip

    def had(cut: str, *inputs: object) -> list[str]:
        stage = transform("next", cut, *inputs)  # type: ignore[arg-type]
        cuts = partitionings_of(flow_of(raw, months, names, lookup, stage))
        return output_partitions(stage, cuts, there)

    assert had("whole", reads(raw)) == [WHOLE]
    assert had("day", reads(raw), reads(lookup), reads(names)) == DAYS
    assert had("week", reads(raw)) == ["2013-W09", "2013-W10"]
    assert had("month", reads(raw), reads(months)) == ["2013-02", "2013-03"]
    assert len(had("day", reads(months), reads(raw))) == 30
    assert had("day", reads(raw), reads(months, optional=True)) == DAYS
    assert had("month", reads(months, optional=True), reads(lookup)) == ["2013-02"]
    assert had("value", reads(names), reads(raw)) == ["EWR"]


def test_windows_of_a_whole_stage_end_together() -> None:
    raw, months, lookup = ingest("raw"), ingest("months", "month"), ingest("lookup", "whole")
    stage = transform(
        "next",
        "whole",
        reads(raw, last(2)),
        reads(months, last(1)),
        reads(lookup),
        reads(ingest("none")),
    )
    cuts = partitionings_of(flow_of(raw, months, lookup, ingest("none"), stage))
    there = {
        "raw": ["(none)", *DAYS],
        "months": ["2013-01", "2013-02"],
        "lookup": [WHOLE],
        "none": [],
    }
    assert visible_to_unpartitioned(stage, cuts, there) == {
        "raw": ("2013-02-27", "2013-02-28"), "months": ("2013-02",), "lookup": (WHOLE,),
    }  # fmt: skip


def test_a_delivery_is_cut_as_what_it_delivers() -> None:
    raw = ingest("raw")
    mod = model("mod", reads(raw))
    cuts = partitionings_of(
        flow_of(raw, mod, evaluate("ev", mod, reads(raw)), deliver("out", mod, raw))
    )
    assert (cuts["out"], cuts["mod"]) == (CUT["day"], CUT["whole"])


def test_moments_of_all_grains_sort_in_time() -> None:
    ends = [
        sortable_end("2013-03-07T05", Grain.HOUR), sortable_end("2013-03-07", Grain.DAY),
        sortable_end("2013-W10", Grain.WEEK), sortable_end("2013-03", Grain.MONTH),
        sortable_end("9999-12", Grain.MONTH),
    ]  # fmt: skip
    assert ends == sorted(ends)


# When clocks change, in UTC: St. John's changed a minute after midnight, São Paulo at midnight, Lord Howe by
# half an hour, and Apia skipped a day.
NIGHTS = {
    "Europe/Berlin": [datetime(2024, 3, 31, 1), datetime(2024, 10, 27, 1)],
    "America/New_York": [datetime(2024, 3, 10, 7), datetime(2024, 11, 3, 6)],
    "America/St_Johns": [datetime(2010, 3, 14, 3, 31), datetime(2010, 11, 7, 2, 31)],
    "America/Sao_Paulo": [datetime(2018, 2, 18, 2), datetime(2018, 11, 4, 3)],
    "Australia/Lord_Howe": [datetime(2024, 4, 6, 15), datetime(2024, 10, 5, 15, 30)],
    "Asia/Kolkata": [datetime(2024, 3, 31)],
    "Pacific/Apia": [datetime(2011, 12, 30, 10)],
}
CASES = [(zone, night) for zone, nights in NIGHTS.items() for night in nights]


def zoned(grain: Grain, zone: str, *, clock: str | None = None) -> Partitioning:
    """The partitioning of a column in a time zone; with `clock` of one without, on the clock of an input."""
    own = "UTC" if grain is Grain.HOUR else zone
    return Partitioning(column="at", grain=grain, zone=zone, clock=own if clock is None else clock)


@pytest.mark.parametrize(("zone", "night"), CASES)
@pytest.mark.parametrize("grain", list(Grain))
@pytest.mark.parametrize("has_clock", [False, True])
def test_moments_of_a_grain_sort_as_its_keys(
    zone: str, night: datetime, grain: Grain, has_clock: bool
) -> None:
    # Of the walls of its clock every minute, so also those that it skips or shows twice.
    walls = [night + timedelta(days=-3, minutes=count) for count in range(6 * 24 * 60)]
    keys = sorted({partition_key(wall, grain) for wall in walls})
    ends = [sortable_end(key, grain, zone if has_clock else "") for key in keys]
    assert ends == sorted(ends)


def keys_at(moments: pl.Series, cut: Partitioning) -> list[str]:
    """The partition of each moment of UTC, as the contract of a column of this kind decides."""
    local = moments.dt.replace_time_zone("UTC").dt.convert_time_zone(cut.zone or "UTC")
    if cut.clock == cut.zone and cut.grain is Grain.HOUR:
        local = local.dt.replace_time_zone(None)
    return partition_keys(local, cut).to_list()


@pytest.mark.parametrize(("zone", "night"), CASES)
@pytest.mark.parametrize(
    ("own", "other"),
    [
        (Grain.DAY, Grain.HOUR), (Grain.WEEK, Grain.HOUR), (Grain.MONTH, Grain.HOUR), (Grain.HOUR, Grain.DAY),
        (Grain.DAY, "UTC days"), ("UTC days", Grain.DAY), (Grain.DAY, "local hours"),
        ("local hours", Grain.HOUR), (Grain.DAY, Grain.DAY), (Grain.WEEK, Grain.DAY),
    ],
)  # fmt: skip
def test_a_partition_sees_every_partition_with_a_moment_of_it(
    zone: str, night: datetime, own: Grain | str, other: Grain | str
) -> None:
    special = {
        "UTC days": zoned(Grain.DAY, "UTC"), "local hours": zoned(Grain.HOUR, zone, clock=zone)
    }  # fmt: skip
    mine, theirs = (special.get(cut) or zoned(Grain(cut), zone) for cut in (own, other))
    begin, end = night - timedelta(days=3), night + timedelta(days=3)
    moments = pl.datetime_range(begin, end, "1m", closed="left", eager=True)
    pairs = [*dict.fromkeys(zip(keys_at(moments, mine), keys_at(moments, theirs), strict=True))]
    keys = sorted({key for _, key in pairs})
    seen: dict[str, set[str]] = {}
    for partition, key in pairs:
        seen.setdefault(partition, set()).add(key)
    item = reads(ingest("raw"))
    for partition, expected in seen.items():
        assert visible_partitions(item, partition, mine, theirs, keys) == tuple(sorted(expected))
    # Within the span there are no other partitions; at its ends, keys reach beyond it.
    stage = transform("next", "day", item)
    cuts = {"next": mine, "raw": theirs}
    inner = keys[1:-1]
    made = output_partitions(stage, cuts, {"raw": inner})
    assert set(made) == {partition for partition, key in pairs if key in inner}


def test_a_day_without_a_zone_is_one_of_its_inputs_zone() -> None:
    raw = ingest("raw", "hour", zone="Europe/Berlin")
    daily = transform("daily", "day", reads(raw))
    weekly = transform("weekly", "week", reads(daily))
    zoned_too = transform("zoned", "day", reads(raw), reads(weekly), zone="Asia/Tokyo")
    cuts = resolve_partitionings([zoned_too, weekly, daily, raw])
    assert {name: (cut.zone, cut.clock) for name, cut in cuts.items()} == {
        "raw": ("Europe/Berlin", "UTC"),
        "daily": ("Europe/Berlin", "Europe/Berlin"),
        "weekly": ("Europe/Berlin", "Europe/Berlin"),
        "zoned": ("Asia/Tokyo", "Asia/Tokyo"),
    }
    assert inherited_zones(weekly, {"daily": cuts["daily"], "weekly": weekly.partitioning}) == {
        "Europe/Berlin"
    }


@pytest.mark.parametrize("seed", range(5))
def test_zones_do_not_depend_on_the_order_of_declaration(seed: int) -> None:
    berlin, york = ingest("berlin", "day", zone="Europe/Berlin"), ingest("york", "day", zone="EST")
    one = transform("one", "day", reads(york))
    both = transform("both", "day", reads(berlin), reads(one))
    last_of = transform("last", "day", reads(both))
    stages = [berlin, york, one, both, last_of]
    random.Random(seed).shuffle(stages)
    cuts = resolve_partitionings(stages)
    assert (cuts["one"].zone, cuts["both"].zone, cuts["last"].zone) == ("EST", "", "")
    assert inherited_zones(both, cuts) == {"Europe/Berlin", "EST"}


def test_stages_in_a_circle_keep_their_own_partitioning() -> None:
    first = transform(
        "first", "day", reads(transform("second", "day", reads(ingest("raw", "day"))))
    )
    second = transform("second", "day", reads(first))
    cuts = resolve_partitionings([first, second])
    assert cuts == {stage.name: stage.partitioning for stage in (first, second)}


def test_windows_over_clocks_end_together() -> None:
    hours, days = ingest("hours", "hour", zone="UTC"), ingest("days", "day", zone="Europe/Berlin")
    stage = transform("next", "whole", reads(hours, last(2)), reads(days, last(1)))
    cuts = resolve_partitionings([hours, days, stage])
    there = {"hours": [f"2024-07-01T{hour}" for hour in range(18, 24)], "days": ["2024-07-01"]}
    # The day in Berlin ends two hours before that of UTC.
    assert visible_to_unpartitioned(stage, cuts, there) == {
        "hours": ("2024-07-01T20", "2024-07-01T21"),
        "days": ("2024-07-01",),
    }
