"""Watermarks of stages, through their lineage."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contracts.finding import Finding, TableFindings
from tidemill.ledger.binding import Binding
from tidemill.operations.watermarks import (
    UNKNOWN,
    StageWatermark,
    publish_partition,
    seed_watermarks,
)
from tidemill.testing import records
from tidemill.workflow.model import Artifact

DAY = 86_400.0
# 2013-01-02T00:00 UTC, the end of the partition 2013-01-01.
END = 1_357_084_800.0


def binding(content: str = "one", inputs: tuple[str, ...] = (), **more: Any) -> Binding:
    made = records.binding(output=records.product(content))
    return replace(made, inputs=dict.fromkeys(inputs, "digest"), **more)


class Table:
    """Publishes to watermarks, in UTC."""

    def __init__(self) -> None:
        self.known: dict[str, StageWatermark] = {}

    def publish(self, stage: str, partition: str, at: float, bound: Binding) -> float | None:
        publish_partition(self.known, stage, partition, bound, at, "UTC")
        return self.known[stage].current if stage in self.known else None


def test_the_end_of_a_partition_that_is_past() -> None:
    table = Table()
    assert table.publish("a", "2013-01-01", END + 60, binding()) == END
    # Today's partition has no rows from later than now.
    assert table.publish("a", "2013-01-02", END + 3600, binding()) == END + 3600


def test_the_newest_time_in_the_rows_counts_more_than_the_key() -> None:
    newest = TableFindings(at=END, newest={"date": END - 500, "hour": END - 700})
    assert Table().publish("a", "2013-01-01", END, binding(verdict=newest)) == END - 700


def test_the_same_rows_of_today_are_no_newer_when_they_are_published_again() -> None:
    table = Table()
    table.publish("a", "2013-01-02", END + 3600, binding())
    assert table.publish("a", "2013-01-02", END + 7200, binding()) == END + 3600
    assert table.publish("a", "2013-01-02", END + 7300, binding("more")) == END + 7300
    assert table.publish("a", "2013-01-02", END + 9 * DAY, binding("more")) == END + 7300
    table.known["a"].remove("2013-01-02", END + 9 * DAY)
    assert table.known["a"].contents == {}


def test_what_holds_rows_back_may_come_later() -> None:
    table = Table()
    late = TableFindings(at=END, newest={"date": END - 500})
    table.publish("raw", "x", END, binding(verdict=late))
    assert table.publish("a", "2013-01-01", END + 10, binding(inputs=("raw",))) == END - 500
    table.publish("raw", "x", END + 20, binding("two", verdict=replace(late, newest={"date": END})))
    assert table.publish("a", "2013-01-01", END + 30, binding(inputs=("raw",))) == END


def test_old_data_that_are_published_again_refresh_nothing() -> None:
    table = Table()
    table.publish("a", "2013-01-02", END + DAY, binding())
    assert table.publish("a", "2013-01-01", END + 9 * DAY, binding("other")) == END + DAY


def test_what_breaks_its_contract_refreshes_nothing() -> None:
    broken = TableFindings(at=END, findings=(Finding(rule="r", severity="fail", rows=1),))
    assert Table().publish("a", "2013-01-01", END, binding(verdict=broken)) is None


def test_a_stage_is_no_newer_than_its_inputs_were() -> None:
    table = Table()
    table.publish("flights", "2013-01-03", END + 9 * DAY, binding())
    table.publish("weather", "2013-01-01", END + 9 * DAY, binding())
    joined = binding(inputs=("flights", "weather", "unknown"))
    assert table.publish("features", "2013-01-03", END + 9 * DAY, joined) == END
    # Late weather alone refreshes nothing until the partition is computed again.
    table.publish("weather", "2013-01-03", END + 9 * DAY, binding())
    assert table.known["features"].current == END
    assert table.publish("features", "2013-01-03", END + 9 * DAY, joined) == END + 2 * DAY


def test_an_output_without_times_is_as_new_as_its_inputs() -> None:
    table = Table()
    table.publish("a", "2013-01-01", END + DAY, binding())
    assert table.publish("model", "all", END + 5 * DAY, binding(inputs=("a",))) == END


def test_a_source_without_times_is_as_new_as_its_last_change() -> None:
    table = Table()
    assert table.publish("shops", "all", 100, binding("x")) == 100
    assert table.publish("shops", "all", 200, binding("x")) == 100
    assert table.publish("shops", "all", 300, binding("y")) == 300


def test_the_removal_of_the_newest_partition_lowers_the_watermark() -> None:
    table = Table()
    table.publish("a", "2013-01-01", END, binding())
    table.publish("a", "2013-01-02", END + DAY, binding())
    mark = table.known["a"]
    mark.remove("2013-01-02", END + 2 * DAY)
    found = [mark.current]
    mark.remove("2013-01-01", END + 3 * DAY)
    assert [*found, mark.current] == [END, None]
    assert mark.history[-1] == (END + 3 * DAY, UNKNOWN)


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York", "Pacific/Kiritimati"])
def test_times_at_the_ends_of_the_calendar(zone: str) -> None:
    known: dict[str, StageWatermark] = {}
    publish_partition(known, "a", "9999-12-31", binding(), END, zone)
    assert known["a"].current == END
    publish_partition(known, "b", "0001-01-01", binding(), END, zone)
    mark = known["b"].current
    assert mark is not None
    assert mark < -6e10


def test_only_the_newest_partitions_are_known() -> None:
    mark = StageWatermark()
    for number in range(100):
        mark.publish(str(number), float(number), 200)
    assert sorted(map(int, mark.partitions)) == [*range(36, 100)]


def test_stages_of_which_nothing_was_read_are_seeded() -> None:
    table = Table()
    table.publish("known", "2013-01-05", END + 9 * DAY, binding())
    old, newer = binding(at=END + 1), binding("x", inputs=("raw",), at=END + 2)
    heads = {"joined": {"all": newer}, "raw": {"2013-01-01": old}, "known": {"2013-01-09": old}}
    seed_watermarks(table.known, heads, "UTC")
    found = {name: mark.current for name, mark in table.known.items()}
    assert found == {"known": END + 4 * DAY, "raw": END, "joined": END}


def test_how_long_data_were_too_old() -> None:
    mark = StageWatermark()
    mark.publish("1", 0, 100)
    mark.publish("2", 1000, 1000)
    # Older than 200 s from 200 to 1,000, and from 1,200 on.
    assert mark.missed_seconds(200, 0, 1500) == (800 + 300, 1400)
    assert mark.missed_seconds(200, 500, 600) == (100, 100)
    assert mark.missed_seconds(5000, 0, 1500) == (0, 1400)
    assert mark.missed_seconds(200, 0, 50) == (0, 0)
    mark.remove("1", 1600)
    mark.remove("2", 1700)
    assert mark.missed_seconds(200, 1650, 1800) == (50, 50)


CHANGES = st.lists(st.tuples(st.floats(0, 1e4), st.floats(-1e4, 1e4)), min_size=1, max_size=20)


@given(CHANGES, st.floats(1, 5000), st.integers(0, 9000), st.integers(1, 2000))
def test_missed_seconds_are_what_counting_gives(
    changes: list[tuple[float, float]], within: float, start: int, length: int
) -> None:
    mark = StageWatermark()
    for number, (at, watermark) in enumerate(sorted(changes)):
        mark.publish(str(number), watermark, at)
    missed, known = mark.missed_seconds(within, start, start + length)
    steps = 400
    missed_steps = known_steps = 0
    for step in range(steps):
        moment = start + (step + 0.5) * length / steps
        current = [value for at, value in mark.history if at <= moment][-1:]
        known_steps += len(current)
        missed_steps += any(moment - value > within for value in current)
    # The end of a segment is found to a step, and there are at most so many segments.
    room = (2 * len(changes) + 2) * length / steps
    assert abs(missed - missed_steps * length / steps) <= room
    assert abs(known - known_steps * length / steps) <= room
    assert 0 <= missed <= known + 1e-6


@given(CHANGES, st.floats(0, 1e4))
def test_pruning_changes_nothing_that_comes_later(
    changes: list[tuple[float, float]], since: float
) -> None:
    mark = StageWatermark()
    for number, (at, watermark) in enumerate(sorted(changes)):
        mark.publish(str(number), watermark, at)
    before = mark.missed_seconds(50, since, since + 5000)
    mark.prune(since)
    assert mark.missed_seconds(50, since, since + 5000) == before


def test_a_clock_that_was_put_back_keeps_the_order() -> None:
    mark = StageWatermark()
    mark.publish("1", 10, 1000)
    mark.publish("2", 20, 400)
    assert mark.history == [(1000, 20)]
    mark.publish("3", 30, 1002)
    assert mark.history == [(1000, 20), (1002, 30)]


def test_a_run_that_publishes_much_adds_a_change_a_second() -> None:
    mark = StageWatermark()
    for number in range(1000):
        mark.publish(f"{number:03}", number, 100 + number / 100)
    assert mark.history == [(100 + second, 100 * second + 99) for second in range(10)]
    assert sorted(mark.partitions) == [f"{number:03}" for number in range(936, 1000)]


def test_scores_are_as_new_as_the_rows_that_were_scored() -> None:
    table = Table()
    table.publish("rows", "2013-01-01", END, binding())
    artifact = Artifact(
        id="m", stage="model", object="m", format="lightgbm", inputs=("x",), output="y", baseline=0.0,
        anchor="", rows=1, trained_on={}, contracts={}, recipe="recipe", params="{}", seed=None,
    )  # fmt: skip
    model = replace(records.product("m"), artifact=artifact)
    table.publish("model", "all", END, replace(binding(inputs=("rows",)), product=model))
    table.publish("rows", "2013-01-02", END + DAY, binding())
    scored = binding(inputs=("rows", "model"))
    assert table.publish("scores", "live", END + DAY, scored) == END + DAY
    # It reads only the model, for example its figures.
    assert table.publish("card", "all", END + DAY, binding(inputs=("model",))) == END


def test_only_times_in_the_data_are_dates() -> None:
    table = Table()
    table.publish("undated", "Ost", END, binding())
    table.publish("sums", "all", END, binding(inputs=("undated",)))
    table.publish("dated", "2013-01-01", END, binding())
    table.publish("joined", "all", END, binding(inputs=("undated", "dated")))
    dated = {name: mark.is_dated for name, mark in table.known.items()}
    assert dated == {"undated": False, "sums": False, "dated": True, "joined": True}
