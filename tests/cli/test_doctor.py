"""`tidemill doctor` works where no other command does."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tidemill.cli import cli
from tidemill.operations.health import Level
from tidemill.project.doctor import examine

WORKFLOW = """import tidemill as tm

class Item(tm.Contract):
    n = tm.Int64()

flow = tm.Workflow("shop", owner="ops")

@flow.ingest
def items() -> tm.Source[Item]:
    return {source}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    name = f"shop_{tmp_path.name.replace('-', '_')}"
    (tmp_path / "pyproject.toml").write_text(f'[tool.tidemill]\nworkflow = "{name}:flow"\n')
    (tmp_path / f"{name}.py").write_text(WORKFLOW.format(source='tm.files("data/*.csv")'))
    return tmp_path


def call(folder: Path, *options: str) -> tuple[int, dict[str, Any]]:
    found = CliRunner().invoke(cli, ["doctor", "-C", str(folder), "--json", *options])
    return found.exit_code, json.loads(found.stdout)


def faults(document: dict[str, Any]) -> dict[str, str]:
    return {f["area"]: f["text"] for f in document["findings"] if f["level"] == "fault"}


def test_a_project_before_its_first_run(project: Path) -> None:
    before = sorted(each.name for each in project.iterdir())
    code, document = call(project)
    assert (code, faults(document)) == (0, {})
    assert document["schema"] == "tidemill.doctor/1"
    texts = {finding["area"]: finding["text"] for finding in document["findings"]}
    assert texts["ledger"] == "none yet: nothing was ever run here"
    assert "1 stage" in texts["project"]
    after = {each.name for each in project.iterdir()} - {"__pycache__"}
    assert sorted(after) == before


def test_no_project_at_all(tmp_path: Path) -> None:
    code, document = call(tmp_path)
    assert code == 1
    assert "no project here" in faults(document)["project"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("raise RuntimeError('boom')", "RuntimeError: boom"),
        ("import no_such_library_here", "no_such_library_here"),
        ("flow = 3", "has no workflow 'flow'"),
        ("def broken(:", "SyntaxError"),
    ],
)
def test_a_workflow_that_cannot_be_imported(project: Path, text: str, expected: str) -> None:
    [module] = project.glob("shop_*.py")
    module.write_text(text + "\n")
    code, document = call(project)
    assert code == 1
    assert expected in faults(document)["project"]


def test_settings_that_cannot_be_read(project: Path) -> None:
    (project / "pyproject.toml").write_text("[tool.tidemill\n")
    code, document = call(project)
    assert code == 1
    assert "can't be read" in faults(document)["project"]


def test_a_damaged_ledger(project: Path) -> None:
    home = project / ".tidemill"
    home.mkdir(mode=0o700)
    (home / "ledger.db").write_bytes(b"not a ledger" * 500)
    code, document = call(project)
    assert code == 1
    assert "ledger.db can't be read" in faults(document)["ledger"]
    found = CliRunner().invoke(cli, ["doctor", "-C", str(project)])
    assert "fault  ledger" in found.stdout
    assert "-> `tidemill verify --repair`" in found.stdout
    assert "1 fault" in found.stdout


def test_secrets_and_outputs_are_examined(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHOP_TOKEN", raising=False)
    settings = project / "pyproject.toml"
    settings.write_text(settings.read_text() + 'secrets = ["SHOP_TOKEN"]\n')
    [module] = project.glob("shop_*.py")
    more = '\nflow.table("out", stage=items, sink=tm.parquet("out/items"))\n'
    module.write_text(module.read_text() + more)
    (project / "out").write_text("a file")
    found = examine(project)
    levels = {(finding.area, finding.level) for finding in found}
    assert ("secrets", Level.NOTE) in levels
    assert ("outputs", Level.FAULT) in levels


def test_whoever_is_alerted_should_notice_silence(project: Path) -> None:
    file = project / "pyproject.toml"
    hook = '[tool.tidemill.alerts.channels.team]\nkind = "slack"\nurl = "TEAM_HOOK_URL"\n'
    file.write_text(file.read_text() + hook)

    def notes() -> dict[str, str]:
        found = call(project)[1]["findings"]
        return {each["area"]: each["text"] for each in found if each["level"] == "note"}

    found = notes()
    assert found["alerts"] == "if nothing checks this project any more, nobody is told"
    assert found["secrets"] == "TEAM_HOOK_URL isn't set"
    file.write_text(
        f'{file.read_text()}\n[tool.tidemill.alerts]\nheartbeat = "https://ping.example/x"\n'
    )
    assert "alerts" not in notes()


def test_sources_are_only_asked_on_request(project: Path) -> None:
    [module] = project.glob("shop_*.py")
    query = 'tm.sql("SELECT n FROM items", url="sqlite:///none.db")'
    module.write_text(WORKFLOW.format(source=query))
    assert call(project)[0] == 0
    code, document = call(project, "--connect")
    assert code == 1
    assert "source of items" in faults(document)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ('tm.sql("SELECT n FROM items", url="sqlite:///shop.db")', "connected; 1 column"),
        ('tm.dbt("dbt", "items", "sqlite:///shop.db")', "connected"),
    ],
)
def test_a_database_that_answers(project: Path, source: str, says: str) -> None:
    with closing(sqlite3.connect(project / "shop.db")) as connection:
        connection.execute("CREATE TABLE items (n INTEGER)")
    [module] = project.glob("shop_*.py")
    module.write_text(WORKFLOW.format(source=source))
    code, document = call(project, "--connect")
    assert (code, faults(document)) == (0, {})
    texts = {finding["area"]: finding["text"] for finding in document["findings"]}
    assert texts["source of items"] == says
