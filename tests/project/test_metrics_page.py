"""The page of metrics of a home, while a project is watched."""

from __future__ import annotations

from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.operations.test_ledger_metrics import NOW, attempted
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.core.errors import UsageError
from tidemill.ledger.event import EnvironmentCreated
from tidemill.ledger.io.lease_holder import this_process
from tidemill.operations.io.up_files import ReportFile
from tidemill.operations.metrics_settings import MetricsSettings
from tidemill.operations.up_report import UpReport, UpRole
from tidemill.project.metrics_page import MetricsPage, open_metrics_page
from tidemill.project.settings import Settings


def settings(root: Path, **metrics: object) -> Settings:
    return Settings(root=root, workflow="m:flow", tables={"metrics": MetricsSettings(**metrics)})  # type: ignore[arg-type]


@pytest.fixture
def ledger(tmp_path: Path) -> SqliteLedger:
    return SqliteLedger(tmp_path / "ledger.db")


def attempts(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("tidemill_stage_attempts_total")]


def test_the_workflow_that_is_watched(ledger: SqliteLedger, tmp_path: Path) -> None:
    """Its settings say nothing about the other workflows of the home."""
    page = MetricsPage(settings(tmp_path), ledger, "prod", clock=lambda: NOW)
    assert page.text() == ""
    names = ("one/prod", "two/prod", "two/dev", "prod")
    ledger.append([EnvironmentCreated(environment=name) for name in names], now=NOW)
    ledger.append([attempted(environment=name) for name in names], now=NOW)
    assert page.text() == ""
    (tmp_path / ".tidemill").mkdir()
    file = ReportFile(tmp_path / ".tidemill")
    report = UpReport(
        environment="prod",
        holder=this_process("up"),
        role=UpRole.WORKING,
        since=NOW,
        workflow="two",
    )
    file.write(report)
    assert attempts(page.text()) == [
        'tidemill_stage_attempts_total{workflow="two",environment="prod",stage="a",outcome="ok"} 1',
    ]
    file.close()
    ledger.append([attempted(environment="two/prod")], now=NOW)
    assert 'outcome="ok"} 2' in page.text()


def test_the_only_workflow_of_a_home(ledger: SqliteLedger, tmp_path: Path) -> None:
    """While it can't be imported, for example."""
    ledger.append([EnvironmentCreated(environment="my%20shop/prod")], now=NOW)
    ledger.append([attempted(environment="my%20shop/prod")], now=NOW)
    page = MetricsPage(settings(tmp_path), ledger, "prod", clock=lambda: NOW)
    assert len(attempts(page.text())) == 1


def test_where_the_settings_say(
    ledger: SqliteLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.append([EnvironmentCreated(environment="one/prod")], now=NOW)
    with (
        open_metrics_page(settings(tmp_path), ledger, "prod") as server,
        urlopen(server.address) as reply,
    ):
        assert b"tidemill_ledger_event_number" in reply.read()
    with pytest.raises(UsageError, match="METRICS_TOKEN, which is to hold the token"):
        open_metrics_page(settings(tmp_path, token="METRICS_TOKEN"), ledger, "prod")
    with pytest.raises(UsageError, match="could be read from other machines"):
        open_metrics_page(settings(tmp_path, host="0.0.0.0"), ledger, "prod")
    monkeypatch.setenv("METRICS_TOKEN", "secret-token")
    open_metrics_page(settings(tmp_path, token="METRICS_TOKEN"), ledger, "prod").close()
