"""Reuse at the grain of a column: what a query says and reads decides what runs, never its text."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.support.tides import CHAIN, Tides, day, flow_of, rebuilt, rows_of
from tidemill.core.errors import DeclarationError
from tidemill.ledger.event import Published
from tidemill.ledger.run import Action
from tidemill.project.project import open_project
from tidemill.reuse import probe
from tidemill.reuse.probe import Probe
from tidemill.workflow.stage import Stage

DAYS = [day(n) for n in range(3)]

# raw -> features -> totals (which reads one feature) and labels (which reads another).
TEXT = """
import polars as pl
import tidemill as tm


class Raw(tm.Contract, key=("day", "id")):
    day = tm.Date(partition="1d")
    id = tm.Int64(min=0)
    value = tm.Float64(nullable=True, on_fail="fail")
    note = tm.String(nullable=True)


class Features(tm.Contract, key=("day", "id")):
    day, id = Raw.day, Raw.id
    double = tm.Float64(nullable=True)
    high = tm.Bool(nullable=True)


class Totals(tm.Contract, key=("day",)):
    day = Raw.day
    total = tm.Float64()


class Labels(tm.Contract, key=("day", "id")):
    day, id = Raw.day, Raw.id
    label = tm.Bool(nullable=True)


flow = tm.Workflow("tides")


@flow.ingest
def raw() -> tm.Source[Raw]:
    return tm.files("data/*.parquet")


@flow.transform
def features(raw: tm.Frame[Raw]) -> tm.Frame[Features]:
    return raw.select("day", "id", double=pl.col("value") * 2, high=pl.col("value") > 2)


@flow.transform
def totals(features: tm.Frame[Features]) -> tm.Frame[Totals]:
    return features.group_by("day").agg(total=pl.col("double").sum())


@flow.transform
def labels(features: tm.Frame[Features]) -> tm.Frame[Labels]:
    return features.select("day", "id", label="high")
"""


def rows(number: int, note: str = "", values: tuple[float, ...] = (1.0, 2.0, 3.0)) -> pl.DataFrame:
    """One day with a note on every row."""
    return rows_of(number, values).with_columns(note=pl.lit(f"day {number}{note}"))


@pytest.fixture
def tides(tmp_path: Path) -> Tides:
    """Three days, built."""
    tides = Tides(tmp_path / "project", TEXT)
    for number in range(3):
        tides.put(f"{day(number)}.parquet", rows(number))
    assert tides.ok() == {
        f"ok run {stage}": DAYS for stage in ("raw", "features", "totals", "labels")
    }
    return tides


def test_a_column_that_nobody_reads_stops_after_the_ingest(tides: Tides) -> None:
    for number in range(3):
        tides.put(f"{day(number)}.parquet", rows(number, " again"))
    assert tides.ok() == {"ok run raw": DAYS}
    assert set(tides.read("raw")["note"]) == {f"day {n} again" for n in range(3)}
    assert tides.ok() == {}


def test_a_feature_runs_its_stage_and_what_reads_it(tides: Tides, tmp_path: Path) -> None:
    tides.edit('pl.col("value") > 2', 'pl.col("value") >= 2')
    plan = tides.open().plan()
    likely = [(step.stage, step.reasons) for step in plan.steps if not step.unlikely]
    assert likely == [
        (stage, reasons)
        for key in DAYS
        for stage, reasons in (
            ("features", ("the expression for `high` changed",)),
            ("labels", (f"upstream `features` will rerun ({key})",)),
        )
    ]
    assert [step.stage for step in plan.steps if step.unlikely] == ["totals"] * 3
    assert tides.ok() == {"ok run features": DAYS, "ok run labels": DAYS}
    assert tides.contents() == rebuilt(tides, tmp_path / "fresh")
    assert tides.ok() == {}


def test_what_was_unlikely_runs_when_it_has_to(tides: Tides, tmp_path: Path) -> None:
    # A null in `high` takes the row to quarantine, and `double` with it.
    tides.edit("high = tm.Bool(nullable=True)", "high = tm.Bool()")
    tides.ok()
    tides.edit(
        'high=pl.col("value") > 2', 'high=pl.when(pl.col("value") < 3).then(pl.col("value") > 2)'
    )
    assert [s.stage for s in tides.open().plan().steps if s.unlikely] == ["totals"] * 3
    ran = tides.ok()
    assert ran["ok run totals"] == DAYS
    assert tides.read("totals")["total"].to_list() == [6.0] * 3
    assert tides.contents() == rebuilt(tides, tmp_path / "fresh")


SAME = [
    ("return raw.select(", "rows = raw\n    return rows.select("),
    (
        'return raw.select("day", "id", double=pl.col("value") * 2, high=pl.col("value") > 2)',
        'wide = raw.with_columns(high=pl.col("value") > 2, double=2 * pl.col("value"), unused=pl.lit(1))\n'
        '    return wide.select("day", "id", "double", "high")',
    ),
    (
        'high=pl.col("value") > 2)',
        "high=large())\n\n\ndef large() -> pl.Expr:\n    return pl.col('value') > 2",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new"), SAME, ids=["renamed", "with_columns", "helper"])
def test_the_same_query_in_other_words_runs_nothing(tides: Tides, old: str, new: str) -> None:
    tides.edit(old, new)
    assert tides.ok() == {}


def test_a_second_plan_runs_no_user_code(tides: Tides, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []

    def watched(stage: Stage) -> Probe | None:
        called.append(stage.name)
        return probe.probe(stage)

    monkeypatch.setattr("tidemill.project.composition.probe", watched)
    tides.edit("high = tm.Bool(nullable=True)", "high = tm.Bool()")
    tides.open().plan()
    # Those whose code or contracts are others.
    assert called == ["features", "totals", "labels"]
    tides.open().plan()
    assert len(called) == 3
    (tides.root / ".tidemill" / "probes.json").write_text("not that")
    tides.open().plan()
    assert len(called) == 6


def test_a_reader_is_refused_however_it_is_hidden(tides: Tides) -> None:
    tides.edit("    return raw.select(", "    pl.scan_csv('lookup.csv')\n    return raw.select(")
    with pytest.raises(DeclarationError, match=r"scan_csv.*not one of its inputs.*@flow.ingest"):
        tides.open().plan()


def test_a_new_rule_that_fails_rechecks_what_is_published(tides: Tides) -> None:
    tides.edit(
        'Float64(nullable=True, on_fail="fail")', 'Float64(nullable=True, max=9, on_fail="fail")'
    )
    plan = tides.open().plan()
    assert {(s.stage, s.action, s.reasons) for s in plan.steps} == {
        ("raw", Action.RECHECK, ("the checks of its contract changed",))
    }
    receipt = tides.run()
    assert tides.ran(receipt) == {"ok recheck raw": DAYS}
    raw = receipt.stages[0]
    assert (raw.stage, raw.ran, raw.rechecked) == ("raw", 0, 3)
    assert tides.ok() == {}
    # Tightened until it no longer holds: what is published stays, what reads it does not go on.
    tides.edit("max=9", "max=2")
    receipt = tides.run()
    assert receipt.exit_code == 3
    assert tides.ran(receipt) == {"failed recheck raw": DAYS}
    assert "value.max" in receipt.messages[0]
    assert tides.read("raw").height == 9
    # And back: what was recorded is known.
    tides.edit("max=2", "max=9")
    assert tides.ok() == {}


def test_a_rule_that_quarantines_runs_anew(tides: Tides, tmp_path: Path) -> None:
    tides.edit('Float64(nullable=True, on_fail="fail")', "Float64(nullable=True, max=2)")
    ran = tides.ok()
    assert ran["ok run raw"] == DAYS
    assert tides.quarantined("raw")["value"].to_list() == [3.0] * 3
    assert tides.contents() == rebuilt(tides, tmp_path / "fresh")


def test_a_changed_check_of_rows_that_were_quarantined_runs_the_step(tides: Tides) -> None:
    tides.edit('Float64(nullable=True, on_fail="fail")', "Float64(nullable=True, max=2)")
    tides.ok()
    tides.edit(
        'class Raw(tm.Contract, key=("day", "id")):',
        'class Raw(tm.Contract, key=("day", "id")):\n    few = tm.Budget(max_bad=0.1)',
    )
    receipt = tides.run()
    assert receipt.exit_code == 3
    assert tides.ran(receipt)["failed run raw"] == DAYS


def test_yesterdays_code_costs_nothing(tides: Tides) -> None:
    before = tides.contents()
    tides.edit("* 2", "* 3")
    tides.ok()
    tides.edit("* 3", "* 2")
    assert tides.ok() == {"bound bind features": DAYS, "bound bind totals": DAYS}
    assert tides.contents() == before


def test_an_opaque_stage_is_its_code_and_all_columns(tides: Tides) -> None:
    tides.edit(
        'return features.group_by("day").agg(total=pl.col("double").sum())',
        'most = features.select(pl.col("double").max()).collect().item()\n'
        '    return features.group_by("day").agg(total=pl.col("double").sum() + 0 * most)',
    )
    assert tides.ok()["ok run totals"] == DAYS
    assert tides.ok() == {}
    notes = tides.open().check()
    assert any(
        n.startswith("totals is opaque: it collects features when it is called") for n in notes
    )
    # It could have looked at any column.
    tides.edit('pl.col("value") > 2', 'pl.col("value") >= 2')
    assert tides.ok()["ok run totals"] == DAYS


def test_the_key_covers_the_columns_that_are_read(tides: Tides) -> None:
    [published] = [
        event
        for event in tides.events("Published")
        if isinstance(event, Published) and (event.stage, event.partition) == ("totals", day(0))
    ]
    assert set(published.binding.seen["features"]) == {"day", "double"}


IMPURE = "@flow.transform\n@tm.impure{}\ndef features"


def test_an_impure_stage_runs_every_time_or_when_it_is_old(tides: Tides) -> None:
    now = tides.open().tools.clock()
    tides.use(clock=lambda: now)
    tides.edit("@flow.transform\ndef features", IMPURE.format(""))
    for _ in range(2):
        assert tides.ok() == {"ok run features": DAYS}
    tides.edit("@tm.impure\n", "@tm.impure(every='6h')\n")
    assert tides.ok() == {}
    now += 7 * 3600
    assert tides.ok() == {"ok run features": DAYS}
    assert tides.ok() == {}


def test_an_impure_stage_is_due_when_its_last_run_had_a_clock_that_was_ahead(tides: Tides) -> None:
    now = tides.open().tools.clock()
    tides.use(clock=lambda: now)
    tides.edit("@flow.transform\ndef features", IMPURE.format("(every='6h')"))
    now += 365 * 24 * 3600
    assert tides.ok() == {"ok run features": DAYS}
    now -= 365 * 24 * 3600
    assert tides.ok() == {"ok run features": DAYS}
    assert tides.ok() == {}


def test_what_a_stage_reaches_for_is_not_reused(tides: Tides) -> None:
    tides.edit("import polars as pl\n", "import datetime\n\nimport polars as pl\n")
    tides.edit("* 2,", "* 2 + pl.lit(datetime.date.today().year * 0),")
    for _ in range(2):
        assert tides.ok()["ok run features"] == DAYS
    [note] = [note for note in tides.open().plan().notes if "features" in note]
    assert "never reused: it reads the clock: datetime.date.today" in note


def test_another_environment_holds_sizes_against_its_own_partitions(tmp_path: Path) -> None:
    """A day that fitted in where it was the first is too small after three larger ones."""
    text = CHAIN.replace(
        "    double = tm.Float64(nullable=True)\n",
        "    double = tm.Float64(nullable=True)\n\n"
        '    size = tm.Rows(vs_last=3, within=0.1, on_fail="fail")\n',
    )
    tides = Tides(tmp_path, text)
    tides.send(5)
    tides.ok()
    for number in range(3):
        tides.send(number, [1.0] * 20)
    with open_project(tides.root, workflow=flow_of(tides.root, text), env="trial") as project:
        project.environments.create("trial", parent="")
        receipt = project.run(raise_on_failure=False)
    assert receipt.exit_code == 3
    (message,) = [text for text in receipt.messages if text.startswith("doubled")]
    assert message.startswith(f"doubled {day(5)} breaks its contract")
