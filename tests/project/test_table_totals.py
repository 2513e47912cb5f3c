"""What stages published, in numbers."""

from __future__ import annotations

from pathlib import Path

from tests.support.tides import Tides


def test_totals_change_when_something_is_published(tmp_path: Path) -> None:
    tides = Tides(tmp_path / "project")
    tides.send(0)
    tides.run()
    with tides.open() as project:
        before = project.table_totals.read()
        assert (before["raw"].partitions, before["raw"].rows) == (1, 3)
        assert before["raw"].contract == "1.0.0"
        assert project.table_totals.read()["raw"] is before["raw"]
        tides.send(1, (5.0,))
        tides.run()
        after = project.table_totals.read()
        assert (after["raw"].partitions, after["raw"].rows) == (2, 4)
        assert after["raw"].run != before["raw"].run
