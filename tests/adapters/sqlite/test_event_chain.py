"""Every edit of a ledger's file that leaves the hash chain as it is breaks it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.tables import earlier, execute, rebuild, store_as_text, tables
from tidemill.adapters.codec.events import encode_event
from tidemill.adapters.sqlite.event_chain import chain_faults, linked_events
from tidemill.adapters.sqlite.event_files import export_events, import_events
from tidemill.adapters.sqlite.integrity import find_chain_fault, find_damage, rebuild_from
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.adapters.sqlite.stamps import stamp
from tidemill.testing.records import (
    PROD,
    events_of_every_kind,
    published_event,
    token_revoked_event,
)

UNLOCKED = ("DROP TRIGGER events_refuse_update", "DROP TRIGGER events_refuse_delete")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    ledger = SqliteLedger(tmp_path / "ledger.db")
    ledger.append(events_of_every_kind(), now=1.0)
    ledger.append([published_event("2"), published_event("3")], now=2)
    ledger.close()
    return tmp_path / "ledger.db"


def faults(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [*chain_faults(connection)]


def links(path: Path) -> list[bytes]:
    with closing(sqlite3.connect(path)) as connection:
        return [link for (link,) in connection.execute("SELECT link FROM links ORDER BY seq")]


def test_what_was_recorded_is_chained(path: Path) -> None:
    assert faults(path) == []
    assert find_damage(path) == []
    with closing(sqlite3.connect(path)) as connection:
        events = [*linked_events(connection)]
    assert [event.link for event in events] == links(path)
    assert [event.place.seq for event in events] == [*range(1, len(events) + 1)]


OTHER = stamp(encode_event(token_revoked_event())).replace("'", "''")


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        (f"UPDATE events SET body = '{OTHER}' WHERE seq = 5", "at event 5"),
        ("UPDATE events SET at = 3.0 WHERE seq = 5", "at event 5"),
        ("UPDATE events SET environment = 'other' WHERE seq = 6", "at event 6"),
        ("UPDATE events SET batch = 2 WHERE seq = 6", "at event 6"),
        ("DELETE FROM events WHERE seq = 5", "at event 6"),
        ("DELETE FROM events WHERE seq = (SELECT max(seq) FROM events)", "was removed"),
        ("UPDATE events SET body = 'x' WHERE seq = 5", "event 5 is not what was recorded"),
        ("UPDATE events SET body = x'00' WHERE seq = 5", "event 5 is not what was recorded"),
        ("UPDATE events SET body = 5 WHERE seq = 5", "event 5 is not what was recorded"),
        ("UPDATE events SET kind = x'ff' WHERE seq = 5", "event 5 is not what was recorded"),
        (
            "UPDATE events SET kind = CAST(kind AS BLOB) WHERE seq = 5",
            "event 5 is not what was recorded",
        ),
        ("UPDATE events SET at = 'x' WHERE seq = 5", "event 5 is not what was recorded"),
        (
            "INSERT INTO events SELECT max(seq) + 1, batch, at, kind, environment, run, stage, partition, "
            "body FROM events",
            "at event",
        ),
    ],
)
def test_an_edit_breaks_the_chain(path: Path, statement: str, broken: str) -> None:
    execute(path, *UNLOCKED, statement)
    (fault,) = faults(path)
    assert broken in fault


def test_the_links_themselves_are_append_only(path: Path) -> None:
    for statement in (
        "DELETE FROM links",
        "UPDATE links SET link = x'00'",
        "INSERT OR REPLACE INTO links VALUES (3, x'00')",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="links are append-only"):
            execute(path, statement)


@pytest.mark.parametrize(
    "statement", ["DELETE FROM links WHERE seq = 3", "UPDATE links SET link = x'00' WHERE seq = 3"]
)
def test_a_changed_link_breaks_the_chain(path: Path, statement: str) -> None:
    execute(path, "DROP TRIGGER links_refuse_delete", "DROP TRIGGER links_refuse_update", statement)
    assert "broken at event 3" in find_chain_fault(path)
    assert [fault for fault in find_damage(path) if "broken at event 3" in fault]


def test_a_chain_is_no_fault_of_a_ledger_that_is_damaged_otherwise(path: Path) -> None:
    execute(path, *UNLOCKED, "UPDATE events SET body = 'x' WHERE seq = 5")
    assert find_chain_fault(path) == ""
    assert find_chain_fault(path.with_name("none.db")) == ""


def test_a_rebuilt_ledger_has_the_same_chain(path: Path, tmp_path: Path) -> None:
    rebuild(path, tmp_path / "copy.db")
    assert links(tmp_path / "copy.db") == links(path)
    export_events(path, tmp_path / "events.jsonl")
    found = import_events(tmp_path / "events.jsonl")
    rebuild_from(found.events, tmp_path / "imported.db", is_complete=True)
    assert links(tmp_path / "imported.db") == links(path)
    assert tables(tmp_path / "imported.db") == tables(path)


def test_a_body_is_kept_as_another_version_wrote_it(path: Path, tmp_path: Path) -> None:
    written = '{"kind":"Ticked","v":1, "event":{"schedule":"nightly", "tick":"odd"}}'
    with earlier(tmp_path / "before.db", 8) as run:
        run(
            "INSERT INTO events VALUES (1, 1, 1.0, 'Ticked', NULL, NULL, NULL, NULL, ?)",
            stamp(written),
        )
        run("INSERT INTO ticks VALUES ('nightly', 'odd')")
    SqliteLedger(tmp_path / "before.db").close()
    assert find_damage(tmp_path / "before.db") == []
    rebuild(tmp_path / "before.db", tmp_path / "copy.db")
    with closing(sqlite3.connect(tmp_path / "copy.db")) as connection:
        assert [event.body for event in linked_events(connection)] == [written]


def test_a_ledger_from_before_is_chained_as_it_is_stored(path: Path, tmp_path: Path) -> None:
    before = tmp_path / "before.db"
    store_as_text(path)
    with earlier(before, 8) as run:
        run("ATTACH ? AS made", str(path))
        run("INSERT INTO events SELECT * FROM made.events")
    ledger = SqliteLedger(before)
    assert links(before) == links(path)
    ledger.append([published_event("4", environment=PROD)], now=3.0)
    ledger.close()
    assert faults(before) == []


def test_events_that_are_left_out_leave_a_chain_of_the_others(path: Path, tmp_path: Path) -> None:
    export_events(path, tmp_path / "events.jsonl")
    events = import_events(tmp_path / "events.jsonl").events
    made = tmp_path / "made.db"
    rebuild_from([*events[:2], *events[1:]], made, is_complete=False)
    assert faults(made) == []
