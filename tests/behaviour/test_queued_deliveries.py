"""Deliveries whose sink failed: they wait, and the newest is carried out, whatever happens meanwhile."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.support.tides import FIRST, Tides, day
from tidemill.adapters.sinks.sqlite import SqliteTables
from tidemill.ledger.event import EffectDone

FLOW = """
import polars as pl
import tidemill as tm


class Raw(tm.Contract, key=("day", "id")):
    day = tm.Date(partition="1d")
    id = tm.Int64()
    x = tm.Float64()


flow = tm.Workflow("tides")


@flow.ingest
def raw() -> tm.Source[Raw]:
    return tm.files("data/*.parquet", on_missing="remove")


flow.table("out", stage=raw, sink=tm.sqlite("out.db", "out"))
flow.table("files", stage=raw, sink=tm.parquet("files"))
"""
DAYS = 3
BROKEN = b"this is no database, but a text" * 100


class Dock:
    """A project that delivers to a database, which somebody replaces by a text, and puts back."""

    def __init__(self, root: Path) -> None:
        self.tides = Tides(root, FLOW)
        self.path, self.kept = root / "out.db", root / "kept.db"

    def fill(self, x: float, *numbers: int) -> None:
        for number in numbers or range(DAYS):
            days = pl.Series("day", [FIRST] * 2).dt.offset_by(f"{number}d")
            rows = pl.DataFrame({"day": days, "id": [1, 2], "x": [x, x]})
            self.tides.put(f"{day(number)}.parquet", rows)

    def block(self) -> None:
        if self.path.exists():
            self.path.rename(self.kept)
        self.path.write_bytes(BROKEN)

    def open(self) -> None:
        self.path.unlink()
        if self.kept.exists():
            self.kept.rename(self.path)

    def do(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path)) as connection:
            found = connection.execute(statement).fetchall()
            connection.commit()
            return found

    def values(self) -> dict[str, float]:
        return dict(self.do("SELECT day, x FROM out WHERE id = 1 ORDER BY day"))

    def files(self) -> dict[str, float]:
        paths = sorted((self.tides.root / "files").glob("*.parquet"))
        return {path.stem: pl.read_parquet(path)["x"][0] for path in paths}

    def fails(self) -> str:
        """Why the database can't be written in a run, once for all partitions."""
        receipt = self.tides.run()
        assert receipt.exit_code == 1
        assert {failure.stage for failure in receipt.failures} == {"out"}
        (message,) = receipt.messages
        return message

    def is_settled(self) -> bool:
        with self.tides.open() as project:
            return project.stored_state.verify().is_sound and not project.state().pending_effects


@pytest.fixture
def dock(tmp_path: Path) -> Dock:
    found = Dock(tmp_path)
    found.fill(1.0)
    return found


def all_days(x: float) -> dict[str, float]:
    return {day(number): x for number in range(DAYS)}


def test_a_restored_version_replaces_what_was_queued(dock: Dock) -> None:
    first = dock.tides.run().run
    dock.fill(2.0)
    dock.tides.ok()
    dock.block()
    dock.fill(3.0, 0, 1)
    assert "file is not a database" in dock.fails()
    dock.open()
    with dock.tides.open() as project:
        restored = project.delivered_tables.restore("out", first, command="test")
    assert restored.partitions == tuple(all_days(0.0))
    assert dock.values() == all_days(1.0)
    # Nothing that was queued before comes back, or is tried again.
    assert dock.tides.ok() == {}
    assert dock.values() == all_days(1.0)
    assert dock.is_settled()


def test_what_is_queued_and_restored_is_delivered_once(dock: Dock) -> None:
    dock.block()
    first = dock.tides.run().run
    dock.open()
    with dock.tides.open() as project:
        restored = project.delivered_tables.restore("out", first, command="test")
    assert restored.partitions == ()
    assert dock.values() == all_days(1.0)
    assert dock.tides.ok() == {}
    done = [event for event in dock.tides.events("EffectDone") if isinstance(event, EffectDone)]
    assert len(done) == 2 * DAYS


def test_repairs_leave_what_is_queued_to_the_next_run(dock: Dock) -> None:
    dock.tides.ok()
    dock.block()
    dock.fill(3.0, 0)
    dock.fails()
    dock.open()
    dock.do("UPDATE out SET x = 77.0")
    with dock.tides.open() as project:
        found = project.stored_state.verify(repair=True)
    queued, *others = found.problems
    assert (queued.repaired, [problem.repaired for problem in others]) == (False, [True, True])
    assert "a newer delivery of it is queued, which `tidemill run` carries out" in queued.message
    receipt = dock.tides.run()
    assert (receipt.exit_code, receipt.messages) == (0, ("carried out 1 delivery left queued",))
    assert dock.values() == {**all_days(1.0), day(0): 3.0}
    assert dock.is_settled()


def test_a_table_that_is_no_longer_declared_fails_no_run(dock: Dock) -> None:
    dock.tides.ok()
    dock.block()
    dock.fill(3.0, 0)
    dock.tides.withdraw(1)
    dock.fails()
    line = 'flow.table("out", stage=raw, sink=tm.sqlite("out.db", "out"))\n'
    dock.tides.edit(line, "")
    receipt = dock.tides.run()
    assert receipt.exit_code == 0
    assert receipt.messages == (
        "gave up 1 queued delivery of out, to where the workflow no longer delivers",
    )
    assert dock.tides.ok() == {}
    # When it is declared again, nothing is missing, and nothing is left.
    dock.open()
    dock.tides.edit('flow.table("files"', f'{line}flow.table("files"')
    assert dock.tides.run().exit_code == 0
    assert dock.values() == {day(0): 3.0, day(2): 1.0}
    assert dock.tides.ok() == {}
    assert dock.is_settled()


def test_a_table_that_is_delivered_elsewhere_fails_no_run(dock: Dock) -> None:
    dock.block()
    dock.fails()
    dock.tides.edit('tm.sqlite("out.db", "out")', 'tm.sqlite("new.db", "out")')
    receipt = dock.tides.run()
    assert receipt.exit_code == 0
    assert dock.tides.ok() == {}
    dock.path = dock.path.with_name("new.db")
    assert dock.values() == all_days(1.0)
    assert dock.is_settled()


def test_a_clock_that_is_behind_delays_a_delivery_by_one_run(dock: Dock) -> None:
    dock.tides.ok()
    # The delivery before was recorded by a clock that was a minute ahead, such as another machine's.
    dock.do("UPDATE tidemill_deliveries SET queued_at = queued_at + 60")
    dock.fill(2.0)
    assert "was delivered by a newer run meanwhile" in dock.fails()
    dock.tides.use(clock=lambda: FUTURE)
    assert dock.tides.run().exit_code == 0
    assert dock.values() == all_days(2.0)
    assert dock.is_settled()


@pytest.mark.parametrize("sink", ["sqlite", "delta"])
def test_newer_rows_of_another_project_stay(tmp_path: Path, sink: str) -> None:
    """Two projects with homes of their own deliver to one table, which nobody can order by a lease."""
    one, two = Dock(tmp_path / "one"), Dock(tmp_path / "two")
    if sink == "delta":
        declared = f'tm.delta("{tmp_path}/shared")'
    else:
        declared = f'tm.sqlite("{tmp_path}/shared.db", "out")'
    for dock in (one, two):
        dock.tides.edit('tm.sqlite("out.db", "out")', declared)
        dock.path = tmp_path / "shared.db"

    def shared() -> set[float]:
        if sink == "sqlite":
            return set(one.values().values())
        return set(pl.read_delta(str(tmp_path / "shared"))["x"])

    one.fill(1.0)
    one.tides.ok()
    two.fill(5.0)
    two.tides.use(clock=lambda: FUTURE)
    two.tides.ok()
    assert shared() == {5.0}
    # The clock of this project is behind that of the other one.
    one.fill(2.0)
    one.fails()
    for _ in range(2):
        message = one.fails()
        assert "another project delivers to" in message
        assert "`tidemill run out --again`" in message
        assert shared() == {5.0}
    one.tides.use(clock=lambda: FUTURE + 60)
    assert one.tides.run("out", again=True).exit_code == 0
    assert shared() == {2.0}
    assert one.is_settled()


def test_a_clock_that_is_behind_delays_a_delivery_to_a_delta_table(tmp_path: Path) -> None:
    dock = Dock(tmp_path)
    dock.tides.edit('tm.sqlite("out.db", "out")', 'tm.delta("out")')
    dock.fill(1.0)
    dock.tides.use(clock=lambda: FUTURE)
    dock.tides.ok()
    dock.tides.use(clock=lambda: FUTURE - 60)
    dock.fill(2.0)
    assert "was delivered by a newer run meanwhile" in dock.fails()
    dock.tides.use(clock=lambda: FUTURE + 60)
    assert dock.tides.run().exit_code == 0
    assert set(pl.read_delta(str(tmp_path / "out"))["x"]) == {2.0}
    assert dock.is_settled()


FUTURE = 4e9


class Panic(BaseException):
    """As Rust libraries raise it, which isn't an Exception."""


@pytest.mark.parametrize(
    "error", [ValueError("year 10000\nis out of range"), MemoryError(), Panic("not implemented")]
)
def test_whatever_a_sink_raises_fails_its_table_only(
    dock: Dock, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def raising(*_: object) -> Any:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(SqliteTables, "deliver_all", raising)
        message = dock.fails()
    name = type(error).__name__
    assert message.startswith(f"out can't be written: {name}: {str(error)[:10]}")
    assert "\n" not in message
    assert dock.files() == all_days(1.0)
    assert dock.tides.run().exit_code == 0
    assert dock.values() == all_days(1.0)
    assert dock.is_settled()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_while_a_sink_works_ends_the_run(
    dock: Dock, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def raising(*_: object) -> Any:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(SqliteTables, "deliver_all", raising)
        with pytest.raises(error):
            dock.tides.run()
    assert dock.tides.run().exit_code == 0
    assert dock.values() == all_days(1.0)
    assert dock.is_settled()


def test_verify_survives_whatever_a_damaged_table_raises(
    dock: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    dock.tides.ok()

    def raising(*_: object) -> Any:
        raise Panic("range is out of bounds\nof the file")

    with monkeypatch.context() as patched, dock.tides.open() as project:
        patched.setattr(SqliteTables, "find_fault", raising)
        patched.setattr(SqliteTables, "deliver_all", raising)
        problems = project.stored_state.verify(repair=True).problems
    message = (
        "out can't be read: Panic: range is out of bounds; "
        "out can't be written: Panic: range is out of bounds"
    )
    assert {(problem.message, problem.repaired) for problem in problems} == {(message, False)}
    assert len(problems) == DAYS
    with monkeypatch.context() as patched, dock.tides.open() as project:
        patched.setattr(SqliteTables, "find_fault", interrupted)
        with pytest.raises(KeyboardInterrupt):
            project.stored_state.verify()


def interrupted(*_: object) -> Any:
    raise KeyboardInterrupt


def test_damaged_files_of_a_delta_table_are_found_and_replaced(tmp_path: Path) -> None:
    dock = Dock(tmp_path)
    dock.fill(1.0)
    dock.tides.edit('tm.sqlite("out.db", "out")', 'tm.delta("out")')
    dock.tides.ok()
    file = next((tmp_path / "out" / f"tidemill_partition={day(1)}").glob("*.parquet"))
    good = file.read_bytes()
    for damaged in (b"garbage", good[: len(good) // 2], good[:-9] + b"\xff" * 9):
        file.write_bytes(damaged)
        with dock.tides.open() as project:
            problems = project.stored_state.verify().problems
        assert [problem.place for problem in problems] == [f"out {day(1)}"]
    with dock.tides.open() as project:
        assert project.stored_state.verify(repair=True).is_sound
    assert dock.is_settled()
