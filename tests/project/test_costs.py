"""The service of costs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.tides import Tides
from tidemill.core.work_began import begin_work
from tidemill.costs.estimate_errors import EstimateErrors
from tidemill.costs.ledger_costs import EstimatedRun, LedgerCosts
from tidemill.costs.report import GroupBy
from tidemill.ledger.cost_events import PricesSet
from tidemill.ledger.io.process_usage import cpu_with_children
from tidemill.project.costs import errors_in


@pytest.fixture
def priced(tmp_path: Path) -> Tides:
    tides = Tides(tmp_path)
    tides.send(0)
    return tides


def test_what_runs_cost_is_what_is_reported(priced: Tides) -> None:
    project = priced.open()
    object.__setattr__(project.settings, "cpu_hour", 3600.0)
    object.__setattr__(project.settings, "memory_gb_hour", 3600.0)
    first, second = project.run(), project.run()
    report = project.costs.report()
    assert report.is_priced
    assert report.total.amounts["USD"] == pytest.approx(first.cost + second.cost)
    for by in GroupBy:
        again = project.costs.report(by, everywhere=True)
        assert again.total == report.total
        assert sum(row.line.amounts["USD"] for row in again.rows) == pytest.approx(
            first.cost + second.cost
        )
    lines = project.costs.lines()
    assert sum(each.line.amounts["USD"] for each in lines) == pytest.approx(
        report.total.amounts["USD"]
    )
    events = project.workspace.tools.ledger.events(kinds=("PricesSet",))
    books = [fact.event.book for fact in events if isinstance(fact.event, PricesSet)]
    assert books == [project.settings.price_book]


def test_without_prices_quantities_are_known(priced: Tides) -> None:
    project = priced.open()
    assert project.costs.report().rows == ()
    project.run()
    report = project.costs.report("environment", everywhere=True)
    assert (report.is_priced, report.environments) == (False, ("prod",))
    (row,) = report.rows
    assert (row.key, row.share) == ("prod", None)
    assert row.line.used.cpu_s > 0
    assert sum(row.line.amounts.values()) == 0


def test_a_run_costs_what_its_command_used_since_it_began(priced: Tides) -> None:
    project = priced.open()
    begin_work(cpu_with_children() - 1_000.0)
    first = project.run()
    second = project.run()
    begin_work(cpu_with_children() - 1_000.0)
    idle = project.run()
    assert [each.cpu_s > 1_000.0 for each in (first, second, idle)] == [True, False, True]
    used = first.cpu_s + second.cpu_s + idle.cpu_s
    assert project.costs.report().total.used.cpu_s == pytest.approx(used)


def test_the_last_runs_of_all_environments_are_judged_together() -> None:
    dev = [EstimatedRun(at=float(2 * number), estimate=2.0, cost=1.0) for number in range(20)]
    prod = [EstimatedRun(at=float(2 * number + 1), estimate=1.0, cost=1.0) for number in range(20)]
    costs = LedgerCosts(zone="UTC", estimates={"prod": prod, "dev": dev})
    assert errors_in(costs, "dev") == EstimateErrors(runs=20, median_error=1.0, bias=1.0)
    assert errors_in(costs, None) == EstimateErrors(runs=20, median_error=0.5, bias=0.5)
