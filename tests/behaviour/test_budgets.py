"""Budgets hold in real runs: steps that take longer than anybody expects are stopped, and go on later."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tidemill.core.errors import BudgetError, DeclarationError, UsageError
from tidemill.ledger.event import Attempted
from tidemill.ledger.run import Outcome, Receipt
from tidemill.project.budgets import run_budget, statuses_of
from tidemill.project.project import Project, open_project
from tidemill.project.status import read_status
from tidemill.runs.io.run_budget import RunBudget

SHOP = """
import time

import polars as pl
import tidemill as tm


class Rows(tm.Contract, version="1.0.0", key=("id",)):
    id = tm.Int64()
    day = tm.Date(partition="1d")
    seconds = tm.Float64()


flow = tm.Workflow("shop")


@flow.ingest
def rows() -> tm.Source[Rows]:
    return tm.files("rows.csv")


@flow.transform(version="1")
def burned(rows: tm.Frame[Rows]) -> tm.Frame[Rows]:
    def spin(seconds):
        end = time.process_time() + seconds
        while time.process_time() < end:
            pass
        return seconds
    return rows.with_columns(pl.col("seconds").map_elements(spin, return_dtype=pl.Float64))
"""
SETTINGS = """
[tool.tidemill]
workflow = "{module}:flow"
workers = 2
cpu_hour = 3600
currency = "EUR"

[tool.tidemill.profiles.small]
cpus = 1
budget = {budget}
lifetime = "2d"
"""

Shop = Callable[..., Path]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    def make(*seconds: float, budget: object = 1_000, more: str = "") -> Path:
        # Modules of the same name in other folders are other ones.
        module = f"shop_{abs(hash(str(tmp_path)))}"
        rows = [f"{n},2026-03-{n:02},{long}" for n, long in enumerate(seconds, 1)]
        (tmp_path / "rows.csv").write_text("\n".join(["id,day,seconds", *rows, ""]))
        (tmp_path / f"{module}.py").write_text(SHOP)
        text = SETTINGS.format(module=module, budget=budget) + more
        (tmp_path / "pyproject.toml").write_text(text)
        return tmp_path

    return make


def opened(folder: Path, env: str = "dev", profile: str | None = "small") -> Project:
    return open_project(folder, env=env, profile=profile)


def run(folder: Path, env: str = "dev", profile: str | None = "small") -> Receipt:
    with opened(folder, env, profile) as project:
        return project.run(raise_on_failure=False)


def spent(folder: Path, env: str = "dev") -> float:
    with opened(folder, env, None) as project:
        state = project.tools.ledger.state(env)
        return max(each.spent for each in statuses_of(project.workspace, state))


def days(folder: Path, env: str = "dev") -> set[str]:
    with opened(folder, env, None) as project:
        return {*project.workspace.bindings("burned")} if burned_exists(project) else set()


def burned_exists(project: Project) -> bool:
    return "burned" in project.tools.ledger.state(project.environment).heads


def test_an_experiment_stops_before_its_budget_is_exceeded(shop: Shop) -> None:
    folder = shop(0.1, 60.0, 0.1, budget=6)
    receipt = run(folder)
    assert receipt.exit_code == BudgetError.exit_code
    assert not receipt.has_failed
    assert spent(folder) <= 6.0
    said = "\n".join(receipt.messages)
    assert "stopped by the budget of dev: 0 EUR of 6 EUR spent (0%) before this run" in said
    assert "left: burned" in said
    assert "raise profiles.small.budget in [tool.tidemill], and run again" in said
    with opened(folder) as project:
        attempts = [
            fact.event.attempt
            for fact in project.tools.ledger.events(kinds=("Attempted",))
            if isinstance(fact.event, Attempted)
        ]
        stopped = [each for each in attempts if each.outcome is Outcome.STOPPED]
        assert [each.fate for each in stopped] == ["budget"]
        # What it used counts.
        assert stopped[0].cpu_s > 0
        # It expires, as its profile says.
        state = project.tools.ledger.state("dev")
        assert state.environments["dev"].expires is not None
    before = spent(folder)
    shop(0.1, 60.0, 0.1, budget=before)
    with opened(folder) as project, pytest.raises(BudgetError, match="nothing can begin"):
        project.run()
    # A run that can't begin costs nothing.
    assert spent(folder) == before
    # The source is corrected and the budget is raised: only what is left is done.
    folder = shop(0.1, 0.1, 0.1, budget=100)
    done = days(folder)
    receipt = run(folder)
    assert receipt.exit_code == 0, receipt.messages
    burned = next(each for each in receipt.stages if each.stage == "burned")
    assert days(folder) == {"2026-03-01", "2026-03-02", "2026-03-03"}
    assert burned.ran + burned.current == 3
    assert burned.current == len(done - {"2026-03-02"})
    shutil.rmtree(folder / ".tidemill")


def test_budgets_change_no_result(shop: Shop) -> None:
    folder = shop(0.0, 0.0)
    with opened(folder, "prod", None) as project:
        project.run(inline=True)
        recipes = {name: each.digest for name, each in project.recipes.items()}
    shop(0.0, 0.0, budget=77, more="[tool.tidemill.budget]\nmonthly = 900\n")
    for profile in ("small", "large", None):
        with opened(folder, "prod", profile) as project:
            assert {name: each.digest for name, each in project.recipes.items()} == recipes
            assert project.plan().empty


@pytest.mark.parametrize("profile", ["experiment", "quick"])
def test_production_never_uses_a_profile_that_changes_results(shop: Shop, profile: str) -> None:
    folder = shop(0.0, more="[tool.tidemill.profiles.quick]\nsample = 0.5\n")
    with pytest.raises(UsageError, match="which changes what is computed"):
        opened(folder, "prod", profile)


def test_a_budget_of_money_needs_a_price(shop: Shop) -> None:
    folder = shop(0.0, more="[tool.tidemill.budget]\nmonthly = 0\n")
    text = (folder / "pyproject.toml").read_text()
    (folder / "pyproject.toml").write_text(text.replace("cpu_hour = 3600", "cpu_hour = 0"))
    with opened(folder) as project:
        for act in (project.check, project.plan, project.run):
            with pytest.raises(DeclarationError, match="limits nothing without a price") as error:
                act()
            # The budget of the workflow, and that of the profile.
            assert len(error.value.faults) == 2


def test_what_is_urgent_goes_on_when_nothing_is_left(shop: Shop) -> None:
    folder = shop(0.0, 0.0, 0.0, 0.0, more="[tool.tidemill.budget]\nmonthly = 0\n")
    with opened(folder, "prod", None) as project:
        plan = project.plan()
        assert [{*each.misfits} for each in plan.budgets] == [
            {f"run {stage}[2026-03-0{day}]" for stage in ("rows", "burned") for day in (1, 2)}
        ]
        receipt = project.run(inline=True, raise_on_failure=False)
    assert receipt.exit_code == BudgetError.exit_code
    # Old days wait; new ones are there.
    assert days(folder, "prod") == {"2026-03-03", "2026-03-04"}
    shop(0.0, 0.0, 0.0, 0.0, more='[tool.tidemill.budget]\nmonthly = "9 CPU-hours"\n')
    assert run(folder, "prod", None).exit_code == 0
    assert len(days(folder, "prod")) == 4


def test_a_month_begins_again(shop: Shop) -> None:
    more = "[tool.tidemill.budget]\nenvironments.dev.monthly = 0\n"
    folder = shop(0.0, more=more)
    with opened(folder) as project, pytest.raises(BudgetError, match="or wait for the next month"):
        project.run()
    with opened(folder) as project:
        state = project.tools.ledger.state("dev")
        assert [each.budget.setting for each in statuses_of(project.workspace, state)] == [
            "budget.environments.dev.monthly",
            "profiles.small.budget",
        ]


def test_a_new_branch_begins_with_nothing_spent(shop: Shop) -> None:
    folder = shop(0.0, budget=50)
    with opened(folder) as project:
        project.run(inline=True)
        assert spent(folder) > 0
        project.environments.drop(["dev"])
        state = project.workspace.preview_state()
        assert [each.spent for each in statuses_of(project.workspace, state)] == [0.0]
    assert replace(run(folder), messages=()).exit_code == 0


EMPTY = '[tool.tidemill.budget]\nmonthly = "0 CPU-hours"\n'


def test_what_computes_nothing_needs_no_budget(shop: Shop) -> None:
    folder = shop(0.0, 0.0)
    assert run(folder).exit_code == 0
    shop(0.0, 0.0, more=EMPTY)
    # Nothing to do, in the environment and in production, where everything is published as it was computed.
    assert run(folder).exit_code == 0
    with opened(folder, "prod", None) as project:
        assert project.promote("dev").exit_code == 0
        assert project.run().exit_code == 0
    assert days(folder, "prod") == {"2026-03-01", "2026-03-02"}
    # Rows that the source lost are removed; what is left of its file is read later.
    shop(0.0, more=EMPTY)
    for env in ("dev", "prod"):
        with opened(folder, env, None) as project:
            removals = project.plan().removals
            assert removals is not None
            project.run(allow_removals=removals.id, inline=True, raise_on_failure=False)
        assert days(folder, env) == {"2026-03-01"}


def test_only_what_comes_near_to_its_budget_runs_in_worker_processes(shop: Shop) -> None:
    """Worker processes take seconds to start: no budget of others, and no large one, needs them."""

    def budget_of(more: str, env: str = "dev", profile: str | None = None) -> RunBudget | None:
        with opened(shop(0.0, more=more), env, profile) as project:
            space = project.workspace
            return run_budget(space, space.preview_state(), project.plan())

    table = "[tool.tidemill.budget]\n"
    other = f'{table}environments.prod.monthly = "9 CPU-hours"\n'
    assert budget_of(other) is None
    month = budget_of(f'{table}monthly = "40 CPU-hours"\n')
    assert month is not None
    own = budget_of(other, profile="small")
    assert own is not None
    with opened(shop(0.0), "dev", None) as project:
        (step, *_) = project.plan().steps
    assert (month.must_be_stoppable(step), own.must_be_stoppable(step)) == (False, True)
    near = budget_of(f'{table}monthly = "1 CPU-hours"\n')
    assert near is not None
    assert near.must_be_stoppable(step)


def test_units_that_steps_record_are_limited_and_foreseen(shop: Shop) -> None:
    more = "[tool.tidemill.budget]\nenvironments.dev.monthly = {}\n"

    folder = shop(*[0.0] * 4, more=more.format(25))
    settings, (code,) = folder / "pyproject.toml", folder.glob("shop_*.py")
    prices = 'prices = [{ currency = "EUR", units = { tokens = 1.0 } }]'
    text = settings.read_text().replace('cpu_hour = 3600\ncurrency = "EUR"', prices)
    settings.write_text(text)
    used = '    tm.record_usage("tokens", 10)\n    def spin'
    code.write_text(code.read_text().replace("    def spin", used))
    with opened(folder, "dev", None) as project:
        receipt = project.run(inline=True, raise_on_failure=False)
    assert receipt.exit_code == BudgetError.exit_code
    # Two of four; the first one told what others use.
    assert spent(folder) == 20.0
    with opened(folder, "dev", None) as project:
        plan = project.plan()
        assert [each.misfits for each in plan.budgets] == [
            ("run burned[2026-03-03]", "run burned[2026-03-04]")
        ]
        assert plan.cost == pytest.approx(20.0)
        assert plan.budgets[0].expected == pytest.approx(plan.cost)
        with pytest.raises(BudgetError, match="and 12 EUR have to be left; left to do: burned 2"):
            project.run(inline=True)
    assert spent(folder) == 20.0


def test_status_says_what_waits_before_the_last_cent_is_spent(shop: Shop) -> None:
    """A run that is stopped always leaves a little, with which nothing can begin."""
    table = '[tool.tidemill.budget]\nenvironments.prod.total = "{} CPU-seconds"\n'
    folder = shop(0.0, more=table.format(9))
    with opened(folder, "prod", None) as project:
        project.run(inline=True)
    assert not read_status(folder).waiting
    shop(0.0, more=table.format(spent(folder, "prod") * 3_600 + 0.4))
    (fact,) = read_status(folder).waiting
    assert fact.text.startswith(
        "deferrable work waits until budget.environments.prod.total is raised: budget of prod: "
    )
