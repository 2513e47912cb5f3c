"""`tidemill costs`: tables, documents and CSV."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.support.commands import edit, tidemill
from tidemill.cli.costs import _csv_rows, _text
from tidemill.costs.cost_line import CostLine, LineKind
from tidemill.costs.day_range import DayRange
from tidemill.costs.estimate_errors import EstimateErrors
from tidemill.costs.quantities import Quantities
from tidemill.costs.report import CostReport, CostRow, DatedLine, GroupBy
from tidemill.ledger.price import HOUR_S, MONTH_S, Price


def test_nothing_ran(fresh: Path) -> None:
    assert tidemill("costs").out.startswith("nothing has run in prod since 20")
    assert tidemill("costs", "--all").out.startswith("nothing has run in any environment since")
    assert tidemill("costs", "--since", "soon").code == 2


@pytest.mark.parametrize("command", ["costs", "runbook"])
def test_an_environment_that_never_was(built: Path, command: str) -> None:
    ended = tidemill(command, "--env", "nope")
    assert (ended.code, ended.out) == (2, "")
    assert "there is no environment 'nope'" in ended.err


def test_what_a_dropped_environment_did_cost(built: Path) -> None:
    assert tidemill("run", "labels", "--env", "trial", "--create").code == 0
    assert tidemill("env", "drop", "trial").code == 0
    ended = tidemill("costs", "--env", "trial")
    # All of it was reused; importing and planning took time.
    assert (ended.code, "(runs without steps)" in ended.out) == (0, True)


def test_each_stage(built: Path) -> None:
    found = tidemill("costs")
    assert "no price is set, so only quantities are known" in found.out
    assert "share" not in found.out
    settings = built / "pyproject.toml"
    before = settings.read_text()
    edit(settings, "[tool.tidemill]\n", "[tool.tidemill]\ncpu_hour = 3600\ncurrency = 'EUR'\n")
    try:
        found = tidemill("costs", "--json", "--csv", "costs.csv")
        document = found.document
        assert (document["schema"], document["is_priced"]) == ("tidemill.costs/1", True)
        total = document["total"]["amounts"]["EUR"]
        assert sum(row["line"]["amounts"]["EUR"] for row in document["rows"]) == pytest.approx(
            total
        )
        assert "100.0%" in found.err
        with (built / "costs.csv").open() as file:
            rows = [*csv.DictReader(file)]
        assert sum(float(row["BilledCost"]) for row in rows) == pytest.approx(total)
        assert {row["BillingCurrency"] for row in rows} == {"EUR"}
        models = tidemill("costs", "--by", "model", "--json").document["rows"]
        spent = {row["key"]: row["line"]["amounts"]["EUR"] for row in models}
        assert {*spent} == {"demand", "(no model)"}
        # What took longest is first.
        assert [*spent.values()] == sorted(spent.values(), reverse=True)
        bad = tidemill("costs", "--csv", "none/costs.csv")
        assert (bad.code, "--csv none/costs.csv can't be written" in bad.err) == (2, True)
    finally:
        settings.write_text(before)
        (built / "costs.csv").unlink(missing_ok=True)


def mixed() -> CostLine:
    line = CostLine(events=2)
    used = Quantities(
        cpu_s=1.0,
        memory_gb_s=2 * HOUR_S,
        gpu_s=5.0,
        storage_gb_s=MONTH_S,
        egress_gb=0.5,
        units={"calls": 3.0},
    )
    line.charge(used, Price(cpu_hour=3600.0, currency="EUR"), has_failed=True)
    line.charge(Quantities(cpu_s=1.0), Price(cpu_hour=7200.0, currency="USD"), is_shared=True)
    return line


def test_currencies_stand_side_by_side() -> None:
    report = CostReport(
        by=GroupBy.STAGE,
        days=DayRange(first="2026-01-01", last="2026-01-31"),
        zone="UTC",
        now=0.0,
        environments=("prod",),
        rows=(CostRow(key="sales", line=mixed()), CostRow(key="other", line=CostLine())),
        total=mixed(),
        is_priced=True,
        unpriced=("calls",),
        estimates=EstimateErrors(runs=20, median_error=0.12, bias=-0.05),
    )
    text = _text(report)
    for part in (
        "1.00 EUR + 2.00 USD",
        "2.0 GB h",
        "1 GB months",
        "500 MB",
        "3 calls",
        "amounts of one are never added to those of another",
        "no price is set for calls: they cost nothing",
        "of the last 20 runs half were estimated within 12% of their costs; the estimate in the middle "
        "was 5% too low",
    ):
        assert part in text


def test_quantities_are_in_one_row_of_a_line() -> None:
    one = DatedLine("prod", "2026-12-31", LineKind.STAGE, "sales", mixed())
    first, second = _csv_rows(one)
    assert first[:9] == ["2026-12-31", "2027-01-01", "prod", "stage", "sales", 1.0, "EUR", 0.0, 1.0]
    assert first[9:] == [2.0, 2 * HOUR_S, 5.0, MONTH_S, 0.5, 0.0, '{"calls": 3.0}']
    assert second[5:] == [2.0, "USD", 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, ""]
