"""A ledger is replaced while nobody else has it open, and what waited for it goes on in the new one."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tidemill.adapters.sqlite import integrity
from tidemill.adapters.sqlite.integrity import find_damage, read_events, rebuild_from
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.adapters.sqlite.replacement import LockedLedger, lock_ledger
from tidemill.core.errors import ConflictError, StorageError
from tidemill.ledger.event import RecordedEvent
from tidemill.testing.records import PROD, events_of_every_kind, published_event


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(integrity, "WAIT_S", 0.1)
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger(path)
    ledger.append(events_of_every_kind(), now=1.0)
    ledger.close()
    return path


def rebuild(old: LockedLedger, path: Path, most: int | None = None) -> Path:
    events, damaged = old.read_events()
    assert damaged == []
    new = path.with_name("new.db")
    rebuild_from(events[:most], new, is_complete=True)
    return old.replace(new, "before")


def recorded(path: Path) -> list[RecordedEvent]:
    with closing(SqliteLedger(path)) as ledger:
        return list(ledger.events())


@pytest.fixture
def opened(path: Path) -> Iterator[SqliteLedger]:
    """The ledger as another process has it open: without a transaction."""
    with closing(SqliteLedger(path)) as ledger:
        yield ledger


def test_a_rebuilt_ledger_is_the_same_and_the_old_one_is_kept(path: Path) -> None:
    before = recorded(path)
    with lock_ledger(path) as old:
        kept = rebuild(old, path)
    assert kept == path.with_name("ledger.db.before")
    assert sorted(p.name for p in path.parent.iterdir()) == ["ledger.db", kept.name]
    assert kept.stat().st_mode & 0o777 == 0o600
    assert recorded(path) == recorded(kept) == before
    assert find_damage(path) == find_damage(kept) == []
    # Each old file is kept.
    with lock_ledger(path) as old:
        assert rebuild(old, path) == path.with_name("ledger.db.beforex")


def test_a_ledger_that_is_open_elsewhere_is_left_alone(path: Path, opened: SqliteLedger) -> None:
    refused = pytest.raises(ConflictError, match=r"another process has the ledger .* open: end it")
    with refused, lock_ledger(path):
        pass
    opened.append([published_event("next")], now=2.0)
    opened.close()
    with lock_ledger(path) as old:
        rebuild(old, path)
    assert recorded(path)[-1].event == published_event("next")


def test_an_active_run_is_named(path: Path) -> None:
    with closing(SqliteLedger(path)) as ledger:
        ledger.acquire("run:prod", {"pid": "4711"}, now=4e9, ttl=60.0, dead=lambda holder: False)
        refused = pytest.raises(ConflictError, match="a run is active in run:prod: pid 4711")
        with refused, lock_ledger(path):
            pass


def test_what_waits_for_a_rebuild_is_recorded_in_the_new_ledger(path: Path) -> None:
    seen: list[list[int]] = []

    def append() -> None:
        with closing(SqliteLedger(path)) as ledger:
            before = len(list(ledger.events()))
            ledger.append([published_event("late")], now=2.0)
            seen.append([before, len(list(ledger.events()))])

    late = threading.Thread(target=append)
    with lock_ledger(path) as old:
        late.start()
        # The new one differs, so that it can be told from the old one.
        rebuild(old, path, most=5)
        # The thread waits for the file that was there when it began.
        late.join(0.2)
        assert late.is_alive()
    late.join(30)
    assert seen == [[5, 6]]
    assert len(recorded(path)) == 6
    assert len(recorded(path.with_name("ledger.db.before"))) == len(events_of_every_kind())
    assert find_damage(path) == []


def test_nothing_is_recorded_while_a_ledger_is_locked(path: Path) -> None:
    with lock_ledger(path):
        with pytest.raises(ConflictError, match="is busy"):
            SqliteLedger(path, busy_timeout_s=0.1)
        with pytest.raises(ConflictError, match="another process rebuilds it"):
            read_events(path)
        with pytest.raises(ConflictError, match="another process rebuilds it"):
            find_damage(path)


def test_the_token_of_a_lease_is_never_given_again(path: Path) -> None:
    with closing(SqliteLedger(path)) as ledger:
        lost = ledger.acquire("run:prod", {"pid": "1"}, now=1.0, ttl=1.0, dead=lambda _: False)
    with lock_ledger(path) as old:
        rebuild(old, path)
    with closing(SqliteLedger(path)) as ledger:
        with pytest.raises(ConflictError, match="nobody holds it now"):
            ledger.renew(lost, now=2.0, ttl=1.0)
        taken = ledger.acquire("run:prod", {"pid": "2"}, now=3.0, ttl=1.0, dead=lambda _: False)
        assert taken.token == lost.token + 1


def test_a_file_that_is_no_database_is_kept_and_replaced(path: Path) -> None:
    with lock_ledger(path) as old:
        events, _ = old.read_events()
    path.write_bytes(b"no database" * 1_000)
    new = path.with_name("new.db")
    with lock_ledger(path) as old:
        with pytest.raises(StorageError, match="is damaged or no ledger"):
            old.read_events()
        # What SQLite left beside it is kept as well, and never read with the new file.
        wal = Path(f"{path}-wal")
        wal.write_bytes(b"nor this")
        rebuild_from(events, new, is_complete=True)
        kept = old.replace(new, "before")
    assert kept.read_bytes().startswith(b"no database")
    assert Path(f"{kept}-wal").read_bytes() == b"nor this"
    assert not wal.exists()
    with closing(SqliteLedger(path)) as ledger:
        assert ledger.state(PROD).seq == len(events)


def test_a_missing_ledger_is_created(path: Path) -> None:
    events, _ = read_events(path)
    path.unlink()
    new = path.with_name("new.db")
    with lock_ledger(path) as old:
        rebuild_from(events, new, is_complete=True)
        assert not old.replace(new, "before").exists()
    assert len(recorded(path)) == len(events)


def test_an_error_leaves_the_old_ledger(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = recorded(path)

    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(StorageError, match="no space left"), lock_ledger(path) as old:
        rebuild(old, path)
    monkeypatch.undo()
    assert recorded(path) == before
    assert sqlite3.connect(path).execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_message_of_sqlite_that_is_not_unicode_is_damage(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    payload = path.read_bytes()
    # The name of an index in the schema, which SQLite quotes.
    path.write_bytes(payload.replace(b"INDEX events_by_run", b"INDEX events_by_\xff\xfe\xe5"))
    with pytest.raises(StorageError, match="is damaged or no ledger"):
        SqliteLedger(path)
    assert all(text.isprintable() for text in find_damage(path))
    assert find_damage(path)
    with lock_ledger(path) as old, pytest.raises(StorageError, match="is damaged or no ledger"):
        old.read_events()
