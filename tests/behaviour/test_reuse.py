"""What a run does again, and what it leaves alone: always held against a rebuild from nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.support.tides import CHAIN, STAGES, Tides, by_hand, day, everything, rebuilt, rows_of
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.core.errors import UsageError
from tidemill.ledger.run import Status
from tidemill.project.project import Project
from tidemill.project.workflow_ledger import WorkflowLedger

VALUES = {0: (1.0, 2.0, 3.0), 1: (4.0, 5.0), 2: (6.0, None, 7.0)}


@pytest.fixture
def tides(tmp_path: Path) -> Tides:
    """Three days, built."""
    tides = Tides(tmp_path / "project")
    for number, values in VALUES.items():
        tides.send(number, values)
    assert sorted(tides.ok().items()) == sorted(everything([0, 1, 2]).items())
    return tides


def test_a_build_equals_what_is_computed_by_hand(tides: Tides) -> None:
    assert_frame_equal(tides.read("daily"), by_hand(VALUES))
    assert_frame_equal(tides.read("raw", day(1)), rows_of(1, VALUES[1]).sort("id"))


def test_a_second_run_does_nothing(tides: Tides) -> None:
    receipt = tides.run()
    assert (receipt.status, receipt.exit_code) == (Status.OK, 0)
    assert tides.ran(receipt) == {}
    assert [(s.stage, s.ran, s.bound, s.current) for s in receipt.stages] == [
        (stage, 0, 0, 3) for stage in STAGES
    ]


def test_a_receipt_counts_what_was_read_and_written(tides: Tides) -> None:
    tides.send(3, (1.0, 1.0))
    raw, doubled, daily = tides.run().stages
    assert (raw.rows_in, raw.rows_out, raw.current) == (2, 2, 3)
    assert (doubled.rows_in, doubled.rows_out, daily.rows_out) == (2, 2, 1)
    assert min(raw.bytes_in, raw.bytes_out, doubled.bytes_in, daily.bytes_out) > 0


def test_only_a_new_day_runs(tides: Tides, tmp_path: Path) -> None:
    tides.send(3, (9.0,))
    assert tides.ok() == everything([3])
    assert tides.contents() == rebuilt(tides, tmp_path / "fresh")


def test_a_file_that_changed_in_place_runs_its_day(tides: Tides, tmp_path: Path) -> None:
    tides.send(1, (4.0, 5.5))
    assert tides.ok() == everything([1])
    assert tides.contents() == rebuilt(tides, tmp_path / "fresh")


def test_a_file_that_was_touched_and_says_the_same_runs_nothing(tides: Tides) -> None:
    tides.send(1, VALUES[1])
    assert tides.ok() == {}


def test_a_late_file_for_an_old_day_joins_its_partition(tides: Tides, tmp_path: Path) -> None:
    late = pl.DataFrame({"day": rows_of(0, (1.0,))["day"], "id": [77], "value": [50.0]})
    tides.put("late.parquet", late)
    assert tides.ok() == everything([0])
    assert tides.read("daily", day(0))["total"].to_list() == [112.0]
    assert tides.contents() == rebuilt(tides, tmp_path / "fresh")


def test_one_file_may_feed_several_days(tides: Tides, tmp_path: Path) -> None:
    both = pl.concat([rows_of(3, (1.0,)), rows_of(4, (2.0, 3.0))]).sample(fraction=1.0, seed=1)
    tides.put("both.parquet", both)
    assert tides.ok() == everything([3, 4])
    tides.put("both.parquet", both.filter(pl.col("value") > 1))
    # The fourth day has no rows any more; the fifth is read again and gives the same.
    assert tides.ok() == {
        "ok run raw": [day(4)],
        **{f"ok remove {stage}": [day(3)] for stage in STAGES},
    }
    assert tides.contents() == rebuilt(tides, tmp_path / "fresh")


def test_a_deleted_file_takes_its_day_away_downstream(tides: Tides, tmp_path: Path) -> None:
    tides.remove_missing()
    tides.withdraw(1)
    assert tides.ok() == {f"ok remove {stage}": [day(1)] for stage in STAGES}
    assert tides.published() == {stage: [day(0), day(2)] for stage in STAGES}
    assert tides.contents() == rebuilt(tides, tmp_path / "fresh")
    # The source comes to its senses: what was computed once is bound again.
    tides.send(1, VALUES[1])
    assert tides.ok() == {f"bound bind {stage}": [day(1)] for stage in STAGES}


def test_when_all_files_are_gone_nothing_is_removed(tides: Tides) -> None:
    before = tides.contents()
    for path in (tides.root / "data").iterdir():
        path.rename(tides.root / path.name)
    receipt = tides.run()
    assert (receipt.status, receipt.exit_code) == (Status.FAILED, 1)
    [message] = receipt.messages
    assert message.startswith("raw: no file matches 'data/*.parquet'")
    assert "nothing was removed" in message
    assert tides.ran(receipt) == {"failed run raw": ["all"]}
    assert tides.contents() == before
    for number in VALUES:
        name = f"{day(number)}.parquet"
        (tides.root / name).rename(tides.root / "data" / name)
    assert tides.ok() == {}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("value * 2", "value * 2  # twice"),
        ("@flow.transform\ndef daily", "\n\n# Sums.\n@flow.transform\ndef daily"),
        ("def times(", "X = 3\n\n\ndef times("),
    ],
    ids=["comment", "moved", "unused constant"],
)
def test_an_edit_that_changes_nothing_runs_nothing(tides: Tides, old: str, new: str) -> None:
    tides.edit(old, new)
    assert tides.ok() == {}


def test_an_edited_function_runs_what_uses_it_and_what_reads_that(
    tides: Tides, tmp_path: Path
) -> None:
    tides.edit("value * 2", "value * 3")
    assert tides.open().plan().steps[0].reasons == ("the expression for `double` changed",)
    assert tides.ok() == {
        f"ok run {stage}": [day(n) for n in (0, 1, 2)] for stage in ("doubled", "daily")
    }
    assert_frame_equal(tides.read("daily"), by_hand(VALUES, 3.0))
    assert tides.contents() == rebuilt(tides, tmp_path / "fresh")


def test_an_edit_that_gives_the_same_values_stops_the_ripple(tides: Tides) -> None:
    tides.edit("value * 2", "value + value")
    receipt = tides.run()
    assert tides.ran(receipt) == {"ok run doubled": [day(n) for n in (0, 1, 2)]}
    assert [(s.stage, s.ran, s.current) for s in receipt.stages] == [
        ("raw", 0, 3),
        ("doubled", 3, 0),
        ("daily", 0, 3),
    ]
    assert tides.ok() == {}


def test_a_revert_is_bound_from_what_was_computed_before(tides: Tides) -> None:
    before = tides.contents()
    tides.edit("value * 2", "value * 3")
    tides.ok()
    tides.edit("value * 3", "value * 2")
    days = [day(n) for n in (0, 1, 2)]
    assert tides.ok() == {"bound bind doubled": days, "bound bind daily": days}
    assert tides.contents() == before


def test_again_runs_what_is_current(tides: Tides) -> None:
    # What comes out is the same, so nothing below has to run: all of it was asked for, though.
    assert tides.ok(again=True) == everything([0, 1, 2])
    # Of one stage, only that stage.
    assert tides.ok("doubled", again=True) == {"ok run doubled": [day(n) for n in (0, 1, 2)]}


@pytest.mark.parametrize(
    ("request_", "numbers"),
    [
        ({"since": "2024-03-05"}, [4, 5]),
        ({"until": "2024-03-04"}, [3]),
        ({"since": "2024-03-05", "until": "2024-03-05"}, [4]),
        # A month is the bounds of all its days.
        ({"since": "2024-03", "until": "2024-03"}, [3, 4, 5]),
        ({"since": "2024-04"}, []),
        ({"limit": 2}, [3, 4]),
        ({"limit": 1, "since": "2024-03-05"}, [4]),
    ],
)
def test_a_part_can_be_asked_for(
    tides: Tides, request_: dict[str, Any], numbers: list[int]
) -> None:
    for number in (3, 4, 5):
        tides.send(number)
    assert tides.ok(**request_) == (everything(numbers) if numbers else {})
    rest = [n for n in (3, 4, 5) if n not in numbers]
    assert tides.ok() == (everything(rest) if rest else {})


def test_a_limit_of_nothing_is_refused(tides: Tides) -> None:
    with pytest.raises(UsageError, match="limit 0 leaves nothing to do"):
        tides.run(limit=0)


def test_a_stage_runs_with_what_it_needs_only(tides: Tides) -> None:
    tides.send(3)
    assert tides.ok("doubled") == {"ok run raw": [day(3)], "ok run doubled": [day(3)]}
    assert tides.ok() == {"ok run daily": [day(3)]}
    with pytest.raises(UsageError, match="did you mean 'doubled'"):
        tides.run("double")


def test_what_a_partial_run_left_alone_still_says_why_it_is_not_current(tides: Tides) -> None:
    tides.edit("value * 2", "value * 3")
    tides.edit("rows=pl.len()", "rows=pl.len() + 1")
    tides.ok("doubled")
    tides.ok("doubled", limit=1)
    reasons = {r for step in tides.open().plan().steps for r in step.reasons}
    assert "the expression for `rows` changed" in reasons
    assert "its recipe changed" not in reasons


def test_rows_before_the_start_are_left_out_and_said(tides: Tides) -> None:
    tides.edit("@flow.ingest\n", f'@flow.ingest(start="{day(1)}")\n')
    notes = tides.open().plan().notes
    assert notes == (f"raw: skipped 3 rows before its start {day(1)}",)
    assert tides.ok()["ok remove raw"] == [day(0)]
    assert tides.published() == {stage: [day(1), day(2)] for stage in STAGES}


OPTIONAL = (
    CHAIN.replace(
        'flow = tm.Workflow("tides")',
        """
class Extra(tm.Contract, key=("day",)):
    day = Raw.day
    bonus = tm.Float64()


flow = tm.Workflow("tides")


@flow.ingest
def extra() -> tm.Source[Extra]:
    return tm.files("extra/*.csv")
""",
    )
    .replace(
        "@flow.transform\ndef doubled(raw: tm.Frame[Raw])",
        '@flow.transform(optional=["extra"])\n'
        "def doubled(raw: tm.Frame[Raw], extra: tm.Frame[Extra])",
    )
    .replace(
        'raw.select("day", "id", double=times(pl.col("value")))',
        'raw.join(extra, on="day", how="left").select('
        '"day", "id", double=times(pl.col("value")) + pl.col("bonus").fill_null(0))',
    )
)


@pytest.mark.parametrize("optional", [True, False])
def test_an_optional_input_may_come_later(tmp_path: Path, optional: bool) -> None:
    tides = Tides(tmp_path, OPTIONAL)
    if not optional:
        tides.edit('(optional=["extra"])', "")
    tides.send(0)
    tides.send(1)
    (tmp_path / "extra").mkdir()
    (tmp_path / "extra" / "a.csv").write_text(f"day,bonus\n{day(0)},100\n")
    tides.ok()
    assert tides.published()["doubled"] == ([day(0), day(1)] if optional else [day(0)])
    waiting = [(w.stage, w.partition, w.reason) for w in tides.open().plan().waiting]
    assert waiting == (
        [] if optional else [("doubled", day(1), f"upstream `extra` has no partition {day(1)} yet")]
    )
    (tmp_path / "extra" / "b.csv").write_text(f"day,bonus\n{day(1)},200\n")
    assert tides.ok() == {
        "ok run extra": [day(1)],
        "ok run doubled": [day(1)],
        "ok run daily": [day(1)],
    }
    assert tides.read("daily")["total"].to_list() == [312.0, 612.0]


FORMATS: dict[str, Callable[[pl.DataFrame, Path], object]] = {
    "parquet": lambda frame, path: frame.write_parquet(path),
    "csv": lambda frame, path: frame.write_csv(path),
    "ndjson": lambda frame, path: frame.write_ndjson(path),
    "arrow": lambda frame, path: frame.write_ipc(path),
    # The suffix tells no format.
    "dat": lambda frame, path: frame.write_csv(path, separator=";"),
}


@pytest.mark.parametrize("suffix", list(FORMATS))
def test_every_format_gives_the_same_values(tmp_path: Path, suffix: str) -> None:
    tides = Tides(tmp_path)
    options = ', format="csv", separator=";"' if suffix == "dat" else ""
    tides.edit('"data/*.parquet"', f'"data/*.{suffix}"{options}')
    FORMATS[suffix](pl.concat([rows_of(0), rows_of(1, (4.0, None))]), tmp_path / f"data/x.{suffix}")
    tides.ok()
    assert_frame_equal(tides.read("daily"), by_hand({0: (1.0, 2.0, 3.0), 1: (4.0, None)}))
    assert_frame_equal(tides.read("raw", day(1)), rows_of(1, (4.0, None)).sort("id"))


def test_files_may_lie_in_folders(tmp_path: Path) -> None:
    tides = Tides(tmp_path)
    tides.edit("data/*.parquet", "data/**/*.parquet")
    tides.put("2024/a.parquet", rows_of(0))
    tides.put("b.parquet", rows_of(1))
    (tmp_path / "data" / "folder.parquet").mkdir()
    assert tides.ok() == everything([0, 1])


def test_partitions_by_value_and_whole_outputs(tmp_path: Path) -> None:
    text = """
import polars as pl
import tidemill as tm


class Sale(tm.Contract, key=("tenant", "id")):
    tenant = tm.String(partition="value")
    id = tm.Int64()
    amount = tm.Float64()


class Sum(tm.Contract, key=("tenant",)):
    tenant = tm.String()
    amount = tm.Float64()


flow = tm.Workflow("sales")


@flow.ingest
def sales() -> tm.Source[Sale]:
    return tm.files("data/*.parquet", on_missing="remove")


@flow.transform
def large(sales: tm.Frame[Sale]) -> tm.Frame[Sale]:
    return sales.filter(pl.col("amount") > 1)


@flow.transform
def sums(large: tm.Frame[Sale]) -> tm.Frame[Sum]:
    return large.group_by("tenant").agg(pl.col("amount").sum())
"""
    tides = Tides(tmp_path, text)
    frame = pl.DataFrame({"tenant": ["b", "a", "b"], "id": [1, 2, 3], "amount": [1.0, 2.0, 3.0]})
    tides.put("a.parquet", frame)
    tenants = ["a", "b"]
    assert tides.ok() == {
        "ok run sales": tenants,
        "ok run large": tenants,
        "ok run sums": ["all"],
    }
    assert tides.read("sums").rows() == [("a", 2.0), ("b", 3.0)]
    # A row that the filter drops: the ripple ends there.
    tides.put("b.parquet", frame[:1].with_columns(id=pl.lit(9, pl.Int64)))
    assert tides.ok() == {"ok run sales": ["b"], "ok run large": ["b"]}
    (tmp_path / "data" / "a.parquet").unlink()
    assert tides.ok() == {
        "ok remove sales": ["a"],
        "ok remove large": ["a"],
        "ok run sales": ["b"],
        "ok run large": ["b"],
        "ok run sums": ["all"],
    }
    assert tides.read("sums").rows() == []


def test_a_stage_that_cannot_be_proven_unchanged_always_runs(tides: Tides) -> None:
    tides.edit("import polars as pl\n", "import time\n\nimport polars as pl\n")
    tides.edit("value * 2", "value * 2 + pl.lit(time.time()) * 0")
    tides.ok()
    assert tides.ok() == {"ok run doubled": [day(n) for n in (0, 1, 2)]}
    [note] = tides.open().plan().notes
    assert "doubled is never reused: it reads the clock: time.time" in note
    # A declared version vouches for it.
    tides.edit("@flow.transform\ndef doubled", '@flow.transform(version="1")\ndef doubled')
    tides.ok()
    assert tides.ok() == {}


def test_another_cut_of_the_same_files(tides: Tides) -> None:
    tides.ok()
    rows = tides.read("raw").height
    tides.edit('partition="1d"', 'partition="1mo"')
    assert tides.ok()["ok run raw"] == [day(0)[:7]]
    assert tides.published()["raw"] == [day(0)[:7]]
    assert tides.read("raw").height == rows


def _sqlite_ledger(project: Project) -> SqliteLedger:
    shown = project.tools.ledger
    assert isinstance(shown, WorkflowLedger)
    assert isinstance(shown.shared, SqliteLedger)
    return shown.shared


def test_a_run_with_nothing_to_do_reads_no_binding(tides: Tides) -> None:
    assert tides.ran(tides.run()) == {}
    with tides.open() as project:
        project.state()
        ledger = _sqlite_ledger(project)
        asked: list[str] = []
        for connection in (ledger._connections._reader, ledger._connections._writer):
            if connection is not None:
                connection.set_trace_callback(asked.append)
        assert project.plan().empty
        receipt = project.run()
    assert {s.stage: s.current for s in receipt.stages} == dict.fromkeys(STAGES, 3)
    assert [text for text in asked if "FROM heads" in text]
    assert [text for text in asked if "bindings" in text] == []


def test_a_run_reads_the_bindings_of_what_changed(tides: Tides) -> None:
    tides.send(1, (4.0, 5.5))
    with tides.open() as project:
        project.state()
        ledger = _sqlite_ledger(project)
        reader, asked = ledger._connections._reader, list[str]()
        assert reader is not None
        reader.set_trace_callback(asked.append)
        plan = project.plan()
        receipt = project.run()
    assert {(step.stage, step.partition) for step in plan.steps} == {(s, day(1)) for s in STAGES}
    assert {s.stage: s.current for s in receipt.stages} == dict.fromkeys(STAGES, 2)
    reads = [text for text in asked if "FROM bindings" in text]
    assert reads
    assert [text for text in reads if f"partition = '{day(1)}'" not in text] == []


def test_files_of_another_time_change_nothing_but_are_settled_again(tides: Tides) -> None:
    before = tides.open().state().completion_marks
    assert set(before) == set(STAGES)
    for file in sorted((tides.root / "data").iterdir()):
        os.utime(file, (1.0, 1.0))
    assert tides.ran(tides.run()) == {}
    assert tides.open().state().completion_marks == before
