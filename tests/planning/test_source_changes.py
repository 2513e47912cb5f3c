from __future__ import annotations

from dataclasses import replace

from tests.support.planning import file_of
from tidemill.planning.plan import MissingRows, Plan
from tidemill.planning.source_changes import source_changes
from tidemill.sources.missing import Missing
from tidemill.workflow.source import SourceFile

A = file_of("a", "1", {"x": 1})
B = file_of("b", "1", {"x": 1, "y": 1})
C = file_of("c", "1", {"z": 1})


def changes(
    known: list[SourceFile], files: list[SourceFile], *held: str, missing: tuple[str, ...] = ()
) -> tuple[list[SourceFile], list[str]] | None:
    """What is recorded and forgotten at the time 7."""
    lost = Missing(paths=missing, removed=held, shrunk=(), lost=1, rows=1)
    item = MissingRows(stage="s", policy="fail", missing=lost, held=frozenset(held))
    plan = Plan(
        workflow="w",
        environment="prod",
        heads={},
        recipes={},
        sources={"s": {file.path: file for file in files}},
        missing=(item,) if held else (),
    )
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
    assert changes([A, B, C], [fewer, more], "x", missing=("a",)) == ([marked], ["c"])
    # Marks stay as they are, and are noted once.
    assert changes([marked, B, C], [B, C], "x", missing=("a",)) is None


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
