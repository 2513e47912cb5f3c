"""Without a budget of its own, a contract doesn't publish a partition most of whose rows are bad."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner
from deltalake import write_deltalake

from tests.support.tides import CHAIN, LENIENT, STAGES, Tides, day, rows_of
from tidemill.cli import cli
from tidemill.contracts import spec
from tidemill.core.partition import UNPLACED
from tidemill.ledger.run import Receipt
from tidemill.planning import completion

PULL = 'tm.pull(lambda state: (pl.read_parquet("{root}/rows.parquet"), None))'
BAD = 5000.0  # above max=1000


@pytest.fixture
def tides(tmp_path: Path) -> Tides:
    return Tides(tmp_path)


def rules_of(receipt: Receipt) -> list[list[tuple[str, int, str]]]:
    return [
        [(item.rule, item.rows, item.sample) for item in failure.findings]
        for failure in receipt.failures
    ]


def unplaced(count: int, good: int = 0) -> pl.DataFrame:
    """Rows without a day, and some of the first day."""
    lost = rows_of(0, (1.0,) * count).with_columns(day=pl.lit(None, pl.Date), id=pl.col("id") + 100)
    return pl.concat([rows_of(0, (1.0,) * good), lost])


def test_mostly_bad_rows_fail_with_the_rules_that_they_break(tides: Tides) -> None:
    tides.send(0, (BAD, 1.0, 2.0))
    tides.send(1, (BAD, BAD + 1, 2.0, None))
    tides.send(2, (BAD, BAD + 1, BAD + 2, 2.0))
    receipt = tides.run()
    assert (receipt.exit_code, receipt.status) == (3, "failed")
    assert tides.published() == {stage: [day(0), day(1)] for stage in STAGES}
    (failure,) = receipt.failures
    assert "3 of 4 rows are bad (75.0%), more than half" in failure.why
    assert "tm.Budget(max_bad=...)" in failure.advice
    assert rules_of(receipt) == [[("value.max", 3, "5000.0, 5001.0, 5002.0")]]


def test_what_was_published_stays(tides: Tides) -> None:
    tides.send(0)
    tides.ok()
    tides.send(0, (BAD,))
    assert tides.run().exit_code == 3
    assert tides.read("raw", day(0)).height == 3


def test_a_budget_allows_it_and_show_says_that_no_row_is_good(tides: Tides) -> None:
    tides.text = LENIENT
    (tides.root / "tides.py").write_text(LENIENT)
    tides.send(0, (BAD, BAD))
    tides.ok("raw")
    for asked in (["raw"], ["raw", day(0)]):
        shown = CliRunner().invoke(cli, ["-C", str(tides.root), "-w", "tides:flow", "show", *asked])
        assert "no good rows: all 2 rows are quarantined; see `tidemill quarantine show raw`" in (
            shown.output
        )
    tides.send(1)
    tides.ok("raw")
    with tides.open() as project:
        assert project.data.show("raw").bindings.keys() == {day(0), day(1)}


def test_old_results_are_judged_again_where_most_rows_are_bad(
    tides: Tides, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(spec, "DEFAULT_MAX_BAD", 1.0)
        # Signatures of complete stages had another tag.
        before.setattr(completion, "mark_signature", lambda *facts: "earlier")
        tides.send(0, (BAD, BAD, 1.0))
        tides.send(1, (BAD, 1.0, 2.0))
        tides.put("lost.parquet", unplaced(3))
        tides.ok()
    with tides.open() as project:
        plan = project.plan()
        assert [(step.id, step.reasons) for step in plan.steps if step.stage == "raw"] == [
            (f"run raw[{day(0)}]", ("more of its rows are bad than its contract allows",)),
        ]
    receipt = tides.run()
    assert tides.ran(receipt)["failed run raw"] == [day(0)]
    assert receipt.exit_code == 3


class TestWithoutPartition:
    @pytest.mark.parametrize(("bad", "good", "fails"), [(1, 0, True), (2, 2, False), (3, 2, True)])
    def test_most_rows_of_a_file_fail(self, tides: Tides, bad: int, good: int, fails: bool) -> None:
        tides.send(1, (1.0,) * 50)
        tides.put("lost.parquet", unplaced(bad, good))
        receipt = tides.run()
        assert (receipt.exit_code == 3) is fails
        if fails:
            assert f"{bad} of {bad + good} rows of data/lost.parquet have no partition" in (
                receipt.failures[0].why
            )
            assert [found[:2] for found in rules_of(receipt)[0]] == [("day.null", bad)]
        else:
            assert tides.quarantined("raw", UNPLACED).height == bad

    @pytest.mark.parametrize(("bad", "fails"), [(2, False), (3, True)])
    def test_most_rows_of_a_table_fail(self, tmp_path: Path, bad: int, fails: bool) -> None:
        text = CHAIN.replace(
            'tm.files("data/*.parquet")', 'tm.sql("SELECT day, id, value FROM raw", "sqlite:///db")'
        )
        tides = Tides(tmp_path, text)
        with sqlite3.connect(tmp_path / "db") as connection:
            connection.execute("CREATE TABLE raw (day TEXT, id INTEGER, value REAL)")
            days = [day(0)] * 2 + ["?"] * bad
            connection.executemany(
                "INSERT INTO raw VALUES (?, ?, 1.0)", [(key, n) for n, key in enumerate(days)]
            )
        connection.close()
        receipt = tides.run()
        assert (receipt.exit_code == 3) is fails
        if fails:
            assert "3 of 5 rows have no partition (60.0%)" in receipt.failures[0].why

    @pytest.mark.parametrize(
        ("bad", "good", "fails"), [(1, 99, False), (2, 2, False), (3, 2, True)]
    )
    @pytest.mark.parametrize("source", [PULL, 'tm.delta("lake")'], ids=["pull", "delta"])
    def test_most_rows_of_a_table_that_isnt_read_by_partition_fail(
        self, tmp_path: Path, source: str, bad: int, good: int, fails: bool
    ) -> None:
        tides = Tides(
            tmp_path, CHAIN.replace('tm.files("data/*.parquet")', source.format(root=tmp_path))
        )
        rows = unplaced(bad, good)
        write_deltalake(tmp_path / "lake", rows)
        rows.write_parquet(tmp_path / "rows.parquet")
        receipt = tides.run()
        assert (receipt.exit_code == 3) is fails
        if fails:
            assert f"{bad} of {bad + good} rows have no partition" in receipt.failures[0].why
        else:
            assert tides.quarantined("raw", UNPLACED).height == bad
            assert tides.read("raw", day(0)).height == good
