"""The quarantined rows of a stage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.people import open_as, write_settings
from tests.support.tides import LENIENT, Tides, day
from tidemill.console.views.stage_quarantine import (
    list_quarantined,
    list_quarantined_rows,
    show_quarantined,
)
from tidemill.core.errors import UsageError
from tidemill.project.project import Project


@pytest.fixture
def tides(tmp_path: Path) -> Tides:
    tides = Tides(tmp_path / "project", LENIENT)
    tides.send(0, (1.0, 2000.0, 3000.0, 4.0))
    tides.send(1, (5000.0,))
    tides.run()
    return tides


@pytest.fixture
def project(tides: Tides) -> Iterator[Project]:
    with tides.open() as found:
        yield found


def test_partitions_rules_and_rows(project: Project) -> None:
    found = list_quarantined(project, "raw")
    assert [(each.partition, each.rows) for each in found.partitions] == [(day(0), 2), (day(1), 1)]
    [rule] = found.partitions[0].rules
    assert (rule.rule, rule.rows, rule.is_waivable) == ("value.max", 2, True)
    assert list_quarantined(project, "raw", after=day(0)).partitions[0].partition == day(1)
    assert list_quarantined(project, "doubled").partitions == ()
    shown = show_quarantined(project, "raw", day(0))
    assert [row.cells[2] for row in shown.table.rows] == ["2000.0", "3000.0"]
    assert shown.reasons == ("value.max", "value.max")
    assert (shown.governed, shown.held.rulings) == (False, ())
    with pytest.raises(UsageError, match="no quarantined rows in '1999'"):
        show_quarantined(project, "raw", "1999")


def test_rows_page_by_page(project: Project) -> None:
    first = list_quarantined_rows(project, "raw", day(0), limit=1)
    assert (first.total, first.selected, first.next) == (2, 2, 1)
    second = list_quarantined_rows(project, "raw", day(0), rule="value.max", first=1, limit=1)
    assert [row.number for row in second.table.rows] == [1]
    assert second.next == 0
    with pytest.raises(UsageError, match=r"did you mean 'value\.max'"):
        list_quarantined_rows(project, "raw", day(0), rule="value.min")


def test_decisions_stay_visible_when_no_rows_are_left(tides: Tides) -> None:
    with tides.open() as project:
        project.quarantine.drop("raw", day(1), reason="a test")
        pending = show_quarantined(project, "raw", day(1))
    assert [ruling.is_pending for ruling in pending.held.rulings] == [True]
    tides.run()
    with tides.open() as project:
        applied = show_quarantined(project, "raw", day(1))
    assert [ruling.is_pending for ruling in applied.held.rulings] == [False]
    assert (applied.held.rows, applied.table.rows, applied.held.done) == (0, (), "1 dropped")


def test_it_says_who_may_decide(tides: Tides) -> None:
    write_settings(tides.root)
    with open_as(tides, "vera") as project:
        found = show_quarantined(project, "raw", day(0))
    assert found.releasing.holders.startswith("adam, rita (the role reviewer")
    assert found.correcting.holders.startswith("adam, otto, rita (the role operator")
    assert not found.dropping.is_allowed


def test_who_may_not_undo_a_ruling_reads_why(tides: Tides) -> None:
    """It needs what the ruling needed."""
    write_settings(tides.root)
    with open_as(tides, "rita") as project:
        project.quarantine.drop("raw", day(0), rows=[0], reason="wrong")
        project.quarantine.take_back("raw", day(0), ruling=1, reason="right")
        mine = show_quarantined(project, "raw", day(0)).held.rulings
    assert [ruling.obstacle for ruling in mine] == ["", "it undoes another one"]
    with open_as(tides, "otto") as project:
        other = show_quarantined(project, "raw", day(0)).held.rulings
    assert "otto may not drop quarantined rows" in other[0].obstacle
