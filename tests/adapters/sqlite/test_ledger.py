"""Tests specific to the SQLite file; the suite covers what every ledger guarantees."""

import gc
import os
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.tables import earlier, execute, rebuild, tables
from tidemill.adapters.codec.events import encode, encode_event, event_scope
from tidemill.adapters.sqlite import migrations as sqlite_migrations
from tidemill.adapters.sqlite.connections import Connections
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.adapters.sqlite.migrations import SCHEMA_VERSION, migrations
from tidemill.core.errors import ConflictError, StorageError
from tidemill.ledger.binding import Binding, find_bindings
from tidemill.ledger.event import EnvironmentCreated, Event
from tidemill.ledger.schedule_events import Ticked
from tidemill.ports.ledger import Guard
from tidemill.testing import records as samples
from tidemill.testing.records import PROD, events_of_every_kind, published_event
from tidemill.testing.suites.ledger import nobody_is_dead


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[SqliteLedger]:
    ledger = SqliteLedger(path)
    yield ledger
    ledger.close()


def test_the_file_header_identifies_a_ledger(path: Path, ledger: SqliteLedger) -> None:
    with closing(sqlite3.connect(path)) as connection:
        found = {
            name: connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("user_version", "application_id", "journal_mode")
        }
        made = connection.execute("SELECT * FROM migrations").fetchall()
    assert found == {"user_version": 17, "application_id": 0x54444D4C, "journal_mode": "wal"}
    assert made == [
        (1, "0.1.0"),
        (2, "0.1.0"),
        (3, "0.1.0"),
        (4, "0.1.0"),
        (5, "0.1.0"),
        (6, "0.1.0"),
        (7, "0.1.0"),
        (8, "0.1.0"),
        (9, "0.1.0"),
        (10, "0.1.0"),
        (11, "0.1.0"),
        (12, "0.1.0"),
        (13, "0.1.0"),
        (14, "0.1.0"),
        (15, "0.1.0"),
        (16, "0.1.0"),
        (17, "0.1.0"),
    ]


def test_space_in_the_file_can_be_given_back(path: Path, ledger: SqliteLedger) -> None:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)  # INCREMENTAL


def test_every_append_is_forced_to_the_disk(ledger: SqliteLedger) -> None:
    ledger.append([published_event()], now=1.0)
    for connection in (ledger._connections._writer, ledger._connections._reader):
        assert connection is not None
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
        assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)


def test_everything_is_kept_when_it_is_reopened(path: Path, ledger: SqliteLedger) -> None:
    ledger.append(events_of_every_kind(), now=1.0)
    state, facts = ledger.state(PROD), list(ledger.events())
    lease = ledger.acquire("run", {"pid": "1"}, now=1.0, ttl=9.0, dead=nobody_is_dead)
    ledger.close()
    again = SqliteLedger(path)
    assert (again.state(PROD), list(again.events())) == (state, facts)
    again.append([published_event()], now=2.0, guard=Guard(lease=lease))
    again.close()
    assert ledger.state(PROD).seq == len(facts) + 1  # a closed ledger opens again when it is used
    assert not path.with_name("ledger.db-journal").exists()


def test_dropping_a_ledger_closes_its_connections(path: Path) -> None:
    ledger = SqliteLedger(path)
    ledger.append([Ticked(schedule="s", tick="t")], now=1.0)
    connections = [*ledger._connections._open]
    assert len(connections) == 2
    del ledger
    gc.collect()
    for connection in connections:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET at = 0",
        "UPDATE events SET body = '{}' WHERE seq = 1",
        "DELETE FROM events",
        "DELETE FROM events WHERE seq = 14",
        "INSERT OR REPLACE INTO events (seq, batch, at, kind, body) VALUES (3, 3, 0, 'X', '{}')",
    ],
)
def test_facts_are_never_changed(path: Path, ledger: SqliteLedger, statement: str) -> None:
    ledger.append(events_of_every_kind(), now=1.0)
    before = tables(path)
    # Only a compaction has the functions that an update would need.
    with pytest.raises(sqlite3.Error, match=r"append-only|no such function: is_same_fact"):
        execute(path, statement)
    assert tables(path) == before


def test_derived_tables_follow_from_the_facts(path: Path, ledger: SqliteLedger) -> None:
    ledger.append(events_of_every_kind(), now=1.0)
    branch: list[Event] = [
        published_event("2014-01-01", environment="dev-ben"),
        EnvironmentCreated(environment="dev", parent=PROD),
        published_event("2014-01-01", environment="dev"),
        published_event("2014-01-02", environment="dev"),
        samples.removed_event("2013-03-07", environment="dev"),
    ]
    ledger.append(branch, now=2.0)
    copy = path.with_name("copy.db")
    rebuild(path, copy)
    assert tables(copy) == tables(path)
    assert all(tables(path)[name] for name in ("heads", "bindings", "traces", "pins", "outbox"))


@pytest.mark.parametrize("version", [1, 2])
def test_a_ledger_of_an_earlier_schema_is_migrated(path: Path, version: int) -> None:
    first, second = published_event("2013-03-07"), published_event("2013-03-08")
    settled = samples.settled_event()
    with earlier(path, version) as execute:
        facts: list[Event] = [first, second, second, samples.removed_event("2013-03-07")]
        facts += [replace(second, environment="dev"), first]
        for seq, fact in enumerate(facts, 1):
            said = (type(fact).__name__, *event_scope(fact), encode_event(fact))
            execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", seq, seq, 1.0, *said)
        for environment, count in ((PROD, 5), ("dev", 1)):
            execute("INSERT INTO environments VALUES (?, '')", environment)
            execute("INSERT INTO heads VALUES (?, 'features', ?)", environment, count)
        for environment, event in ((PROD, first), (PROD, second), ("dev", second)):
            row = (environment, "features", event.partition, event.binding.key)
            body = encode(event.binding)
            execute("INSERT INTO bindings VALUES (?, ?, ?, ?, ?)", *row, body)
        for seq, event in enumerate((first, second), 1):
            execute("INSERT INTO traces VALUES (?, 'features', ?)", event.binding.key, seq)
            pin = event.binding.product.all_objects[0]
            execute("INSERT INTO pins VALUES (?, ?)", pin, event.binding.key)
        if version > 1:
            execute(
                "INSERT INTO settled VALUES (?, 'features', ?, 1)", PROD, settled.mark.signature
            )
    ledger = SqliteLedger(path)
    state = ledger.state(PROD)
    bound = {event.partition: event.binding for event in (first, second)}
    assert dict(state.heads["features"].partitions) == bound
    assert state.heads["features"].version == 5
    assert state.completion_marks == ({} if version == 1 else {"features": settled.mark})
    assert dict(ledger.state("dev").heads["features"].partitions) == {"2013-03-08": second.binding}
    ledger.append([settled], now=2.0)
    assert ledger.state(PROD).completion_marks == {"features": settled.mark}
    ledger.close()
    rebuild(path, path.with_name("copy.db"))
    assert tables(path) == tables(path.with_name("copy.db"))


@pytest.mark.parametrize(
    "look",
    [
        lambda held: held["1"],
        lambda held: held.get("3"),
        lambda held: "2" in held,
        lambda held: find_bindings(held, ["1"]),
        len,
        list,
        lambda held: held.items(),
        lambda held: held.values(),
        dict,
    ],
)
def test_a_head_that_moved_is_not_read_any_more(
    ledger: SqliteLedger, look: Callable[[Mapping[str, Binding]], object]
) -> None:
    ledger.append(
        [published_event("1"), published_event("2"), published_event("1", stage="labels")], now=1.0
    )
    state = ledger.state(PROD)
    heads = state.heads
    ledger.append([published_event("3")], now=1.0)
    moved = r"'features' in 'prod' moved while it was read: from version 1 to 2"
    with pytest.raises(ConflictError, match=moved):
        look(heads["features"].partitions)
    assert set(heads["labels"].partitions) == {"1"}
    with pytest.raises(ConflictError, match=moved):
        state.contract_versions.get("features")
    [use] = state.contract_versions["labels"].values()
    assert use.published == 1


def test_after_many_lookups_the_rest_is_read_at_once(ledger: SqliteLedger) -> None:
    ledger.append([published_event(f"{number:04}") for number in range(1000)], now=1.0)
    partitions = ledger.state(PROD).heads["features"].partitions
    reader, asked = ledger._connections._reader, list[str]()
    assert reader is not None
    reader.set_trace_callback(asked.append)
    assert [partitions[f"{number:04}"].key for number in range(1000)] == [
        f"features {number:04}" for number in range(1000)
    ]
    reader.set_trace_callback(None)
    assert sum("FROM bindings" in statement for statement in asked) < 340
    assert partitions == ledger.state(PROD, whole=True).heads["features"].partitions


@pytest.mark.parametrize(
    ("published", "wanted", "reads"),
    [
        (50, 50, 50),
        (1_000, 100, 100),
        (1_000, 200, 200),
        (300, 101, 1),
        (1_000, 400, 1),
    ],
)
def test_partitions_are_looked_up_in_one_snapshot(
    ledger: SqliteLedger, published: int, wanted: int, reads: int
) -> None:
    ledger.append([published_event(f"{number:04}") for number in range(published)], now=1.0)
    partitions = ledger.state(PROD).heads["features"].partitions
    keys = [f"{number:04}" for number in range(published - wanted, published)]
    reader, asked = ledger._connections._reader, list[str]()
    assert reader is not None
    reader.set_trace_callback(asked.append)
    found = find_bindings(partitions, ["0000", *keys[1:], "none", "\ud800"])
    reader.set_trace_callback(None)
    assert found == {key: partitions[key] for key in ("0000", *keys[1:])}
    assert sum("events.body" in statement for statement in asked) == reads + (reads > 1)
    assert asked.count("BEGIN") <= 2
    # What is known is read no more.
    ledger.append([published_event("more")], now=1.0)
    assert find_bindings(partitions, keys[1:]).keys() == {*keys[1:]}


def test_objects_are_pinned_by_the_facts_that_need_them(path: Path, ledger: SqliteLedger) -> None:
    made = samples.product("one", quarantined=1)
    ledger.append(
        [
            published_event(bound=samples.binding("key", made)),
            samples.effect_queued_event("effect"),
        ],
        now=1.0,
    )
    wanted = [(name, 1) for name in made.all_objects]
    wanted.append((samples.effect("effect").object, 2))
    assert tables(path)["pins"] == sorted(wanted)


def test_readers_never_wait_for_a_writer(path: Path, ledger: SqliteLedger) -> None:
    ledger.append([published_event("1")], now=1.0)
    reader, seen = SqliteLedger(path, busy_timeout_s=0.0), []

    def present(names: Collection[str]) -> Collection[str]:
        for each in (reader, ledger):
            seen.append((each.state(PROD).seq, len(list(each.events())), len(each.traces(names))))
        return []

    ledger.append([published_event("2")], now=1.0, guard=Guard(find_missing=present))
    assert seen == [(1, 1, 0)] * 2
    assert reader.state(PROD).seq == 2
    reader.close()


def test_a_waiting_writer_names_the_other(path: Path, ledger: SqliteLedger) -> None:
    other, heard = SqliteLedger(path, busy_timeout_s=0.02), []

    def present(names: Collection[str]) -> Collection[str]:
        for use in (
            lambda: other.append([published_event("2")], now=1.0),
            lambda: other.acquire("run", {}, now=1.0, ttl=1.0, dead=nobody_is_dead),
        ):
            with pytest.raises(ConflictError) as caught:
                use()
            heard.append(str(caught.value))
        return []

    ledger.append([published_event("1")], now=1.0, guard=Guard(find_missing=present))
    holder = {"pid": "4711", "host": "tern"}
    ledger.acquire("run", holder, now=1.0, ttl=9.0, dead=nobody_is_dead)
    ledger.append([published_event("1")], now=1.0, guard=Guard(find_missing=present))
    other.append([published_event("2")], now=1.0)
    other.close()
    assert all("locked" not in message and str(path) in message for message in heard)
    assert ["held by another process for" in message for message in heard] == [True] * 2 + [
        False
    ] * 2
    assert "held by pid 4711, host tern (lease 'run') for over 0.02 s" in heard[2]


def test_creating_waits_for_another_process_too(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ConflictError, match="is busy: held by another process"):
            SqliteLedger(path, busy_timeout_s=0.02)
        other.execute("ROLLBACK")
    SqliteLedger(path, busy_timeout_s=0.02).close()


def test_of_two_concurrent_creators_one_waits(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []

    def while_created(after: int) -> Iterator[tuple[int, list[str]]]:
        begun.append(after)
        with pytest.raises(ConflictError, match="is busy"):
            SqliteLedger(path, busy_timeout_s=0.02)
        return migrations(after)

    monkeypatch.setattr(sqlite_migrations, "migrations", while_created)
    ledger = SqliteLedger(path)
    assert (begun, ledger.append([published_event()], now=1.0)) == ([0], 1)
    ledger.close()


def test_of_two_concurrent_creators_the_second_finds_it_migrated(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_wal = Connections._set_wal

    def then_another_is_faster(self: Connections, connection: sqlite3.Connection) -> None:
        set_wal(self, connection)
        monkeypatch.undo()
        other = SqliteLedger(path)
        other.append([published_event()], now=1.0)
        other.close()

    monkeypatch.setattr(Connections, "_set_wal", then_another_is_faster)
    ledger = SqliteLedger(path)
    assert ledger.append([published_event()], now=1.0) == 2
    ledger.close()


def test_a_newer_ledger_is_refused(path: Path, ledger: SqliteLedger) -> None:
    newer = SCHEMA_VERSION + 1
    execute(path, f"PRAGMA user_version = {newer}")
    with pytest.raises(
        StorageError,
        match=rf"version {newer}, written by a newer Tidemill; .* up to {newer - 1}: pip",
    ):
        SqliteLedger(path)
    execute(path, f"INSERT INTO migrations VALUES ({newer}, '3.2.1')")
    with pytest.raises(
        StorageError, match=rf"{newer}, written by Tidemill 3\.2\.1; .*pip install -U tidemill"
    ):
        SqliteLedger(path)


@pytest.mark.parametrize("version", [0, 1, 9])
def test_another_database_is_refused(path: Path, version: int) -> None:
    execute(path, "CREATE TABLE songs (title TEXT)", f"PRAGMA user_version = {version}")
    before = path.read_bytes()
    with pytest.raises(StorageError, match=r"ledger\.db is an SQLite file of another program"):
        SqliteLedger(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"not a database, but long enough to have a header" * 100)
    with pytest.raises(StorageError, match=r"ledger\.db is damaged or no ledger .*restore it"):
        SqliteLedger(path)


def test_a_damaged_ledger_says_so(path: Path, ledger: SqliteLedger) -> None:
    ledger.append([published_event(str(number)) for number in range(300)], now=1.0)
    ledger.close()
    with path.open("r+b") as file:
        size = path.stat().st_size
        file.seek(3 * 4096)
        file.write(os.urandom(size - 3 * 4096))
    with pytest.raises(StorageError, match=r"ledger\.db is damaged"):
        ledger.state(PROD)


@pytest.mark.parametrize(
    "look",
    [
        lambda ledger: list(ledger.events()),
        lambda ledger: list(ledger.events(run="run")),
        lambda ledger: list(ledger.events(kinds=("Published", "Removed"))),
        lambda ledger: ledger.state(PROD, whole=True),
        lambda ledger: ledger.state(PROD).heads["features"].partitions["1"],
        lambda ledger: ledger.traces(["features 1"]),
    ],
)
def test_a_record_that_changed_is_said_with_the_ways_out(
    path: Path, ledger: SqliteLedger, look: Callable[[SqliteLedger], object]
) -> None:
    ledger.append([published_event("1")], now=1.0)
    execute(
        path,
        "DROP TRIGGER events_refuse_update",
        "UPDATE events SET run = 'run', body = CAST(substr(body, 1, 4) || x'00' || substr(body, 6) AS BLOB)",
    )
    with pytest.raises(
        StorageError,
        match=r"ledger\.db is damaged .*checksum\): restore it from a backup, or .*ledger rebuild",
    ):
        look(ledger)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE sources SET body = x'ff'",
        "UPDATE events SET body = x'ff' WHERE kind = 'RunStarted'",
        "UPDATE bindings SET partition = x'ff' WHERE partition = '2'",
    ],
)
def test_a_value_of_another_type_is_damage(path: Path, ledger: SqliteLedger, damage: str) -> None:
    ledger.append(events_of_every_kind(), now=1.0)
    branch = EnvironmentCreated(environment="branch", parent=PROD)
    ledger.append([published_event("2"), published_event("1"), branch], now=2.0)
    execute(path, "DROP TRIGGER events_refuse_update", damage)
    with pytest.raises(StorageError, match=r"ledger\.db is damaged"):  # noqa: PT012
        list(ledger.events())
        for name in (PROD, "branch"):
            state = ledger.state(name)
            list(state.heads["features"].partitions)
            repr((state.sources, state.decisions))


def test_only_a_record_that_changed_is_damage(ledger: SqliteLedger) -> None:
    for mistake in (TypeError("a mistake of ours"), ValueError("another")):
        with (
            pytest.raises(type(mistake), match=str(mistake)),
            ledger._connections.read_transaction(),
        ):
            raise mistake


def test_a_folder_or_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(StorageError, match=r"folder\.db can't be used .*make it writable"):
        SqliteLedger(tmp_path / "folder.db")
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"file/ledger\.db can't be read or written"):
        SqliteLedger(tmp_path / "file" / "ledger.db")


def test_a_file_system_without_shared_memory_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = sqlite3.connect(":memory:", isolation_level=None)
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **options: elsewhere)
    with pytest.raises(
        StorageError, match=r"journal mode 'memory' instead of WAL.*on a local disk"
    ):
        SqliteLedger(path)


def test_a_full_disk_keeps_what_was_recorded(path: Path, ledger: SqliteLedger) -> None:
    ledger.append([published_event("0")], now=1.0)
    writer = ledger._connections._writer
    assert writer is not None
    pages = writer.execute("PRAGMA page_count").fetchone()[0]
    writer.execute(f"PRAGMA max_page_count = {pages + 8}")
    last = _append_until_refused(ledger, r"no space left for the ledger .*ledger\.db .*free some")
    assert last > 1
    assert ledger.state(PROD).seq == last
    writer.execute("PRAGMA max_page_count = 1000000")
    assert ledger.append([published_event("1")], now=1.0) == last + 1
    rebuild(path, path.with_name("copy.db"))
    assert tables(path) == tables(path.with_name("copy.db"))


def _append_until_refused(ledger: SqliteLedger, says: str) -> int:
    last = 0
    with pytest.raises(StorageError, match=says):  # noqa: PT012 (how many fit is not ours to know)
        while True:
            last = ledger.append([published_event(str(last))], now=1.0)
    return last


def test_a_read_only_ledger_is_named(path: Path, ledger: SqliteLedger) -> None:
    ledger.append([published_event("0")], now=1.0)
    writer = ledger._connections._writer
    assert writer is not None
    writer.execute("PRAGMA query_only = ON")
    with pytest.raises(StorageError, match=r"ledger\.db can't be used .*make it writable"):
        ledger.append([published_event("1")], now=1.0)
    assert ledger.state(PROD).seq == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_read_only_folder_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match=r"ledger\.db can't be used .*make it writable"):
        SqliteLedger(tmp_path / "ledger.db")
    tmp_path.chmod(0o700)


def test_any_other_failure_names_the_ledger(path: Path, ledger: SqliteLedger) -> None:
    execute(path, "DROP TABLE ticks", "ALTER TABLE heads RENAME TO tails")
    with pytest.raises(StorageError, match=r"ledger\.db failed \(no such table.*check the disk"):
        ledger.state(PROD)


def test_a_file_that_is_removed_while_it_is_open_is_not_written(
    path: Path, ledger: SqliteLedger
) -> None:
    ledger.append([Ticked(schedule="daily", tick="a")], now=1.0)
    path.rename(path.with_name("away"))
    for call in (
        lambda: ledger.state(PROD),
        lambda: ledger.append([Ticked(schedule="daily", tick="b")], now=2.0),
    ):
        with pytest.raises(StorageError, match="was removed while it was in use"):
            call()
    path.with_name("away").rename(path)
    assert ledger.append([Ticked(schedule="daily", tick="c")], now=3.0) == 2


@pytest.mark.parametrize("damage", [b"no database" * 1_000, b"", None])
def test_an_open_ledger_goes_on_once_a_damaged_file_is_replaced_by_the_good_one(
    path: Path, ledger: SqliteLedger, damage: bytes | None
) -> None:
    ledger.append([Ticked(schedule="daily", tick="a")], now=1.0)
    away = [(each, each.with_name(f"away-{each.name}")) for each in path.parent.iterdir()]
    for place, other in away:
        place.rename(other)
    if damage is None:
        path.mkdir()
    else:
        path.write_bytes(damage)
    for _ in range(2):
        for call in (
            lambda: ledger.state(PROD),
            lambda: ledger.append([Ticked(schedule="daily", tick="b")], now=2.0),
        ):
            with pytest.raises(StorageError, match=r"is damaged or no ledger|can't be used"):
                call()
    assert damage is None or path.read_bytes() == damage
    path.rename(path.with_name("damaged"))
    for place, other in away:
        other.rename(place)
    assert ledger.state(PROD).seq == 1
    assert ledger.append([Ticked(schedule="daily", tick="c")], now=3.0) == 2


def test_a_ledger_that_was_moved_before_the_first_write_is_not_made_again(path: Path) -> None:
    home = path.parent / "home"
    home.mkdir()
    ledger = SqliteLedger(home / "ledger.db")
    home.rename(path.parent / "away")
    with pytest.raises(StorageError, match="was removed while it was in use"):
        ledger.append([Ticked(schedule="daily", tick="a")], now=1.0)
    ledger.close()
    with pytest.raises(StorageError, match="was removed while it was in use"):
        ledger.state(PROD)
    assert not home.exists()


def test_a_file_that_replaces_an_open_one_is_read_and_written(
    path: Path, ledger: SqliteLedger, tmp_path: Path
) -> None:
    other = SqliteLedger(tmp_path / "other.db")
    other.append([EnvironmentCreated(environment="dev-x")], now=1.0)
    other.close()
    ledger.append([Ticked(schedule="daily", tick="d"), Ticked(schedule="daily", tick="e")], now=1.0)
    for tail in ("-wal", "-shm"):
        path.with_name(path.name + tail).unlink()
    (tmp_path / "other.db").replace(path)
    assert [type(fact.event) for fact in ledger.events()] == [EnvironmentCreated]
    assert ledger.append([Ticked(schedule="daily", tick="f")], now=2.0) == 2
    again = SqliteLedger(path)
    assert len(list(again.events())) == 2
    again.close()
