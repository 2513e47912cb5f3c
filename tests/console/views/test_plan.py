"""The plan page says what would run and why, and starts it as whoever asks for it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.support.commands import edit, process
from tests.support.console import Visitor
from tests.support.tables import bodies
from tests.support.users import USER
from tidemill.console.views.plan import PlanRequest, show_plan, show_reasons, start_planned_run
from tidemill.core.errors import AccessError, ConflictError, UsageError
from tidemill.ledger.io.lease_holder import this_process
from tidemill.ledger.run import Status
from tidemill.project.project import Project, open_project
from tidemill.runs.io.lease import take_lease

ROLES = """
[tool.tidemill.roles]
adam = "admin"
otto = "operator"
vera = "viewer"
"""
# Who runs the tests is added as an admin where a token has to be made.
ADMIN = f'{USER} = "admin"\n'


def wait_for(project: Project, run: str) -> Status:
    """How a run ends that goes on in another process."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found = project.history.run(run).status
        if found is not Status.RUNNING:
            return found
        time.sleep(0.05)
    raise AssertionError("the run goes on")


def test_steps_are_grouped_by_reason(fresh: Path) -> None:
    with open_project(fresh) as project:
        found = show_plan(project, PlanRequest())
    [sales] = [group for group in found.plan.groups if group.stage == "sales"]
    assert sales.steps == 28
    assert sales.partitions == "2026-01-05 .. 2026-02-01 (28)"
    assert found.plan.total == len(found.plan.groups) < 20
    assert found.plan.figures.steps > 100
    assert found.plan.figures.wall_s is None
    assert found.plan.figures.left_out == "no history to estimate from"
    assert (found.command, found.held_by) == ("tidemill run", "")
    assert found.models == ("demand",)


def test_a_range_of_one_stage_and_its_command(built: Path) -> None:
    with open_project(built, env="trial") as project:
        found = show_plan(
            project,
            PlanRequest(
                stage="features", since="2026-01-10", until="2026-01-12", limit=2, again=True
            ),
        )
        assert found.command == (
            "tidemill run --from=2026-01-10 --to=2026-01-12 --limit=2 --env=trial --again features"
        )
        steps = {group.stage: group.steps for group in found.plan.groups}
        assert steps["features"] == 2
        with pytest.raises(UsageError, match="leaves nothing to do"):
            show_plan(project, PlanRequest(since="2026-02", until="2026-01"))


def test_nothing_would_run(built: Path) -> None:
    with open_project(built) as project:
        found = show_plan(project, PlanRequest())
    assert (found.plan.groups, found.plan.figures.steps) == ((), 0)
    with Visitor(built) as visitor:
        assert '<button class="quiet">Run it</button>' in visitor.page("/plan").text


def test_steps_that_no_budget_has_room_for(built: Path) -> None:
    edit(built / "pyproject.toml", 'monthly = "40 CPU-hours"', 'monthly = "0.0001 CPU-hours"')
    with Visitor(built) as visitor:
        page = visitor.page("/plan?stage=features&partition=2026-01-10&again=true")
    assert " 1 step, reads" in page.words
    assert "known. 1 of them doesn't fit the budget, and would be left out." in page.words
    assert '<button class="quiet">Run it</button>' in page.text


def test_why_a_stage_stays(built: Path) -> None:
    with open_project(built) as project:
        stays = show_reasons(project, "features")
    assert stays.own == ("features 2026-01-05 .. 2026-02-01 (28) are up to date",)
    with open_project(built) as project:
        model = show_reasons(project, "demand")
    assert model.model.startswith("demand: up to date")


def test_a_run_is_started_as_a_process_of_its_own(built: Path) -> None:
    with open_project(built) as project:
        found = start_planned_run(project, PlanRequest(stage="features", again=True))
        assert found.command == "tidemill run --again features"
        assert found.run
        assert wait_for(project, found.run) is Status.OK
        info = project.history.run(found.run)
    assert info.command == found.command
    assert info.holder["pid"] != str(os.getpid())


def test_a_run_that_holds_the_environment_is_told_at_once(built: Path) -> None:
    with open_project(built) as project:
        lease = take_lease(project.tools, "prod", this_process("tidemill run"), 0.0)
        try:
            with pytest.raises(ConflictError, match="another run is active in prod"):
                start_planned_run(project, PlanRequest())
        finally:
            lease.close()


def test_a_partition_may_look_like_an_option_wherever_the_workflow_is_named(built: Path) -> None:
    settings = built / "pyproject.toml"
    named = 'workflow = "bakery:flow"\n'
    text = settings.read_text(encoding="utf-8")
    assert named in text
    settings.write_text(text.replace(named, ""), encoding="utf-8")
    with open_project(built, workflow="bakery:flow") as project:
        day = PlanRequest(stage="features", partition="2026-01-10", again=True)
        found = start_planned_run(project, day)
        assert wait_for(project, found.run) is Status.OK
        assert found.command == "tidemill -w bakery:flow run --again features 2026-01-10"
        with pytest.raises(UsageError, match=r"-- features -x`: error: features has no .*'-x'"):
            start_planned_run(project, PlanRequest(stage="features", partition="-x", again=True))


def test_what_the_command_refuses_is_told(built: Path) -> None:
    with (
        open_project(built) as project,
        pytest.raises(UsageError, match="without prices"),
    ):
        start_planned_run(project, PlanRequest(), off_peak=True)


def test_a_token_acts_in_the_process_and_shows_nowhere(built: Path) -> None:
    (built / "pyproject.toml").write_text(
        (built / "pyproject.toml").read_text(encoding="utf-8") + ROLES + ADMIN, encoding="utf-8"
    )
    tokens = {}
    for name, scope in (("otto", "run"), ("vera", "read")):
        made = process("tokens", "create", name, "--scope", scope, cwd=built)
        tokens[name] = made.stdout.strip().splitlines()[-1]
    with Visitor(built, token=tokens["vera"]) as vera:
        page = vera.page("/plan?stage=features&again=true")
        assert "Run it vera may not run in the workflow" in page.words
        assert "has only the scope read (needs run)" in page.words
        assert "steps, reads at least" in page.words
        graph = vera.page("/workflow").words
        assert "unknown" not in graph
        assert "isn't known" not in graph
        refused = vera.send(page, "/plan/run", {})
        assert refused.status == 403
    with Visitor(built, token=tokens["otto"]) as otto:
        page = otto.page("/plan?stage=features&again=true")
        assert "Run it" in page.words
        done = otto.send(page, "/plan/run", {"stage": "features", "again": "true"})
        assert done.status == 200
        assert "Started `tidemill run --again features`" in done.text or "Started" in done.words
    with open_project(built) as project:
        run = project.history.run("last")
        assert wait_for(project, run.id) is Status.OK
        assert run.actor == "otto"
    kept = b"".join(p.read_bytes() for p in (built / ".tidemill").rglob("*") if p.is_file())
    assert tokens["otto"].encode() not in kept
    assert tokens["otto"] not in "".join(bodies(built / ".tidemill" / "ledger.db"))


def test_who_may_not_run_is_told(built: Path) -> None:
    (built / "pyproject.toml").write_text(
        (built / "pyproject.toml").read_text(encoding="utf-8") + ROLES, encoding="utf-8"
    )
    with open_project(built) as project, pytest.raises(AccessError, match="may not run"):
        start_planned_run(project, PlanRequest())


def test_hostile_requests_are_escaped(built: Path) -> None:
    with Visitor(built) as visitor:
        page = visitor.page("/plan?stage=%3Cscript%3Ealert(1)%3C/script%3E", 404)
        assert "<script>alert" not in page.text
        assert visitor.page("/plan?stage=features&limit=&again=").status == 200
