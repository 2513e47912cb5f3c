"""What a project stores is metered once a day, if it has a price."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.tides import Tides
from tidemill.adapters.files.artifacts import FileArtifacts
from tidemill.core.errors import StorageError
from tidemill.ledger.cost_events import StorageMetered
from tidemill.ledger.price import MONTH_S, Price
from tidemill.project.project import Project
from tidemill.project.storage_metering import meter_storage

DAY = 86_400.0


def metered(project: Project) -> list[StorageMetered]:
    facts = project.tools.ledger.events(kinds=(StorageMetered.__name__,))
    return [fact.event for fact in facts if isinstance(fact.event, StorageMetered)]


@pytest.fixture
def tides(tmp_path: Path) -> Tides:
    found = Tides(tmp_path)
    found.send(0)
    return found


def test_a_run_meters_what_is_stored_once_a_day(
    tides: Tides, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tides.open()
    project.run()
    assert metered(project) == []
    price = Price(storage_gb_month=1e9, currency="EUR")
    object.__setattr__(project.settings, "prices", (price,))
    assert meter_storage(project.workspace) == ()
    assert meter_storage(project.workspace) == ()
    (first,) = metered(project)
    assert first.environment == "prod"
    assert all(size > 0 for size in first.stages.values())
    assert not project.costs.report().total.amounts.get("EUR")
    clock = project.tools.clock
    object.__setattr__(project.workspace.tools, "clock", lambda: clock() + DAY)
    assert meter_storage(project.workspace) == ()
    second = metered(project)[1]
    assert second.stages == first.stages
    report = project.costs.report()
    rows = {row.key: row.line.amounts.get("EUR", 0.0) for row in report.rows}
    for stage, size in first.stages.items():
        assert rows[stage] == pytest.approx(size * DAY / MONTH_S, rel=1e-2)


def test_runs_that_end_together_meter_once(tides: Tides, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tides.open()
    project.run()
    object.__setattr__(project.settings, "prices", (Price(storage_gb_month=1e9),))
    stored = FileArtifacts.stored

    def also_elsewhere(own: Any) -> Any:
        monkeypatch.undo()
        assert meter_storage(project.workspace) == ()
        return stored(own)

    for _ in range(2):
        monkeypatch.setattr(FileArtifacts, "stored", also_elsewhere)
        assert meter_storage(project.workspace) == ()
        later = project.tools.clock() + DAY
        object.__setattr__(project.workspace.tools, "clock", partial(float, later))
    assert len(metered(project)) == 2


def test_an_environment_stores_since_it_was_created(tides: Tides) -> None:
    project = tides.open()
    project.run()
    object.__setattr__(project.settings, "prices", (Price(storage_gb_month=1e9),))
    assert meter_storage(project.workspace) == ()
    before = project.environments.create("dev").at
    object.__setattr__(project.workspace.tools, "clock", lambda: before + 2 * DAY)
    assert meter_storage(project.workspace) == ()
    since = {each.environment: each.since for each in metered(project)[1:]}
    assert since["prod"] < since["dev"] == before


def test_what_fails_is_a_message(tides: Tides, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tides.open()
    project.run()
    object.__setattr__(project.settings, "prices", (Price(storage_gb_month=1.0),))

    def fail(*_: Any) -> Any:
        raise StorageError("the disk is gone")

    monkeypatch.setattr(type(project.tools.artifacts), "stored", fail)
    assert meter_storage(project.workspace) == (
        "what is stored couldn't be metered: the disk is gone",
    )
    assert metered(project) == []
