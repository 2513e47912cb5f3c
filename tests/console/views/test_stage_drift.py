"""The drift of a stage."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.drifting import CALM, MOVED, STEP, WATCHED, send
from tests.support.tides import Tides, day
from tidemill.console.views.stage_drift import show_drift
from tidemill.core.errors import UsageError


@pytest.fixture
def tides(tmp_path: Path) -> Tides:
    found = Tides(tmp_path / "project", WATCHED)
    send(found, [*CALM, *MOVED])
    found.run()
    return found


def test_an_alarm_and_who_carries_it(tides: Tides) -> None:
    with tides.open() as project:
        found, calm = show_drift(project, "raw"), show_drift(project, "raw", day(STEP - 1))
        with pytest.raises(UsageError, match="no partition '1999"):
            show_drift(project, "raw", "1999")
    assert found.is_alarm
    assert found.alarms[0].columns == ("value",)
    assert found.columns[0].name == "value"
    assert len(found.columns[0].shares.then) == len(found.columns[0].shares.now) > 1
    assert not calm.is_alarm


def test_a_table_that_cannot_be_judged(tmp_path: Path) -> None:
    tides = Tides(tmp_path / "project", WATCHED)
    with tides.open() as project:
        assert "no published partitions" in show_drift(project, "raw").obstacle


def test_a_table_whose_columns_all_move_on(tmp_path: Path) -> None:
    text = WATCHED.replace("    value = tm.Float64(nullable=True)\n", "")
    text = text.replace('    drift = tm.DriftAlarm(reference="10d")\n', "")
    with Tides(tmp_path / "project", text).open() as project:
        assert "has no columns that could drift" in show_drift(project, "raw").obstacle
