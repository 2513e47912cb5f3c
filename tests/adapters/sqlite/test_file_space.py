"""A ledger's file shrinks in small steps while others write to it, and has the same rows as before."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.compaction import compact
from tests.support.tables import execute, store_as_text, tables
from tidemill.adapters.sqlite import file_space
from tidemill.adapters.sqlite.connections import Connections
from tidemill.adapters.sqlite.file_space import pack_pages, shrink
from tidemill.adapters.sqlite.integrity import find_damage
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.core.errors import StorageError
from tidemill.ledger.schedule_events import Ticked
from tidemill.testing.records import published_event
from tidemill.testing.suites.ledger import nobody_is_dead

COUNT = 400
OLD_FILE = ("PRAGMA journal_mode = DELETE", "PRAGMA auto_vacuum = NONE", "VACUUM")

# Appends an event for each line that it is given, and one all the time in between.
WRITER = """
import sys, threading
from pathlib import Path
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.ledger.schedule_events import Ticked

ledger, ended, count = SqliteLedger(Path(sys.argv[1])), threading.Event(), 0
threading.Thread(target=lambda: (sys.stdin.read(), ended.set())).start()
while not ended.is_set():
    ledger.append([Ticked(schedule="writer", tick=str(count))], now=2e9)
    count += 1
    if count == 3:
        print("writing", flush=True)
print(count)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger with bodies that a compaction makes much smaller."""
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger(path)
    for start in range(0, COUNT, 50):
        events = [
            Ticked(schedule="x" * 1500, tick=str(number)) for number in range(start, start + 50)
        ]
        ledger.append([*events, published_event(str(start))], now=1.0)
    ledger.close()
    store_as_text(path)
    SqliteLedger(path).close()
    return path


def pages(path: Path) -> tuple[int, int]:
    """The pages of a file, and how many are free."""
    with closing(sqlite3.connect(path)) as connection:
        (found,) = connection.execute(
            "SELECT page_count, freelist_count FROM pragma_page_count, pragma_freelist_count"
        ).fetchall()
        return int(found[0]), int(found[1])


def mode(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA auto_vacuum").fetchall()[0][0])


@contextmanager
def lease(path: Path, name: str) -> Iterator[None]:
    ledger = SqliteLedger(path)
    ledger.acquire(name, {"pid": "1"}, now=4e9, ttl=1e9, dead=nobody_is_dead)
    yield
    ledger.close()


def test_the_file_shrinks_as_if_it_was_copied(path: Path) -> None:
    before = pages(path)[0]
    found = compact(path)
    assert found.notes == ()
    assert found.file_after < found.file_before
    after, free = pages(path)
    assert free == 0
    assert after < before
    assert find_damage(path) == []
    execute(path, "VACUUM")
    assert after <= 1.2 * pages(path)[0] + 8


def test_it_shrinks_while_up_and_a_run_work(path: Path) -> None:
    with lease(path, "up:prod"), lease(path, "run:prod"):
        before = pages(path)[0]
        assert compact(path).notes == ()
        assert pages(path)[0] < before


def test_it_shrinks_beside_a_process_that_writes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_space, "_STEP_PAGES", 2)
    # However much the other one adds meanwhile.
    monkeypatch.setattr(file_space, "_WORTHWHILE_SHARE", 0.0)
    monkeypatch.setattr(file_space, "_WAIT_S", 60.0)
    command = [sys.executable, "-c", WRITER, str(path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        found = compact(path, batch=50)
        written, _ = writer.communicate()
    assert writer.returncode == 0
    assert found.notes == ()
    ledger = SqliteLedger(path)
    ticks = [
        fact.event.tick for fact in ledger.events(kinds=("Ticked",)) if fact.at == 2e9
        if isinstance(fact.event, Ticked)
    ]  # fmt: skip
    ledger.close()
    assert ticks == [str(number) for number in range(int(written))]
    assert find_damage(path) == []
    assert pages(path)[1] == 0


def test_what_is_stored_anew_is_the_same(path: Path) -> None:
    before = tables(path)
    execute(
        path, "DROP TRIGGER events_refuse_update", "UPDATE events SET run = x'ff' WHERE seq = 7"
    )
    damaged = tables(path)
    connections = Connections(path, 1.0, foreign_keys=False)
    with connections.write_transaction() as connection:
        pack_pages(connection, 3, 90, 50)
    assert tables(path) == damaged != before
    with pytest.raises(StorageError, match="append-only"), connections.write_transaction() as after:
        after.execute("DELETE FROM events WHERE seq = 5")
    connections.close()


def test_a_few_among_many_are_left_where_they_are(path: Path) -> None:
    connections, done = Connections(path, 1.0, foreign_keys=False), list[str]()
    with connections.write_transaction() as connection:
        connection.set_trace_callback(done.append)
        pack_pages(connection, 1, COUNT, COUNT // 5)
        assert done == []
        pack_pages(connection, 1, COUNT, COUNT // 3)
        assert done
    connections.close()


def test_little_free_space_is_left_for_what_comes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_space, "_WORTHWHILE_SHARE", 0.99)
    before = pages(path)[0]
    assert compact(path).notes == ()
    after, free = pages(path)
    assert after >= before
    assert free > 0


def test_a_file_of_before_is_copied_once(path: Path) -> None:
    execute(path, *OLD_FILE)
    assert mode(path) == 0
    before = tables(path)
    reader = SqliteLedger(path)
    assert shrink(path, 0) == []
    assert mode(path) == 2
    assert tables(path) == before
    # A process that had it open goes on.
    reader.append([published_event("late")], now=2.0)
    reader.close()
    assert find_damage(path) == []


def test_a_large_file_of_before_waits_until_nobody_works(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_space, "_QUICK_BYTES", 1000)
    execute(path, *OLD_FILE)
    with lease(path, "up:prod"):
        (note,) = compact(path).notes
        assert note == (
            "the file keeps its size, because up:prod is active: call `tidemill ledger compact` once while "
            "no run and no `tidemill up` works; from then on it shrinks beside them"
        )
        # There is nothing to gain now.
        monkeypatch.setattr(file_space, "_WORTHWHILE_SHARE", 2.0)
        assert shrink(path, 0) == []
        assert mode(path) == 0
    execute(path, "UPDATE leases SET holder = NULL")
    assert shrink(path, 0) == []
    assert mode(path) == 2


@pytest.mark.parametrize("statements", [(), OLD_FILE])
def test_it_keeps_its_size_while_another_process_holds_the_lock(
    path: Path, monkeypatch: pytest.MonkeyPatch, statements: Any
) -> None:
    monkeypatch.setattr(file_space, "_WAIT_S", 0.0)
    monkeypatch.setattr(file_space, "_WORTHWHILE_SHARE", 0.0)
    execute(path, *statements)
    execute(path, "PRAGMA journal_mode = WAL", "CREATE TABLE more (text)", "DROP TABLE more")
    with closing(sqlite3.connect(path, isolation_level=None)) as blocker:
        blocker.execute("BEGIN IMMEDIATE")
        (note,) = shrink(path, 10)
        blocker.execute("ROLLBACK")
    assert note == (
        "the file keeps its size (another process uses it): a later compaction shrinks it"
    )
