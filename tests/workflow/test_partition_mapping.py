"""Which partitions a stage has and sees; the properties in test_plan hold it against a rebuild."""

from __future__ import annotations

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
from tidemill.core.partition import WHOLE, Grain
from tidemill.workflow.partition_mapping import (
    is_alike,
    output_partitions,
    partitionings_of,
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
