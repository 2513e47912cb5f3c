"""The service: what it needs to know of other projects, of sources that fail, and of settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.openlineage.projects import LineageSea, end_of
from tests.support.tides import CHAIN, Tides
from tidemill.core.errors import SourceError, StorageError, UsageError
from tidemill.project import openlineage
from tidemill.sources.io import file_listing

READER = """
import tidemill as tm


class Daily(tm.Contract, key=("day",)):
    day = tm.Date(partition="1d")
    total = tm.Float64()


flow = tm.Workflow("tides")


@flow.ingest
def taken() -> tm.Source[Daily]:
    return tm.output("../other", "daily"{more})
"""


def other(root: Path) -> None:
    """A project that is read, whose workflow is `the tides`."""
    tides = Tides(root / "other", CHAIN.replace('"tides"', '"the tides"'))
    (tides.root / "pyproject.toml").write_text('[tool.tidemill]\nworkflow = "tides:flow"\n')
    tides.send(0)
    tides.ok()


@pytest.mark.parametrize("more", ["", ', workflow="the tides"'])
def test_the_output_of_another_project_is_its_dataset(tmp_path: Path, more: str) -> None:
    other(tmp_path)
    reader = LineageSea(tmp_path / "reader", READER.replace("{more}", more))
    reader.ok()
    [read] = end_of(reader.take(), "taken")["inputs"]
    assert (read["namespace"], read["name"]) == ("tidemill", "the tides.daily")


def test_one_that_cant_be_opened_is_known_by_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other(tmp_path)
    reader = LineageSea(tmp_path / "reader", READER.replace("{more}", ""))
    receipt = reader.run()
    (tmp_path / "other" / ".tidemill" / "ledger.db").unlink()
    [read] = end_of(reader.exported(receipt.run), "taken")["inputs"]
    assert (read["namespace"], read["name"]) == ("file", f"{tmp_path}/other/daily")


def test_a_source_that_fails_isnt_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tides = LineageSea(tmp_path, CHAIN)
    tides.send(0)
    receipt = tides.run()

    def fail(stage: object) -> object:
        raise SourceError("no source")

    monkeypatch.setattr(openlineage, "call_ingest", fail)
    assert file_listing.call_ingest is not fail
    assert end_of(tides.exported(receipt.run), "raw")["inputs"] == []


def test_sending_needs_settings(tmp_path: Path) -> None:
    tides = Tides(tmp_path, CHAIN)
    tides.send(0)
    receipt = tides.run()
    with tides.open() as project:
        service = project.openlineage
        assert service.settings.namespace == "tidemill"
        assert len([*service.events(receipt.run)]) == 14
        with pytest.raises(UsageError, match=r"set url, file or command in \[tool.tidemill.openl"):
            service.send(receipt.run)


def test_a_ledger_that_fails_after_the_run_fails_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tides = LineageSea(tmp_path, CHAIN, file="data")
    tides.send(0)
    with tides.open() as project:
        ledger = type(project.tools.ledger)
        append = ledger.append

        def fail(self: object, events: object, **more: object) -> int:
            if type(events[0]).__name__ == "LineageDropped":  # type: ignore[index]
                raise StorageError("the disk is full")
            return append(self, events, **more)  # type: ignore[arg-type]

        monkeypatch.setattr(ledger, "append", fail)
        receipt = project.run()
        assert "data can't be written: Is a directory" in receipt.messages[-1]
        assert project.history.notes(receipt.run) == []
