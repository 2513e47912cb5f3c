"""`tidemill graph` shows the states of stages as they are."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tidemill.cli import cli, graph

WORKFLOW = """import tidemill as tm

class Item(tm.Contract):
    n = tm.Int64(on_fail="fail")

flow = tm.Workflow("shop", owner="ops")

@flow.ingest
def items() -> tm.Source[Item]:
    return tm.files("data/*.csv")

@flow.transform
def doubled(items: tm.Frame[Item]) -> tm.Frame[Item]:
    return items.select(items.collect_schema().names()){more}

@flow.transform
def last(doubled: tm.Frame[Item]) -> tm.Frame[Item]:
    return doubled
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    name = f"shop_{tmp_path.name.replace('-', '_')}"
    (tmp_path / "pyproject.toml").write_text(f'[tool.tidemill]\nworkflow = "{name}:flow"\n')
    (tmp_path / f"{name}.py").write_text(WORKFLOW.format(more=""))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "one.csv").write_text("n\n1\n2\n")
    return tmp_path


def call(folder: Path, command: str, *options: str) -> Result:
    return CliRunner().invoke(cli, [command, "-C", str(folder), *options])


def states(folder: Path, *options: str) -> dict[str, str]:
    found = call(folder, "graph", "--json", *options)
    assert found.exit_code == 0, found.output
    document: dict[str, Any] = json.loads(found.stdout)
    assert document["schema"] == "tidemill.graph/1"
    return {node["name"]: node["state"] for node in document["graph"]["nodes"]}


def test_states_follow_the_ledger(project: Path) -> None:
    assert {*states(project).values()} == {"never run"}
    assert call(project, "run").exit_code == 0
    assert {*states(project).values()} == {"up to date"}
    (project / "data" / "two.csv").write_text("n\n3\n")
    assert states(project)["items"] == "due"
    (project / "data" / "two.csv").write_text("n\nx\n")
    assert call(project, "run").exit_code != 0
    assert states(project)["items"] == "failed"
    text = call(project, "graph").stdout
    assert "items" in text
    assert "failed" in text


def test_a_stage_fails_until_a_run_finds_its_source_sound(project: Path) -> None:
    assert call(project, "run").exit_code == 0
    empty = project / "data" / "empty.csv"
    empty.touch()
    assert call(project, "run").exit_code != 0
    empty.unlink()
    assert states(project)["items"] == "failed"
    assert call(project, "run").exit_code == 0
    assert {*states(project).values()} == {"up to date"}


def test_parts_and_forms(project: Path) -> None:
    assert [*states(project, "--stage", "doubled", "--upstream", "1")] == ["items", "doubled"]
    assert [*states(project, "--stage", "doubled", "--downstream", "0")] == ["doubled"]
    assert len(states(project, "--stage", "doubled")) == 3
    mermaid = call(project, "graph", "--mermaid").stdout
    assert mermaid.startswith("flowchart TD\n")
    target = project / "graph.svg"
    assert call(project, "graph", "--svg", str(target)).exit_code == 0
    assert target.read_text().startswith("<svg")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--upstream", "1"), "need --stage"),
        (("--mermaid", "--json"), "--mermaid can't be combined"),
    ],
)
def test_options_that_do_not_fit(project: Path, options: tuple[str, ...], message: str) -> None:
    found = call(project, "graph", *options)
    assert found.exit_code == 2
    assert message in found.output


def test_what_nobody_could_read_is_refused(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "_MOST_LANES", 1)
    monkeypatch.setattr(graph, "_MERMAID_EDGES", 1)
    found = call(project, "graph", "--svg", str(project / "x.svg"))
    assert found.exit_code == 2
    assert "3 stages with 2 edges would take minutes" in found.output
    found = call(project, "graph", "--mermaid")
    assert found.exit_code == 0
    assert "at most 1 edges" in found.stderr
    assert found.stdout.startswith("flowchart TD")
    part = call(project, "graph", "--mermaid", "--stage", "last", "--upstream", "1")
    assert part.stderr == ""


def test_an_unknown_stage_and_a_folder_that_is_none(project: Path) -> None:
    found = call(project, "graph", "--stage", "doubld")
    assert "did you mean 'doubled'" in found.output
    found = call(project, "graph", "--svg", str(project / "none" / "x.svg"))
    assert "can't be written" in found.output


def test_a_graph_is_drawn_where_nothing_can_be_planned(project: Path) -> None:
    assert call(project, "run").exit_code == 0
    [module] = project.glob("shop_*.py")
    module.write_text(WORKFLOW.format(more=".drop('n')"))
    sys.modules.pop(module.stem)
    found = json.loads(call(project, "graph", "--json").stdout)["graph"]
    assert "isn't known" in found["note"]
    assert found["nodes"][0]["state"] == "unknown"
