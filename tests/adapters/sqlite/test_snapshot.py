import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.tables import tables
from tests.support.tampering import unlocked
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.adapters.sqlite.snapshot import copy_ledger, needed_objects, release_leases
from tidemill.core.errors import ConflictError, StorageError
from tidemill.ledger.garbage import MarkedEvents
from tidemill.ledger.retention_events import DataPinned, DataUnpinned, SweepMarked
from tidemill.testing import records as samples
from tidemill.testing.suites.ledger import nobody_is_dead


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger(path)
    ledger.append(samples.events_of_every_kind(), now=1.0)
    ledger.close()
    return path


def test_a_copy_is_one_file_with_everything(path: Path, tmp_path: Path) -> None:
    ledger = SqliteLedger(path)
    # Another process has it open, and has written what is only in the log beside it.
    ledger.append([samples.run_started_event("run-9")], now=2.0)
    copy = tmp_path / "copy.db"
    found = copy_ledger(path, copy)
    assert tables(copy) == tables(path)
    assert not copy.with_name("copy.db-wal").exists()
    assert found.events == ledger.state(samples.PROD).seq
    assert found.objects == needed_objects(copy) == needed_objects(path)
    assert samples.object_name("one") in found.objects
    ledger.close()


def test_pulled_rows_are_needed(path: Path) -> None:
    name = samples.object_name("pulled")
    ledger = SqliteLedger(path)
    ledger.append([samples.source_seen_event("batch 1", digest=name)], now=2.0)
    ledger.close()
    assert name in needed_objects(path)
    with unlocked(path) as connection:
        connection.execute("UPDATE sources SET body = 'x' WHERE path = 'batch 1'")
    # A damaged record is found when the ledger is verified.
    assert name not in needed_objects(path)


def test_what_is_kept_although_no_event_needs_it_is_known(path: Path, tmp_path: Path) -> None:
    pinned, former = f"{1:064x}.parquet", f"{2:064x}.parquet"
    ledger = SqliteLedger(path)
    seq = ledger.append([samples.published_event("old", stage="marked")], now=2.0)
    ledger.append([samples.removed_event("old", stage="marked")], now=3.0)
    marks = (MarkedEvents(stage="marked", reason="superseded", events=(seq,)),)
    pins = {"p1": pinned, "p2": former, "p3": "features"}
    ledger.append(
        [
            SweepMarked(sweep="s", marks=marks),
            *(
                DataPinned(environment=samples.PROD, pin=pin, target=what, actor="a", reason="so")
                for pin, what in pins.items()
            ),
            DataUnpinned(environment=samples.PROD, pin="p2", actor="a"),
        ],
        now=4.0,
    )
    ledger.close()
    with closing(sqlite3.connect(path)) as connection:
        marked = {name for (name,) in connection.execute("SELECT object FROM garbage")}
    assert marked
    found = copy_ledger(path, tmp_path / "copy.db")
    assert found.kept >= {*marked, pinned}
    assert not found.kept & {former, "features", *found.objects}
    with unlocked(path) as connection:
        connection.execute("UPDATE events SET body = 'x' WHERE kind = 'DataPinned'")
    # A damaged record is found when the ledger is verified.
    assert pinned not in copy_ledger(path, tmp_path / "other.db").kept


def test_nobody_holds_a_lease_of_a_copy(path: Path, tmp_path: Path) -> None:
    ledger, copy = SqliteLedger(path), tmp_path / "copy.db"
    lease = ledger.acquire("run", {"pid": "1"}, now=1.0, ttl=1e9, dead=nobody_is_dead)
    ledger.append([samples.run_started_event("run-9")], now=2.0)
    copy_ledger(path, copy)
    assert release_leases(copy) == ("run-9",)
    other = SqliteLedger(copy)
    with pytest.raises(ConflictError):
        other.renew(lease, now=2.0, ttl=1.0)
    assert other.acquire("run", {"pid": "2"}, now=2.0, ttl=1.0, dead=nobody_is_dead).token > 1
    other.close()
    assert ledger.renew(lease, now=2.0, ttl=1.0).token == 1
    ledger.close()


@pytest.mark.parametrize(
    "act",
    [lambda path: copy_ledger(path, path.with_name("copy.db")), needed_objects, release_leases],
)
def test_a_file_that_is_no_ledger_is_an_error(path: Path, act: Callable[[Path], Any]) -> None:
    path.write_bytes(b"no ledger" * 999)
    with pytest.raises(StorageError, match="is damaged or no ledger"):
        act(path)


def test_a_text_that_is_no_text_is_an_error(path: Path) -> None:
    with unlocked(path) as connection:
        assert isinstance(connection, sqlite3.Connection)
        connection.execute("DROP TABLE pins")
    with pytest.raises(StorageError):
        needed_objects(path)
