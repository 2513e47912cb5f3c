"""The workflow page shows each stage with its state, why, its figures, and where to look."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.commands import process
from tidemill.console.drawn_graphs import workflow_svg
from tidemill.console.io.drawn_pages import page_url
from tidemill.console.views.workflow import show_stage_log, show_workflow
from tidemill.core.errors import UsageError
from tidemill.core.json_values import to_json_values
from tidemill.operations.stage_states import StageState
from tidemill.project.project import open_project


def test_stages_have_states_and_figures(built: Path) -> None:
    with open_project(built) as project:
        found = show_workflow(project)
    stages = {stage.name: stage for stage in found.stages}
    assert [*stages] == [*found.names]
    sales = stages["sales"]
    assert sales.state is StageState.CURRENT
    assert sales.error_rate == 0.0
    assert sales.p95_s is not None
    assert sales.last_run
    assert (sales.failed_run, found.left_out, found.note) == ("", 0, "")
    assert ("sales", "features") in found.edges


def test_only_the_surroundings_of_a_stage(built: Path) -> None:
    with open_project(built) as project:
        found = show_workflow(project, around="sales", upstream=0, downstream=0)
        assert [stage.name for stage in found.stages] == ["sales"]
        assert found.left_out == len(found.names) - 1
        with pytest.raises(UsageError, match="did you mean 'sales'"):
            show_workflow(project, around="sale")


def test_stages_are_sorted_and_those_without_a_figure_come_last(built: Path) -> None:
    with open_project(built) as project:
        names = [stage.name for stage in show_workflow(project, sort="name").stages]
        assert names == sorted(names)
        times = [stage.p95_s for stage in show_workflow(project, sort="-p95").stages]
        known = [time for time in times if time is not None]
        assert known == sorted(known, reverse=True)
        assert times[: len(known)] == known
        with pytest.raises(UsageError, match="can't be sorted by 'colour'"):
            show_workflow(project, sort="colour")


def test_nothing_ran_yet(fresh: Path) -> None:
    with open_project(fresh) as project:
        found = show_workflow(project)
    assert {stage.state for stage in found.stages} == {StageState.NEVER}
    assert {stage.p95_s for stage in found.stages} == {None}
    with open_project(fresh) as project, pytest.raises(UsageError, match="no run in prod worked"):
        show_stage_log(project, "sales")


def test_the_graph_shows_although_nothing_can_be_planned(built: Path) -> None:
    (built / "tidemill.rules.toml").write_text("[[rule]]\n", encoding="utf-8")
    with open_project(built) as project:
        found = show_workflow(project)
    assert found.note.startswith("what is due isn't known: ")
    assert {stage.state for stage in found.stages} == {StageState.UNKNOWN}
    assert ("sales", "features") in found.edges


def test_a_failure_is_one_click_away(fresh: Path) -> None:
    (fresh / "data" / "sales" / "2024-01-05.csv").write_text("day,shop\nx,y\n", encoding="utf-8")
    process("run", cwd=fresh)
    with open_project(fresh) as project:
        stages = {stage.name: stage for stage in show_workflow(project).stages}
        failed = [stage for stage in stages.values() if stage.state is StageState.FAILED]
        assert failed
        assert failed[0].failed_run == failed[0].last_run
        assert show_stage_log(project, failed[0].name).run == failed[0].failed_run


def test_another_environment_shows_its_own_states(built: Path) -> None:
    with open_project(built, env="trial") as project:
        found = show_workflow(project)
    assert found.environment == "trial"
    # It begins as a branch of production.
    assert {stage.state for stage in found.stages} == {StageState.CURRENT}
    assert all(stage.age is not None for stage in found.stages if stage.partitions)


def test_nodes_are_links(built: Path) -> None:
    with open_project(built) as project:
        document = to_json_values(show_workflow(project))
    url = page_url("trial")
    svg = workflow_svg(
        document, lambda name: url("stages", name), lambda name: url("workflow", group=name)
    )
    assert 'href="/stages/sales?env=trial"' in svg
    assert "up to date" in svg


def test_many_stages_are_groups_that_are_expanded() -> None:
    pairs = [(f"raw_{n}", f"mart_{n}") for n in range(100)]
    names = [name for pair in pairs for name in pair]
    stage = {"kind": "transform", "state": "up to date", "detail": "", "age": None, "p95_s": None}
    document = {
        "workflow": "w",
        "environment": "prod",
        "group": "",
        "names": names,
        "stages": [{"name": name, **stage} for name in reversed(names)],
        "edges": pairs,
    }
    url = page_url("prod")

    def draw() -> str:
        return workflow_svg(
            document, lambda name: url("stages", name), lambda name: url("workflow", group=name)
        )

    folded = draw()
    links = re.findall(r'href="/workflow\?group=([^"]+)"', folded)
    assert links == ["raw", "mart"]
    document["group"] = "raw"
    assert 'href="/stages/raw_7"' in draw()
    assert draw().count("<a ") > folded.count("<a ")
