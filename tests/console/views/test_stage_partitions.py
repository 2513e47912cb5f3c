"""The partitions of a stage, page by page."""

from __future__ import annotations

from pathlib import Path

from tidemill.console.views.stage_partitions import list_partitions
from tidemill.project.project import open_project


def test_pages_and_filters(built: Path) -> None:
    with open_project(built) as project:
        first = list_partitions(project, "sales", limit=10)
        second = list_partitions(project, "sales", before=first.next, limit=10)
        some = list_partitions(project, "sales", since="2026-01-30", until="2026-01")
        week = list_partitions(project, "sales", contains="-01-1")
        none = list_partitions(project, "sales", contains="x")
    assert (first.total, first.selected, first.next) == (28, 28, "2026-01-23")
    assert second.partitions[0].partition == "2026-01-22"
    assert [each.partition for each in some.partitions] == ["2026-01-31", "2026-01-30"]
    assert (week.selected, week.next, none.partitions) == (10, "", ())
    held = next(each for each in week.partitions if each.quarantined)
    assert (held.partition, held.rows, held.contract) == ("2026-01-19", 35, "1.0.0")
    assert held.run == first.partitions[0].run
