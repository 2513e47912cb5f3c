"""Who may look at what would run, and what a look leaves alone."""

from __future__ import annotations

from pathlib import Path

from tests.support.people import open_as, write_settings
from tests.support.tides import CHAIN, Tides, day, rows_of
from tidemill.planning.plan import Plan

PULLED = CHAIN.replace(
    'return tm.files("data/*.parquet")',
    'return tm.pull(lambda state: (pl.read_parquet("{root}/rows.parquet"), None))',
)


def planned(plan: Plan) -> set[tuple[str, str]]:
    return {(step.stage, step.partition) for step in plan.steps}


def test_a_viewer_sees_what_would_run_and_calls_no_pull(tmp_path: Path) -> None:
    rows = tmp_path / "rows.parquet"
    write_settings(tmp_path)
    tides = Tides(tmp_path, PULLED.replace("{root}", str(tmp_path)))
    with open_as(tides, "vera") as project:
        assert planned(project.plan()) == set()
    rows_of(0).write_parquet(rows)
    with open_as(tides, "otto") as project:
        project.run()
    rows_of(1).write_parquet(rows)
    tides.text = tides.text.replace("value * 2", "value * 3")
    objects = {*tmp_path.rglob("objects/**/*")}
    with open_as(tides, "vera") as project:
        plan = project.plan()
        assert planned(plan) == {("doubled", day(0)), ("daily", day(0))}
        assert any("called for those who may run" in note for note in plan.notes)
        assert project.graph().note == ""
    assert {*tmp_path.rglob("objects/**/*")} == objects
    with open_as(tides, "otto") as project:
        plan = project.plan()
        assert ("raw", day(1)) in planned(plan)
        assert not any("called for" in note for note in plan.notes)
