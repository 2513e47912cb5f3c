"""The time from the arrival of data to their publication."""

from __future__ import annotations

from tidemill.operations.arrivals import ArrivalTimes
from tidemill.workflow.source import SourceFile


def file(mtime: float, *partitions: str) -> SourceFile:
    return SourceFile(
        path=f"{mtime}",
        size=1,
        mtime_ns=int(mtime * 1e9),
        digest="d",
        rows=dict.fromkeys(partitions, 1),
    )


def test_the_first_look_says_nothing() -> None:
    times = ArrivalTimes()
    times.see("a", [file(50, "p")], 100)
    assert times.delay("a", "p", 110) is None


def test_from_the_newest_file_of_a_partition() -> None:
    times = ArrivalTimes()
    times.see("a", [], 100)
    times.begin_run()
    times.see("a", [file(150, "p", "q"), file(160, "p"), file(90, "old"), file(300, "future")], 200)
    found = {key: times.delay("a", key, 210) for key in ("p", "q", "old", "future", "other")}
    assert found == {"p": 50, "q": 60, "old": None, "future": None, "other": None}
    # Stages further down are as late as the newest file that the run read.
    assert times.delay("features", "p", 220) == 60
    times.begin_run()
    assert times.delay("features", "p", 230) is None


def test_a_clock_that_was_put_back_gives_no_delay() -> None:
    times = ArrivalTimes()
    times.see("a", [], 100)
    times.see("a", [file(150, "p")], 200)
    assert times.delay("a", "p", 140) is None
