"""Changes settle before they are run, and a backlog is worked off in parts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidemill.operations.watch import (
    Backlog,
    SourceChange,
    add_change,
    catch_up,
    describe_changes,
    describe_writing,
    merge_changes,
    settled_at,
    written_by,
)


def test_changes_are_counted_from_the_first_to_the_last() -> None:
    change = add_change(add_change(None, 1.0, "a.csv"), 3.0, count=2)
    assert change == SourceChange(first=1.0, last=3.0, count=3, example="a.csv")


def test_files_that_are_written_are_waited_for() -> None:
    assert written_by({}, 0.0, 300.0) is None
    assert written_by({"a.csv": 5.0, "b.csv": 7.0}, 0.0, 300.0) == 305.0
    # A run since then was such a wait.
    assert written_by({"a.csv": 5.0}, 305.0, 300.0) == 605.0
    assert describe_writing([]) == ""
    assert describe_writing(["a.csv"]) == "runs wait until a.csv is written"
    assert (
        describe_writing(["b.csv", "a.csv"]) == "runs wait until a.csv and 1 other file are written"
    )


def test_a_change_settles_once_nothing_changes() -> None:
    assert settled_at({}, 0.2, 10.0) is None
    assert settled_at({"sales": SourceChange(first=1.0, last=3.0)}, 0.2, 10.0) == 3.2
    both = {
        "sales": SourceChange(first=1.0, last=1.0),
        "weather": SourceChange(first=2.0, last=5.0),
    }
    assert settled_at(both, 0.2, 10.0) == 5.2


@given(times=st.lists(st.floats(0, 1_000), min_size=1, max_size=50))
def test_a_file_that_never_rests_is_run_after_the_longest_wait(times: list[float]) -> None:
    change = None
    for time in sorted(times):
        change = add_change(change, time)
    assert change is not None
    settled = settled_at({"sales": change}, 0.5, 10.0)
    assert settled is not None
    assert settled <= min(times) + 10.0
    assert settled == max(times) + 0.5 or max(times) + 0.5 > min(times) + 10.0


def test_changes_of_a_run_that_did_not_take_place_are_kept() -> None:
    older = {
        "sales": SourceChange(first=1.0, last=1.0, example="a"),
        "tills": SourceChange(first=1.0, last=1.0),
    }
    newer = {
        "sales": SourceChange(first=5.0, last=6.0, count=2, example="b"),
        "weather": SourceChange(first=7.0, last=7.0),
    }
    assert merge_changes(older, newer) == {
        "sales": SourceChange(first=1.0, last=6.0, count=3, example="b"),
        "tills": SourceChange(first=1.0, last=1.0),
        "weather": SourceChange(first=7.0, last=7.0),
    }


def test_changes_are_named() -> None:
    known = {
        "weather": SourceChange(first=1.0, last=1.0, example="w.csv"),
        "sales": SourceChange(first=1.0, last=2.0, count=3, example="a.csv"),
        "tills": SourceChange(first=1.0, last=1.0),
    }
    assert describe_changes(known) == (
        "sales changed (3 changes, such as a.csv), tills changed (1 change), weather changed (w.csv)"
    )


def test_a_backlog_is_that_of_the_stage_that_is_behind_most() -> None:
    assert catch_up({}, 30) is None
    assert catch_up({"a": 30}, 30) is None
    found = catch_up({"a": 31, "b": 312}, 30)
    assert found == Backlog(stage="b", behind=312, at_once=30)
    assert str(found) == "b is 312 partitions behind, 30 at a time"
