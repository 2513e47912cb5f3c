"""What steps record that they use, wherever they run, is in their attempts, receipts and costs."""

from __future__ import annotations

from pathlib import Path

import pytest

import tidemill as tm
from tests.support.commands import forgotten_imports
from tidemill.ledger.run import Receipt

MODULE = """
import polars as pl
import tidemill as tm

flow = tm.Workflow("shop", owner="ops")


class Rows(tm.Contract):
    n = tm.Int64()


@tm.memo(gives=pl.Int64, version="1", batch=2)
def asked(n: list[int]) -> list[int]:
    tm.record_usage("calls.service", len(n))
    return n


@flow.ingest
def rows() -> tm.Source[Rows]:
    return tm.files("data/*.csv")


@flow.transform{options}
def answers(rows: tm.Frame[Rows]) -> tm.Frame[Rows]:
    tm.record_usage("tokens.gpt-x", 1200)
    {body}
    return rows.select(n=asked("n"))
"""
PRICES = """
[tool.tidemill]
workflow = "shop:flow"
[[tool.tidemill.prices]]
currency = "EUR"
units = {"tokens.gpt-x" = 1e-3, "calls.service" = 0.5}
"""


def run(folder: Path, options: str = "", body: str = "") -> Receipt:
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / "a.csv").write_text("n\n1\n2\n3\n")
    (folder / "pyproject.toml").write_text(PRICES)
    (folder / "shop.py").write_text(MODULE.replace("{options}", options).replace("{body}", body))
    with forgotten_imports(), tm.open(folder) as project:
        try:
            return project.run()
        except tm.RunFailed as error:
            return error.receipt
        finally:
            report = project.costs.report()
            line = next(row.line for row in report.rows if row.key == "answers")
            assert line.used.units["tokens.gpt-x"] > 0
            assert report.unpriced == ()


@pytest.mark.parametrize(
    "options",
    ["", '(resources=tm.resources(lane="process"))', '(resources=tm.resources(lane="thread"))'],
)
def test_each_attempt_has_what_it_used(tmp_path: Path, options: str) -> None:
    assert run(tmp_path, options).cost == pytest.approx(2.7)
    with forgotten_imports(), tm.open(tmp_path) as project:
        line = next(row.line for row in project.costs.report().rows if row.key == "answers")
        assert line.used.units == {"tokens.gpt-x": 1200.0, "calls.service": 3.0}
        assert line.amounts["EUR"] == pytest.approx(1.2 + 1.5)


def test_failed_attempts_used_something_too(tmp_path: Path) -> None:
    receipt = run(tmp_path, body='assert rows.collect().is_empty(), "it broke"')
    assert receipt.has_failed
    assert receipt.cost == pytest.approx(1.2)


def test_partitions_that_are_computed_together_are_charged_once(tmp_path: Path) -> None:
    days = "\n".join(f"{n},2026-03-{1 + n % 6:02}" for n in range(1, 30))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text(f"n,day\n{days}\n")
    (tmp_path / "pyproject.toml").write_text(PRICES)
    memo = MODULE[MODULE.index("@tm.memo") : MODULE.index("@flow.ingest")]
    day = '    day = tm.Date(partition="1d")\n'
    text = MODULE.replace(memo, "").replace("    n = tm.Int64()\n", f"    n = tm.Int64()\n{day}")
    text = text.replace("Rows(tm.Contract)", 'Rows(tm.Contract, key=("day", "n"))')
    text = text.replace("{options}", '(version="1")').replace("{body}", "")
    grouped = 'group_by("day").agg(n=pl.len().cast(pl.Int64))'
    (tmp_path / "shop.py").write_text(text.replace('select(n=asked("n"))', grouped))
    with forgotten_imports(), tm.open(tmp_path) as project:
        # One query computes all of them, for which the function is called once.
        assert project.run().cost == pytest.approx(1.2)
        line = next(row.line for row in project.costs.report().rows if row.key == "answers")
    assert line.used.units == pytest.approx({"tokens.gpt-x": 1200.0})
