"""One quarantined row with its cells."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.tides import LENIENT, Tides, day
from tidemill.console.views.quarantined_row import show_quarantined_row
from tidemill.core.errors import UsageError
from tidemill.project.project import open_project


def test_broken_cells_come_first(tmp_path: Path) -> None:
    tides = Tides(tmp_path / "project", LENIENT)
    tides.send(0, (1.0, 2000.0))
    tides.run()
    with tides.open() as project:
        found = show_quarantined_row(project, "raw", 0, day(0))
        with pytest.raises(UsageError, match="no quarantined row 1: there are 1"):
            show_quarantined_row(project, "raw", 1, day(0))
    assert found.rules == ("value.max",)
    assert [(cell.name, cell.text, cell.is_broken) for cell in found.cells] == [
        ("value", "2000.0", True),
        ("day", day(0), False),
        ("id", "0", False),
    ]
    assert found.cells[0].terms == "<= 1000"
    assert found.digest.startswith("r")
    assert (found.obstacle, found.total_columns) == ("", 3)


def test_cells_of_a_text_file_have_the_types_of_their_contract(built: Path) -> None:
    with open_project(built) as project:
        partition = project.quarantine.list("sales")[0].partition
        found = show_quarantined_row(project, "sales", 0, partition)
    assert {cell.name: cell.type for cell in found.cells} == {
        "sold": "Int64, as text",
        "date": "Date, as text",
        "shop": "Enum, as text",
        "hour": "Int64, as text",
    }
