"""Migrations are numbered, and the one that adds costs computes them from recorded attempts."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.adapters.sqlite.test_packed_text import packed_before
from tests.support.compaction import compact
from tests.support.tables import bodies, rebuild, store_as_text, tables
from tests.support.tampering import unlocked
from tidemill.adapters.codec.events import decode, encode, encode_event
from tidemill.adapters.sqlite.connections import APPLICATION_ID
from tidemill.adapters.sqlite.event_chain import read_chain
from tidemill.adapters.sqlite.event_files import export_events, import_events
from tidemill.adapters.sqlite.integrity import find_damage, rebuild_from
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.adapters.sqlite.migrations import SCHEMA_VERSION, add_functions, migrations
from tidemill.adapters.sqlite.packed_text import is_packed
from tidemill.adapters.sqlite.stamps import stamp, unstamp
from tidemill.ledger.event_digest import ChainedEvent
from tidemill.ledger.event_subjects import KINDS_WITH_SUBJECTS
from tidemill.ledger.run import Outcome
from tidemill.testing.records import (
    PROD,
    attempted_event,
    events_of_every_kind,
    run_started_event,
)
from tidemill.workflow.source import SourceFile

# The migration that adds the table of costs.
COSTS = 4
# The migration that adds the subjects of events.
SUBJECTS = 11
ATTEMPTS: list[tuple[float, dict[str, Any]]] = [
    *[(1.0, {}), (2.0, {})] * 8,
    (1.5, {}),
    (9.0, {"outcome": Outcome.FAILED}),
    (9.0, {"action": "bind"}),
    (0.25, {"outcome": Outcome.BOUND}),
    (5.0, {"action": "train", "stage": "labels"}),
    (16.5, {}),
]
# An attempt of which only what it needs is written.
BARE = (
    '{"kind":"Attempted","v":1,"event":{"run":"run-1","environment":"prod","attempt":{"stage":"bare",'
    '"partition":"2013-03-07","action":"run","outcome":"ok"}}}'
)


def test_migrations_are_numbered_without_a_gap_and_known() -> None:
    assert [version for version, _ in migrations(0)] == list(range(1, SCHEMA_VERSION + 1))
    assert list(migrations(SCHEMA_VERSION)) == []


def test_a_trigger_is_one_statement() -> None:
    statements = [text for _, several in migrations(0) for text in several]
    triggers = [text for text in statements if text.startswith("CREATE TRIGGER")]
    assert len(triggers) == 13
    assert all(text.endswith("END;") for text in triggers)


def before_costs(path: Path, bodies: list[tuple[str, str]]) -> None:
    """A ledger of the schema before costs, with attempts at stages as stored events."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        for version, statements in migrations(0):
            if version < COSTS:
                for statement in statements:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("INSERT INTO environments VALUES (?, '')", (PROD,))
        rows = [
            (seq, 1, 1.0, "Attempted", PROD, "run-1", stage, "2013-03-07", body)
            for seq, (stage, body) in enumerate(bodies, 1)
        ]
        connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)


def test_costs_are_computed_from_recorded_attempts(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    tried = [
        attempted_event(wall_s=wall, cpu_s=2 * wall, rows_in=10, bytes_in=80, rows_out=5, **of)
        for wall, of in ATTEMPTS
    ]
    bodies = [(event.attempt.stage, encode_event(event)) for event in tried]
    before_costs(path, [*bodies, ("bare", BARE)])
    ledger = SqliteLedger(path)
    costs = ledger.state(PROD).costs
    ledger.close()
    found = {
        (s, action): (c.attempts, c.wall_s) for s, of in costs.items() for action, c in of.items()
    }
    assert found == {
        ("bare", "run"): (1, 0.0),
        ("features", "bind"): (1, 0.25),
        ("features", "run"): (18, 1.5 + 15 / 16),
        ("labels", "train"): (1, 5.0),
    }
    copy = path.with_name("copy.db")
    rebuild(path, copy)
    assert tables(copy) == tables(path)


def test_a_ledger_without_attempts_has_no_costs(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    before_costs(path, [])
    ledger = SqliteLedger(path)
    assert ledger.state(PROD).costs == {}
    ledger.close()


def test_subjects_are_found_in_events_from_before(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger(path)
    events = events_of_every_kind()
    ledger.append(events, now=1.0)
    ledger.append([run_started_event("run-2")], now=2.0)
    ledger.close()
    expected = tables(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for text in (
            "DROP INDEX events_by_stage",
            "DROP INDEX events_by_partition",
            "DROP TABLE subjects",
            "DROP TABLE open_subjects",
            *dict(migrations(SUBJECTS - 1))[SUBJECTS],
        ):
            add_functions(connection)
            connection.execute(text)
    assert tables(path) == expected
    assert expected["open_subjects"] == [("run run-2",)]
    assert len(expected["subjects"]) > len(KINDS_WITH_SUBJECTS)


def whole_file(stored: str) -> str:
    """A file of a source as schema 16 stores it, with fields that hold their default."""
    return stamp(encode(decode(SourceFile, unstamp(stored)))) if stored else stored


def stored_before(path: Path) -> list[str | bytes]:
    """Store a ledger as schema 16 does, every other event packed by a compaction; return its bodies."""
    store_as_text(path)
    with unlocked(path) as connection:
        connection.create_function("packed_before", 1, lambda body: packed_before(unstamp(body)))
        connection.create_function("whole_file", 1, whole_file)
        connection.execute("UPDATE events SET body = packed_before(body) WHERE seq % 2 = 0")
        connection.execute("UPDATE sources SET body = whole_file(body)")
    return stored_bodies(path)


def stored_bodies(path: Path) -> list[str | bytes]:
    with closing(sqlite3.connect(path)) as connection:
        return [body for (body,) in connection.execute("SELECT body FROM events ORDER BY seq")]


def test_events_of_schema_16_stay_as_they_are(tmp_path: Path) -> None:
    path, copy, exported = tmp_path / "ledger.db", tmp_path / "copy.db", tmp_path / "events.jsonl"
    with closing(SqliteLedger(path)) as ledger:
        ledger.append(events_of_every_kind(), now=1.0)
        facts, texts = [*ledger.events()], bodies(path)
    chain = [event.link for event in whole_chain(path)]
    before = stored_before(path)
    with closing(SqliteLedger(path)) as ledger:
        assert stored_bodies(path) == before
        assert [*ledger.events()] == facts
        assert ledger.state(PROD, whole=True).sources
        ledger.append([attempted_event()], now=2.0)
    assert stored_bodies(path)[:-1] == before
    assert bodies(path)[:-1] == texts
    assert [event.link for event in whole_chain(path)][:-1] == chain
    assert find_damage(path) == []
    export_events(path, exported)
    rebuild_from(import_events(exported).events, copy, is_complete=True)
    assert bodies(copy) == bodies(path)
    assert [event.link for event in whole_chain(copy)][:-1] == chain
    assert all(map(is_packed, stored_bodies(copy)))
    assert compact(path).packed > len(before) // 4
    assert bodies(path)[0] == texts[0]


def whole_chain(path: Path) -> list[ChainedEvent]:
    found = [*read_chain(path)]
    assert all(
        isinstance(event, ChainedEvent) and event.link == event.stored_link for event in found
    )
    return [event for event in found if isinstance(event, ChainedEvent)]
