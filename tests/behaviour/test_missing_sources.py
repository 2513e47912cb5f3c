"""A source that lost rows: nothing is removed by itself, and everything else runs."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import polars as pl
import pytest

from tests.support.tides import CHAIN, STAGES, Before, Tides, day, flow_of, rows_of
from tidemill.core.errors import UsageError
from tidemill.ledger.run import Receipt
from tidemill.planning.plan import Plan, Removals
from tidemill.project.project import open_project

KEPT = CHAIN.replace('*.parquet")', '*.parquet", on_missing="keep")')
WEEKS = (
    CHAIN
    + """

class Smooth(tm.Contract, key=("day",)):
    day = Raw.day
    mean = tm.Float64()


@flow.transform(window=tm.last("3d"))
def smooth(daily: tm.Frame[Daily]) -> tm.Frame[Smooth]:
    return daily.select(day=pl.col("day").max(), mean=pl.col("total").mean())
"""
)


@pytest.fixture
def tides(tmp_path: Path) -> Tides:
    """Four days, all published."""
    return published(Tides(tmp_path))


def published(tides: Tides, days: int = 4) -> Tides:
    for number in range(days):
        tides.send(number)
    tides.ok()
    return tides


def plan(tides: Tides, **request: str) -> Plan:
    with tides.open() as project:
        return project.plan(**request)  # type: ignore[arg-type]


def removals(tides: Tides) -> Removals:
    found = plan(tides).removals
    assert found is not None
    return found


def held(receipt: Receipt) -> str:
    """The messages of a run that removed nothing and is not ok therefore."""
    assert (receipt.exit_code, receipt.status) == (3, "failed")
    assert not receipt.failures
    return "\n".join(receipt.messages)


def days_of(tides: Tides, stage: str = "daily") -> list[str]:
    return tides.published()[stage]


def notes(tides: Tides) -> str:
    """The notes of a plan that allows the removals of another one."""
    with tides.open() as project:
        return "\n".join(project.plan(allow_removals="deadbeef").notes)


class TestFail:
    def test_a_file_that_is_gone_removes_nothing_and_the_rest_runs(self, tides: Tides) -> None:
        before = tides.contents()
        tides.withdraw(1)
        tides.send(2, (7.0, 8.0))
        tides.send(4)
        receipt = tides.run()
        says = held(receipt)
        assert f"raw: data/{day(1)}.parquet is gone; {day(1)} would be removed" in says
        assert f"--allow-removals {removals(tides).id}" in says
        assert 'on_missing="remove" (or "keep")' in says
        assert tides.ran(receipt) == {f"ok run {stage}": [day(2), day(4)] for stage in STAGES}
        assert days_of(tides) == [day(number) for number in range(5)]
        for stage in STAGES:
            assert tides.contents()[stage][day(1)] == before[stage][day(1)]

    def test_it_is_missed_until_it_is_decided(self, tides: Tides) -> None:
        tides.withdraw(1)
        first = held(tides.run())
        assert held(tides.run()) == first
        tides.send(5)
        assert held(tides.run()) == first
        # A file that is back is what it was.
        tides.send(1)
        assert tides.ok() == {}

    def test_the_id_in_a_receipt_is_still_that_of_the_next_run(self, tides: Tides) -> None:
        tides.send(5)
        tides.run("raw")
        tides.withdraw(1, 5)
        receipt = tides.run()
        # This run published more of what was lost.
        assert tides.ran(receipt) == {f"ok run {stage}": [day(5)] for stage in STAGES[1:]}
        shown = removals(tides).id
        assert f"--allow-removals {shown}, or" in held(receipt)
        tides.run(allow_removals=shown)
        assert days_of(tides) == [day(0), day(2), day(3)]

    def test_an_id_of_other_removals_is_named(self, tides: Tides) -> None:
        receipt = tides.run(allow_removals="deadbeef")
        assert receipt.exit_code == 0
        assert "--allow-removals deadbeef removes nothing: nothing has to be allowed now" in notes(
            tides
        )
        tides.withdraw(1)
        shown = removals(tides).id
        assert f"--allow-removals deadbeef removes nothing: the ID is {shown} now" in notes(tides)
        held(tides.run(allow_removals="deadbeef"))
        assert days_of(tides) == [day(number) for number in range(4)]

    def test_another_file_for_the_partition_waits(self, tides: Tides) -> None:
        tides.withdraw(1)
        tides.put("late.parquet", rows_of(1, (9.0,)))
        receipt = tides.run()
        assert f"{day(1)} would lose rows" in held(receipt)
        assert tides.ran(receipt) == {}
        assert held(tides.run()) == held(receipt)
        # The late rows count once the others are back.
        tides.send(1, (1.0, 2.0, 3.0, 4.0))
        late = tides.put("late.parquet", rows_of(1, (9.0,)).with_columns(id=pl.lit(9, pl.Int64)))
        assert tides.ok()["ok run raw"] == [day(1)]
        assert tides.read("daily", day(1))["rows"].item() == 5
        late.unlink()
        assert f"data/late.parquet is gone; {day(1)} would lose rows" in held(tides.run())
        assert tides.read("daily", day(1))["rows"].item() == 5

    def test_a_file_that_comes_while_others_are_missed_is_missed_as_well(
        self, tides: Tides
    ) -> None:
        tides.withdraw(1)
        path = tides.put("more.parquet", pl.concat([rows_of(1, (9.0,)), rows_of(7)]))
        receipt = tides.run()
        assert tides.ran(receipt) == {f"ok run {stage}": [day(7)] for stage in STAGES}
        assert f"{day(1)} would lose rows" in held(receipt)
        path.unlink()
        says = held(tides.run())
        assert f"data/{day(1)}.parquet, data/more.parquet are gone" in says
        assert day(7) in says
        assert day(7) in days_of(tides)
        # Both come back.
        tides.put("more.parquet", rows_of(7))
        tides.send(1)
        assert tides.ok() == {"ok run raw": [day(7)]}
        assert tides.ok() == {}

    @pytest.mark.parametrize("policy", ["fail", "keep"])
    def test_files_can_be_merged(self, tides: Tides, policy: str) -> None:
        tides.edit('"data/*.parquet")', f'"data/*.parquet", on_missing="{policy}")')
        tides.ok()
        before = tides.contents()
        tides.withdraw(0, 1, 2)
        tides.put("all.parquet", pl.concat([rows_of(number) for number in range(3)]))
        ran = tides.ok()
        assert "ok run doubled" not in ran
        assert tides.contents() == before
        assert tides.ok() == {}

    def test_a_row_that_is_lost_when_files_are_merged_is_missed(self, tides: Tides) -> None:
        before = tides.contents()
        tides.withdraw(0, 1)
        tides.put("all.parquet", pl.concat([rows_of(0), rows_of(1, (1.0, 2.0))]))
        says = held(tides.run())
        assert says.startswith(
            f"raw: data/{day(0)}.parquet, data/{day(1)}.parquet are gone; "
            f"{day(1)} would lose rows and {day(0)} would change"
        )
        assert held(tides.run()) == says
        # What waits isn't forgotten.
        (tides.root / "data" / "all.parquet").unlink()
        for _ in range(2):
            assert f"{day(0)} .. {day(1)} (2) would be removed" in held(tides.run())
        tides.put("all.parquet", pl.concat([rows_of(0), rows_of(1)]))
        tides.ok()
        assert tides.ok() == {}
        assert tides.contents() == before
        (tides.root / "data" / "all.parquet").unlink()
        assert held(tides.run()).startswith("raw: data/all.parquet is gone")

    def test_a_renamed_file_isnt_missing(self, tides: Tides) -> None:
        path = tides.root / "data" / f"{day(1)}.parquet"
        path.rename(path.with_name("renamed.parquet"))
        tides.ok()
        assert days_of(tides) == [day(number) for number in range(4)]

    def test_a_file_that_lost_all_rows_is_missing(self, tides: Tides) -> None:
        tides.put(f"{day(1)}.parquet", rows_of(1).clear())
        says = held(tides.run())
        assert f"data/{day(1)}.parquet lost rows; {day(1)} would be removed" in says
        tides.send(1)
        assert tides.ok() == {}

    def test_an_edited_file_may_lose_rows(self, tides: Tides) -> None:
        tides.send(1, (1.0,))
        assert tides.ok()["ok run raw"] == [day(1)]

    def test_a_source_without_any_file_is_an_error(self, tides: Tides) -> None:
        tides.withdraw(0, 1, 2, 3)
        receipt = tides.run()
        assert receipt.exit_code == 1
        assert "nothing was removed" in receipt.messages[0]
        assert days_of(tides) == [day(number) for number in range(4)]

    def test_a_file_that_cant_be_read_has_its_own_exit_code(self, tides: Tides) -> None:
        tides.withdraw(1)
        (tides.root / "data" / "odd.parquet").write_bytes(b"PAR1")
        receipt = tides.run()
        assert receipt.exit_code == 1
        assert any(f"{day(1)} would be removed" in message for message in receipt.messages)

    def test_windows_over_held_partitions_stay(self, tmp_path: Path) -> None:
        tides = published(Tides(tmp_path, WEEKS))
        tides.withdraw(1)
        receipt = tides.run()
        held(receipt)
        assert tides.ran(receipt) == {}
        # What reads them runs when its own code changes.
        tides.edit('pl.col("total").mean()', 'pl.col("total").mean() + 1')
        assert tides.ran(tides.run())["ok run smooth"] == [day(number) for number in range(4)]
        allowed = tides.ok(allow_removals=removals(tides).id)
        assert allowed["ok remove daily"] == [day(1)]
        assert set(allowed["ok run smooth"]) >= {day(2), day(3)}

    def test_a_new_partitioning_cant_be_mixed_with_what_is_held(self, tides: Tides) -> None:
        tides.withdraw(1)
        tides.edit('partition="1d"', 'partition="1mo"')
        receipt = tides.run()
        assert "its contract changed" in held(receipt)
        assert tides.ran(receipt) == {}
        assert days_of(tides, "raw") == [day(number) for number in range(4)]
        tides.send(1)
        tides.ok()
        assert days_of(tides, "raw") == [day(0)[:7]]

    def test_a_start_that_moves_removes_what_is_before_it(self, tides: Tides) -> None:
        tides.withdraw(0)
        tides.edit("@flow.ingest", f'@flow.ingest(start="{day(1)}")')
        assert tides.ok()["ok remove raw"] == [day(0)]


class TestAllow:
    def test_it_removes_what_the_plan_showed(self, tides: Tides) -> None:
        tides.put("both.parquet", pl.concat([rows_of(2, (9.0,)), rows_of(5)]))
        tides.ok()
        tides.withdraw(1)
        (tides.root / "data" / "both.parquet").unlink()
        shown = removals(tides)
        assert shown.removed == {stage: (day(1), day(5)) for stage in STAGES}
        assert shown.shrunk == {"raw": (day(2),)}
        done = tides.ok(allow_removals=shown.id)
        assert {name: done[name] for name in done if "remove" in name} == {
            f"ok remove {stage}": [day(1), day(5)] for stage in STAGES
        }
        assert days_of(tides) == [day(0), day(2), day(3)]
        assert tides.ok() == {}

    @pytest.mark.parametrize("other", ["deadbeef", "not an id"])
    def test_another_id_allows_nothing(self, tides: Tides, other: str) -> None:
        tides.withdraw(1)
        receipt = tides.run(allow_removals=other)
        held(receipt)
        assert tides.ran(receipt) == {}

    def test_files_that_vanish_after_the_plan_arent_covered(self, tides: Tides) -> None:
        tides.withdraw(1)
        shown = removals(tides)
        tides.withdraw(2)
        says = held(tides.run(allow_removals=shown.id))
        assert f"{day(1)} .. {day(2)} (2) would be removed" in says
        assert shown.id not in says
        assert days_of(tides) == [day(number) for number in range(4)]
        tides.send(2)
        tides.ok(allow_removals=shown.id)
        assert days_of(tides) == [day(0), day(2), day(3)]

    def test_a_file_that_is_back_needs_no_consent(self, tides: Tides) -> None:
        tides.withdraw(1)
        shown = removals(tides)
        tides.send(1)
        assert tides.ok(allow_removals=shown.id) == {}

    def test_only_the_requested_time_is_removed(self, tides: Tides) -> None:
        tides.withdraw(1, 3)
        later = {"since": day(2)}
        shown = plan(tides, **later).removals
        assert shown is not None
        assert shown.removed["raw"] == (day(3),)
        receipt = tides.run(allow_removals=shown.id, **later)
        assert tides.ran(receipt)["ok remove raw"] == [day(3)]
        # The other one is still missed.
        assert f"{day(1)} would be removed" in held(receipt)
        assert f"{day(1)} would be removed" in held(tides.run())
        assert "without a time range" in held(tides.run(since=day(2)))

    def test_a_part_removes_nothing(self, tides: Tides) -> None:
        tides.withdraw(1)
        with pytest.raises(UsageError, match="leave out limit and partition"):
            tides.run(allow_removals="deadbeef", limit=1)
        assert plan(tides, limit=1).removals is None  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="leave out limit and partition"):
            tides.run("raw", allow_removals="deadbeef", partition=day(2))
        assert "limit or partition" in held(tides.run("raw", partition=day(2)))

    def test_a_run_that_is_cut_off_is_finished_by_the_next(self, tides: Tides) -> None:
        tides.withdraw(1, 2)
        shown = removals(tides)

        def stop(done: int, step: object) -> None:
            raise KeyboardInterrupt

        assert tides.run(allow_removals=shown.id, progress=Before(stop)).exit_code == 130
        tides.ok()
        assert days_of(tides) == [day(0), day(3)]


class TestKeep:
    def test_partitions_are_frozen(self, tmp_path: Path) -> None:
        tides = published(Tides(tmp_path, KEPT))
        tides.withdraw(1)
        before = tides.contents()
        assert tides.ok() == {}
        assert tides.ok() == {}
        tides.edit("max=1000", "max=999")
        done = tides.ok()
        assert day(1) not in done.get("ok run raw", [])
        assert tides.contents()["raw"][day(1)] == before["raw"][day(1)]
        # What reads them is computed from them.
        tides.edit("value * 2", "value * 3")
        assert day(1) in tides.ok()["ok run doubled"]

    def test_it_ends_when_the_file_is_back(self, tmp_path: Path) -> None:
        tides = published(Tides(tmp_path, KEPT))
        tides.withdraw(1)
        tides.ok()
        tides.put("late.parquet", rows_of(1, (9.0,)).with_columns(id=pl.lit(9, pl.Int64)))
        assert tides.ok() == {}
        tides.send(1)
        assert tides.ok()["ok run raw"] == [day(1)]
        with tides.open() as project:
            assert project.data.show("raw").frozen == ()

    def test_show_and_explain_say_so(self, tmp_path: Path) -> None:
        tides = published(Tides(tmp_path, KEPT))
        tides.withdraw(1)
        tides.ok()
        with tides.open() as project:
            (frozen,) = project.data.show("raw").frozen
            assert (frozen.partitions, frozen.paths) == ((day(1),), (f"data/{day(1)}.parquet",))
            assert project.data.show("raw", day(2)).frozen == ()
            assert project.lineage.explain("daily", day(1)).frozen == (frozen,)
            assert project.lineage.explain("daily", day(2)).frozen == ()

    def test_keep_may_become_remove(self, tmp_path: Path) -> None:
        tides = published(Tides(tmp_path, KEPT))
        tides.withdraw(1)
        tides.ok()
        tides.edit('on_missing="keep"', 'on_missing="remove"')
        assert tides.ok() == {f"ok remove {stage}": [day(1)] for stage in STAGES}


class TestTables:
    @pytest.fixture
    def tides(self, tmp_path: Path) -> Tides:
        """Ten days with two rows each in a database, all published."""
        query = 'tm.sql("SELECT day, id, value FROM raw", "sqlite:///db")'
        tides = Tides(tmp_path, CHAIN.replace('tm.files("data/*.parquet")', query))
        rows = ", ".join(f"('{day(n)}', {i}, 1.0)" for n in range(10) for i in range(2))
        self.change(tides, "CREATE TABLE raw (day TEXT, id INTEGER, value REAL)")
        self.change(tides, f"INSERT INTO raw VALUES {rows}")
        tides.ok()
        return tides

    def change(self, tides: Tides, *statements: str) -> None:
        with sqlite3.connect(tides.root / "db") as connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()

    def test_few_rows_and_partitions_may_go(self, tides: Tides) -> None:
        self.change(tides, f"DELETE FROM raw WHERE day <= '{day(1)}'")
        assert tides.ok()["ok remove raw"] == [day(0), day(1)]
        self.change(tides, f"DELETE FROM raw WHERE id = 1 AND day <= '{day(4)}'")
        assert tides.ok()["ok run raw"] == [day(2), day(3), day(4)]

    def test_many_partitions_stay(self, tides: Tides) -> None:
        self.change(
            tides,
            f"DELETE FROM raw WHERE day <= '{day(2)}'",
            f"UPDATE raw SET value = 2.0 WHERE day = '{day(5)}'",
        )
        receipt = tides.run()
        says = held(receipt)
        assert f"6 of 20 rows (30%) are gone; {day(0)} .. {day(2)} (3) would be removed" in says
        assert tides.ran(receipt)["ok run raw"] == [day(5)]
        assert held(tides.run()) == says
        with tides.open() as project:
            (frozen,) = project.data.show("raw", day(1)).frozen
            assert frozen.paths == (f"sqlite:///db {day(1)}",)
        tides.ok(allow_removals=removals(tides).id)
        assert days_of(tides) == [day(number) for number in range(3, 10)]

    def test_many_rows_stay_until_they_are_back(self, tides: Tides) -> None:
        before = tides.contents()
        self.change(tides, f"DELETE FROM raw WHERE id = 1 AND day <= '{day(4)}'")
        says = held(tides.run())
        assert f"{day(0)} .. {day(4)} (5) would lose rows" in says
        # What is left must not be taken for all that there ever was.
        assert held(tides.run()) == says
        # Nor do new rows make up for it.
        for number in range(10, 20):
            self.change(tides, f"INSERT INTO raw VALUES ('{day(number)}', 1, 1.0)")
        assert f"{day(0)} .. {day(4)} (5) would lose rows" in held(tides.run())
        assert "(5) would lose rows" in held(tides.run())
        before |= {stage: {**tides.contents()[stage], **keys} for stage, keys in before.items()}
        assert tides.contents() == before
        self.change(tides, *(f"INSERT INTO raw VALUES ('{day(n)}', 1, 1.0)" for n in range(5)))
        assert tides.ok() == {}

    def test_the_share_is_up_to_the_source(self, tides: Tides) -> None:
        tides.edit('"sqlite:///db")', '"sqlite:///db", max_missing=0.5)')
        self.change(tides, f"DELETE FROM raw WHERE day <= '{day(4)}'")
        assert len(tides.ok()["ok remove raw"]) == 5

    def test_another_query_isnt_a_loss(self, tides: Tides) -> None:
        tides.edit("FROM raw", f"FROM raw WHERE day > '{day(4)}'")
        assert len(tides.ok()["ok remove raw"]) == 5


class TestEnvironments:
    def test_each_decides_for_itself(self, tides: Tides) -> None:
        with tides.open() as project:
            project.environments.create("dev")
        tides.withdraw(1)
        with open_project(tides.root, workflow=flow_of(tides.root, tides.text), env="dev") as dev:
            assert dev.run(raise_on_failure=False).exit_code == 3
            shown = dev.plan().removals
            assert shown is not None
            assert dev.run(allow_removals=shown.id).exit_code == 0
            assert day(1) not in dev.state().heads["raw"].partitions
        assert day(1) in days_of(tides)
        tides.send(4)
        with tides.open() as project:
            receipt = project.promote("dev", raise_on_failure=False)
            assert "nothing was published: prod is unchanged" in held(receipt)
            assert day(4) not in project.state().heads["raw"].partitions
            assert day(1) in project.state().heads["raw"].partitions
            there = project.plan().removals
            assert there is not None
            assert project.promote("dev", allow_removals=there.id).exit_code == 0
        assert days_of(tides) == [day(0), day(2), day(3), day(4)]

    def test_a_plan_for_a_new_environment_misses_them_too(self, tides: Tides) -> None:
        tides.withdraw(1)
        with open_project(tides.root, workflow=flow_of(tides.root, tides.text), env="new") as new:
            assert new.plan().unsettled
            assert new.run(raise_on_failure=False).exit_code == 3
            assert day(1) in new.state().heads["raw"].partitions
