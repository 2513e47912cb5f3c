from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from tests.support.planning import file_of
from tidemill.planning.plan import MissingRows, Plan
from tidemill.planning.source_changes import source_changes
from tidemill.sources.missing import Missing, find_missing
from tidemill.sources.scan import Scan
from tidemill.workflow.source import SourceFile

A = file_of("a", "1", {"x": 1})
B = file_of("b", "1", {"x": 1, "y": 1})
C = file_of("c", "1", {"z": 1})


def planned(files: list[SourceFile], missing: Missing | None, held: frozenset[str]) -> Plan:
    item = MissingRows(stage="s", policy="fail", missing=missing, held=held) if missing else None
    return Plan(
        workflow="w",
        environment="prod",
        heads={},
        recipes={},
        sources={"s": {file.path: file for file in files}},
        missing=(item,) if item and held else (),
    )


def changes(
    known: list[SourceFile], files: list[SourceFile], *held: str, missing: tuple[str, ...] = ()
) -> tuple[list[SourceFile], list[str]] | None:
    """What is recorded and forgotten at the time 7."""
    lost = Missing(paths=missing, removed=held, shrunk=(), lost=1, rows=1)
    plan = planned(files, lost, frozenset(held))
    found = source_changes(plan, "s", {file.path: file for file in known}, 7.0)
    return None if found is None else ([*found[0]], [*found[1]])


def test_new_changed_and_gone_files_are_recorded() -> None:
    changed = replace(A, digest="2")
    assert changes([A, B], [changed, C]) == ([changed, C], ["b"])
    assert changes([A, B], [A, B]) is None


def test_a_source_without_files_forgets_none() -> None:
    assert changes([A, B], []) is None


def test_what_feeds_held_partitions_stays_known() -> None:
    marked = replace(A, missing_since={"x": 7.0})
    fewer = replace(B, digest="2", rows={"y": 1})
    more = file_of("d", "1", {"x": 1})
    part = replace(fewer, digest="", rows={"x": 1, "y": 1})
    assert changes([A, B, C], [fewer, more], "x", missing=("a",)) == ([part, marked], ["c"])
    assert changes([marked, part], [fewer, more], "x", missing=("a",)) is None
    # Marks stay as they are, and are noted once.
    assert changes([marked, B, C], [B, C], "x", missing=("a",)) is None


def test_a_file_is_recorded_for_the_partitions_that_are_not_held() -> None:
    new = replace(file_of("d", "1", {"x": 1, "y": 2}), parts={"x": "p", "y": "q"}, mtime_ns=5)
    part = replace(new, digest="", rows={"y": 2}, parts={}, mtime_ns=0)
    assert changes([A], [new], "x", missing=("a",)) == (
        [part, replace(A, missing_since={"x": 7.0})],
        [],
    )
    # It is complete when nothing is held any more.
    assert changes([A, part], [new]) == ([new], ["a"])


def test_a_file_that_is_back_is_recorded_although_its_partition_is_held() -> None:
    marked = replace(B, missing_since={"x": 1.0})
    assert changes([A, marked], [B], "x", missing=("a",)) == (
        [B, replace(A, missing_since={"x": 7.0})],
        [],
    )


def test_only_held_partitions_are_marked() -> None:
    marked = replace(B, missing_since={"x": 3.0, "y": 3.0})
    assert changes([marked, C], [C], "x", missing=("b",)) == (
        [replace(B, missing_since={"x": 3.0})],
        [],
    )


COUNTS = st.dictionaries(st.sampled_from("wxyz"), st.integers(1, 3), max_size=3)
# What happens between two runs: files by number that go, and those that come.
STEPS = st.lists(st.tuples(st.lists(st.integers(0, 5)), st.lists(COUNTS, max_size=3)), max_size=6)


@given(STEPS, st.sampled_from(["fail", "keep"]))
def test_whatever_files_come_and_go_no_partition_is_emptied_unasked(
    steps: list[tuple[list[int], list[dict[str, int]]]], policy: Literal["fail", "keep"]
) -> None:
    known: dict[str, SourceFile] = {}
    files = {"always": file_of("always", "1", {"always": 1})}
    published: dict[str, int] = {}
    for number, (going, coming) in enumerate(steps):
        there = [path for path in files if path != "always"]
        for path in {there[index] for index in going if index < len(there)}:
            del files[path]
        for index, rows in enumerate(coming):
            path = f"{number} {index}"
            files[path] = file_of(path, path, rows)
        found = find_missing(known, Scan(files=files, on_missing=policy), published)
        held = found.partitions if found else frozenset[str]()
        now = Counter[str]()
        for file in files.values():
            now.update(file.rows)
        assert {key for key in published if not now[key]} <= held
        if all(now[key] >= published[key] for key in published):
            assert not held
        published |= {key: rows for key, rows in now.items() if key not in held}
        plan = planned([*files.values()], found, held)
        if changed := source_changes(plan, "s", known, float(number)):
            known = {path: file for path, file in known.items() if path not in changed[1]}
            known |= {file.path: file for file in changed[0]}
