"""Tests specific to a ledger that machines share; the suite covers what every ledger guarantees."""

import sqlite3
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.adapters.sqlite.test_compaction import small_history
from tests.support.compaction import FAR, damage, forget_superseded
from tests.support.cut_connections import proxy_to
from tests.support.shared_homes import as_address, copy_on
from tests.support.tables import as_text, bodies, rebuild, store_as_text, tables
from tidemill.adapters.postgres.address import HomeAddress
from tidemill.adapters.postgres.ledger import PostgresLedger
from tidemill.adapters.postgres.pulse import Pulse
from tidemill.adapters.sqlite.integrity import find_damage
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.adapters.sqlite.migrations import SCHEMA_VERSION
from tidemill.core.errors import ConflictError, StorageError
from tidemill.ledger.compacted import compacted_event
from tidemill.ledger.compaction_report import CompactionTerms
from tidemill.ledger.event import Event
from tidemill.ports.ledger import Guard, Ledger
from tidemill.ports.upkeep import Discarded
from tidemill.testing.doubles import MemoryLedger
from tidemill.testing.records import (
    PROD,
    events_of_every_kind,
    published_event,
    token_revoked_event,
)
from tidemill.testing.suites.ledger import nobody_is_dead

Machine = Callable[..., PostgresLedger]


def ask(address: HomeAddress, query: str, *values: object) -> list[tuple[object, ...]]:
    """What a query of our own gives on the server."""
    with psycopg.connect(address.dsn) as connection:
        connection.execute(f"SET search_path TO {address.schema}")
        found = connection.execute(query, values)
        return found.fetchall() if found.description else []


def test_machines_read_what_others_recorded(machine: Machine, tmp_path: Path) -> None:
    one, other, whole = machine("one"), machine("other"), MemoryLedger()
    events = events_of_every_kind()
    for ledger in (one, whole):
        ledger.append(events[:20], now=1.0)
    for ledger in (other, whole):
        ledger.append(events[20:], now=2.0)
    for ledger in (one, other):
        assert list(ledger.events()) == list(whole.events())
        assert ledger.state(PROD) == whole.state(PROD)
    assert tables(copy_on(tmp_path, "one")) == tables(copy_on(tmp_path, "other"))
    assert find_damage(copy_on(tmp_path, "other")) == []
    rebuild(copy_on(tmp_path, "one"), tmp_path / "rebuilt.db")
    derived = {
        name: rows for name, rows in tables(copy_on(tmp_path, "one")).items() if name != "replica"
    }
    assert derived == tables(tmp_path / "rebuilt.db")


def test_a_copy_that_is_deleted_is_made_again(machine: Machine, tmp_path: Path) -> None:
    one, other = machine("one"), machine("other")
    one.append(events_of_every_kind(), now=1.0)
    one.acquire("run", {"pid": "1"}, now=1.0, ttl=5.0, dead=nobody_is_dead)
    state = one.state(PROD)
    for tail in ("", "-wal", "-shm"):
        Path(f"{copy_on(tmp_path, 'one')}{tail}").unlink(missing_ok=True)
    with pytest.raises(StorageError, match=r"removed while it was in use.*made anew"):
        one.append([published_event("next")], now=2.0)
    again = machine("one")
    assert again.state(PROD) == state
    with pytest.raises(ConflictError, match="'run' is held by pid 1"):
        again.acquire("run", {"pid": "2"}, now=2.0, ttl=5.0, dead=nobody_is_dead)
    # The process that had the old file open goes on with the new one.
    assert one.append([published_event("next")], now=2.0) == state.seq + 1
    assert other.state(PROD) == again.state(PROD) == one.state(PROD)


def test_a_copy_that_is_replaced_by_an_older_one_loses_nothing(
    machine: Machine, tmp_path: Path
) -> None:
    one, path = machine("one"), copy_on(tmp_path, "one")
    one.append([published_event("first")], now=1.0)
    with closing(sqlite3.connect(path)) as file, closing(sqlite3.connect(tmp_path / "old")) as old:
        file.backup(old)
    one.append([published_event("second")], now=1.0)
    for tail in ("-wal", "-shm"):
        Path(f"{path}{tail}").unlink(missing_ok=True)
    (tmp_path / "old").replace(path)
    assert one.append([published_event("third")], now=1.0) == 3
    assert {*one.state(PROD).heads["features"].partitions} == {"first", "second", "third"}
    assert [fact.seq for fact in machine("other").events()] == [1, 2, 3]


def test_nothing_else_writes_to_a_copy(machine: Machine, tmp_path: Path) -> None:
    machine("one").append([published_event()], now=1.0)
    stranger = SqliteLedger(copy_on(tmp_path, "one"))
    assert stranger.state(PROD).seq == 1
    for write in (
        lambda: stranger.append([published_event("next")], now=1.0),
        lambda: stranger.acquire("run", {}, now=1.0, ttl=1.0, dead=nobody_is_dead),
    ):
        with pytest.raises(StorageError, match="this_is_a_copy_of_a_ledger_in_postgresql"):
            write()
    stranger.close()


def test_a_file_with_a_ledger_of_its_own_is_no_copy(machine: Machine, tmp_path: Path) -> None:
    own = SqliteLedger(copy_on(tmp_path, "one"))
    own.append([published_event()], now=1.0)
    own.close()
    with pytest.raises(StorageError, match=r"a ledger of its own.*move it away"):
        machine("one")


def test_events_are_never_changed_on_the_server(machine: Machine, address: HomeAddress) -> None:
    machine("one").append([published_event()], now=1.0)
    for change in (
        "DELETE FROM events",
        "TRUNCATE events CASCADE",
        "UPDATE events SET kind = 'Removed'",
        "UPDATE events SET link = '\\x00'",
    ):
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            ask(address, change)


def test_a_body_that_was_changed_on_the_server_is_noticed(
    machine: Machine, address: HomeAddress
) -> None:
    machine("one").append([published_event("first"), published_event("second")], now=1.0)
    ask(address, "UPDATE events SET body = (SELECT body FROM events WHERE seq = 2) WHERE seq = 1")
    with pytest.raises(StorageError, match=r"event 1 .* is not what was recorded.*restore"):
        machine("other")


def test_events_that_the_server_lost_are_noticed(machine: Machine, address: HomeAddress) -> None:
    one = machine("one")
    one.append([published_event("first")], now=1.0)
    one.append([published_event("second")], now=1.0)
    ask(address, "ALTER TABLE events DISABLE TRIGGER events_refuse_delete")
    ask(address, "DELETE FROM events WHERE seq = 2")
    ask(address, "UPDATE ledger SET seq = 1, link = (SELECT link FROM events WHERE seq = 1)")
    with pytest.raises(StorageError, match=r"lacks events 2 to 2, which this machine has seen"):
        one.state(PROD)
    other = machine("other")
    other.append([published_event("another"), published_event("more")], now=1.0)
    with pytest.raises(StorageError, match=r"lacks event 2 and maybe earlier ones"):
        one.append([published_event("third")], now=1.0)


def test_a_standby_with_another_event_of_the_same_number_is_noticed(
    machine: Machine, address: HomeAddress
) -> None:
    one, other = machine("one"), machine("other")
    one.append([published_event("first")], now=1.0)
    assert other.state(PROD).seq == 1
    one.append([published_event("lost")], now=1.0)
    forget_last_event(address)
    other.append([published_event("kept")], now=1.0)
    for use in (
        lambda: one.state(PROD),
        lambda: one.append([published_event("third")], now=1.0),
        lambda: one.acquire("run", {}, now=1.0, ttl=1.0, dead=nobody_is_dead),
    ):
        with pytest.raises(StorageError, match="lacks event 2 and maybe earlier ones"):
            use()
    assert other.append([published_event("third")], now=1.0) == 3
    assert [fact.seq for fact in machine("new").events()] == [1, 2, 3]


def forget_last_event(address: HomeAddress) -> None:
    """Let the server be as it was before its last event."""
    ask(address, "ALTER TABLE events DISABLE TRIGGER events_refuse_delete")
    ask(address, "DELETE FROM events WHERE seq = (SELECT max(seq) FROM events)")
    ask(
        address,
        "UPDATE ledger SET (seq, link) = (SELECT seq, link FROM events ORDER BY seq DESC LIMIT 1)",
    )


def test_who_lost_a_lease_in_a_failover_publishes_nothing(
    machine: Machine, address: HomeAddress
) -> None:
    one, other = machine("one"), machine("other")
    one.append([published_event("first")], now=1.0)
    lease = one.acquire("run", {"pid": "1"}, now=1.0, ttl=60.0, dead=nobody_is_dead)
    # The standby that takes over doesn't know of it.
    ask(address, "DELETE FROM leases")
    ask(address, "UPDATE ledger SET leases_mark = ''")
    taken = other.acquire("run", {"pid": "2"}, now=1.0, ttl=60.0, dead=nobody_is_dead)
    assert taken.token == lease.token
    with pytest.raises(ConflictError, match="is no longer ours: it is held by pid 2"):
        one.append([published_event("second")], now=1.0, guard=Guard(lease=lease))
    assert other.append([published_event("second")], now=1.0, guard=Guard(lease=taken)) == 2
    assert one.state(PROD) == other.state(PROD)


def test_a_server_that_lacks_what_it_says_is_noticed(
    machine: Machine, address: HomeAddress
) -> None:
    one = machine("one")
    one.append([published_event("first")], now=1.0)
    ask(address, "UPDATE ledger SET seq = 3")
    with pytest.raises(StorageError, match="lacks event 2, although it says that it has 3"):
        one.state(PROD)
    with pytest.raises(StorageError, match="lacks event 2"):
        machine("other")


def test_who_is_erased_and_comes_back_is_the_same_everywhere(machine: Machine) -> None:
    one, other, third = machine("one"), machine("other"), machine("third")

    def told(ledger: PostgresLedger, name: str) -> None:
        ledger.append([replace(token_revoked_event(), actor=name)], now=1.0)

    told(one, "Ana")
    assert "Ana" in repr([*other.events()])
    assert one.erase_person("Ana")
    told(one, "Ana")
    # These two were behind, with and without a copy of the first Ana.
    for each in (other, third):
        assert "Ana" in repr([*each.events()][-1])
        told(each, "Ana")
        assert each.erase_person("Ben") == ""
    assert [*one.events()] == [*other.events()] == [*third.events()]


def test_names_may_have_any_character(machine: Machine, tmp_path: Path) -> None:
    one, other = machine("one"), machine("other")
    keys = ["a\x00b", "\x01", "\x01\x00", "1", "ü\n", "%s", "{}", "'\\"]
    one.append([published_event(key) for key in keys], now=1.0)
    one.acquire("run:\x00", {"command": "\x00"}, now=1.0, ttl=60.0, dead=nobody_is_dead)
    one.append([replace(token_revoked_event(), actor="A\x00na")], now=1.0)
    assert {*other.state(PROD).heads["features"].partitions} == {*keys}
    assert "A\\x00na" in repr([*other.events()][-1])
    with pytest.raises(ConflictError, match="is held by"):
        other.acquire("run:\x00", {}, now=1.0, ttl=60.0, dead=nobody_is_dead)
    assert find_damage(copy_on(tmp_path, "other")) == []
    assert other.erase_person("A\x00na")


def test_a_copy_that_cannot_be_written_is_no_loss(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server has it: whoever asked for it is told so, and the copy follows."""
    one = machine("one")
    one.append([published_event("first")], now=1.0)
    commit = one._connections._commit

    def full(*arguments: Any) -> None:
        commit(*arguments)
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(one._connections, "_commit", full)
    assert one.append([published_event("second")], now=1.0) == 2
    lease = one.acquire("run", {}, now=1.0, ttl=60.0, dead=nobody_is_dead)
    monkeypatch.undo()
    assert one.append([published_event("third")], now=1.0, guard=Guard(lease=lease)) == 3
    assert [fact.seq for fact in one.events()] == [1, 2, 3]
    assert one.state(PROD) == machine("other").state(PROD)


def test_readers_do_not_wait_for_a_writer(machine: Machine, tmp_path: Path) -> None:
    one = machine("one")
    one.append([published_event()], now=1.0)
    beside = machine("one", busy_timeout_s=0.05)
    with one._connections.write_transaction():
        assert beside.state(PROD).seq == 1
        assert machine("one", busy_timeout_s=0.05).state(PROD).seq == 1


def test_a_slow_transaction_is_kept_and_one_that_was_given_up_deletes_nothing(
    machine: Machine, address: HomeAddress
) -> None:
    one = machine("one", busy_timeout_s=1.0)
    one.append([published_event()], now=1.0)

    def slow(names: Collection[str]) -> Collection[str]:
        time.sleep(1.5)
        return ()

    assert one.append([published_event("next")], now=1.0, guard=Guard(find_missing=slow)) == 2
    deleted: list[str] = []

    def discard(names: Sequence[str]) -> Discarded:
        deleted.extend(names)
        ask(address, _END_OTHERS)
        return Discarded(sizes=dict.fromkeys(names, 1))

    names = [f"{number:064}.bin" for number in range(50)]
    with pytest.raises(StorageError):
        one.garbage.remove_unneeded(names, discard, guard=Guard())
    assert len(deleted) < len(names)
    assert one.garbage.remove_unneeded(
        names, lambda some: Discarded(sizes=dict.fromkeys(some, 1)), guard=Guard()
    ) == Discarded(sizes=dict.fromkeys(names, 1))


@pytest.mark.parametrize("before", [0, 1])
def test_a_writer_that_says_nothing_is_given_up_by_the_server(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    monkeypatch.setattr(Pulse, "_beat", lambda *_: None)
    one, other = machine("one", busy_timeout_s=0.4), machine("other")
    for number in range(before):
        one.append([published_event(str(number))], now=1.0)

    def silent(names: Collection[str]) -> Collection[str]:
        time.sleep(1.0)
        return ()

    with pytest.raises(StorageError, match=r"took so long|can't be reached"):
        one.append([published_event("late")], now=1.0, guard=Guard(find_missing=silent))
    assert other.state(PROD).seq == before
    assert one.append([published_event("again")], now=1.0) == before + 1


def test_another_ledger_in_the_same_place_is_noticed(
    machine: Machine, address: HomeAddress
) -> None:
    one = machine("one")
    one.append([published_event()], now=1.0)
    ask(address, f"DROP SCHEMA {address.schema} CASCADE")
    other = machine("other")
    other.append([published_event()], now=1.0)
    with pytest.raises(StorageError, match=r"another ledger than .* has now"):
        one.state(PROD)


def test_an_older_tidemill_writes_nothing_more(machine: Machine, address: HomeAddress) -> None:
    one = machine("one")
    one.append([published_event()], now=1.0)
    ask(address, "UPDATE ledger SET schema_version = 99, tidemill = '9.9.9'")
    with pytest.raises(
        StorageError, match=r"Tidemill 9\.9\.9 upgraded .*version 99.*start it again"
    ):
        one.append([published_event("next")], now=1.0)
    with pytest.raises(StorageError, match=r"Tidemill 9\.9\.9 upgraded"):
        machine("other")
    assert ask(address, "SELECT count(*) FROM events") == [(1,)]


def test_a_newer_tidemill_says_so_when_it_records_something(
    machine: Machine, address: HomeAddress
) -> None:
    machine("one")
    ask(address, "UPDATE ledger SET schema_version = 1, tidemill = '0.0.1'")
    other = machine("other")
    # Looking locks nobody out.
    assert ask(address, "SELECT schema_version FROM ledger") == [(1,)]
    other.append([published_event()], now=1.0)
    [(version, tidemill)] = ask(address, "SELECT schema_version, tidemill FROM ledger")
    assert version == SCHEMA_VERSION
    assert tidemill != "0.0.1"


def test_a_server_that_restarts_is_found_again(machine: Machine, address: HomeAddress) -> None:
    one = machine("one")
    one.append([published_event("first")], now=1.0)
    ask(address, _END_OTHERS)
    assert one.append([published_event("second")], now=1.0) == 2
    ask(address, _END_OTHERS)
    assert one.state(PROD).seq == 2


def test_a_connection_that_is_lost_in_a_transaction_records_nothing(
    machine: Machine, address: HomeAddress
) -> None:
    one = machine("one")

    def lose_connection(names: Collection[str]) -> Collection[str]:
        ask(address, _END_OTHERS)
        return ()

    with pytest.raises(StorageError, match=r"can't be reached .*run again"):
        one.append([published_event()], now=1.0, guard=Guard(find_missing=lose_connection))
    assert one.state(PROD).seq == 0
    assert one.append([published_event()], now=1.0) == 1


def test_who_waits_too_long_is_told_who_writes(machine: Machine) -> None:
    one, other = machine("one"), machine("other", busy_timeout_s=0.05)
    with one._connections.write_transaction():
        with pytest.raises(ConflictError, match=r"busy.*another process has been writing"):
            other.append([published_event()], now=1.0)
        assert other.state(PROD).seq == 0
    assert other.append([published_event()], now=1.0) == 1


def test_names_are_forgotten_on_every_machine(
    machine: Machine, address: HomeAddress, tmp_path: Path
) -> None:
    one, other, name = machine("one"), machine("other"), "Ana Grüße"
    one.append([replace(token_revoked_event(), actor=name)], now=1.0)
    assert name in repr([*other.events()])
    assert one.erase_person("Ben") == ""
    assert one.erase_person(name) != ""
    assert one.erase_person(name) == ""
    assert name not in repr([*other.events()])
    assert ask(address, "SELECT count(*) FROM people") == [(0,)]
    for each in ("one", "other"):
        for file in copy_on(tmp_path, each).parent.glob("ledger.db*"):
            assert name.encode() not in file.read_bytes()
        assert name not in "".join(bodies(copy_on(tmp_path, each)))
    # Who comes back is somebody else.
    other.append([replace(token_revoked_event(), actor=name)], now=1.0)
    assert [name in repr(fact.event) for fact in one.events()] == [False, True]
    with pytest.raises(ConflictError, match="another process recorded TokenRevoked meanwhile"):
        one.erase_person(name, {"TokenRevoked": 1})


@pytest.mark.parametrize("are_texts", [False, True])
def test_what_a_compaction_replaces_is_replaced_everywhere(
    machine: Machine, address: HomeAddress, tmp_path: Path, are_texts: bool
) -> None:
    one, other = machine("one"), machine("other")
    write_all(one, small_history())
    facts = list(other.events())
    for each in ("one", "other"):
        forget_superseded(copy_on(tmp_path, each))
        if are_texts:
            store_as_text(copy_on(tmp_path, each))
    if are_texts:
        for seq, body in ask(address, "SELECT seq, body FROM events"):
            text = as_text(body).encode()
            ask(address, "UPDATE events SET body = %s WHERE seq = %s", text, seq)
    terms = CompactionTerms(after_s=0.0, batch=5)
    report = one.compaction.compact(terms, now=FAR, actor="ana")
    assert sum(report.events.values()) > 10
    assert bool(report.packed) == are_texts
    kept = [*other.events()][: len(facts)]
    assert kept == [*one.events()][: len(facts)] != facts
    for was, now in zip(facts, kept, strict=True):
        assert now in (was, replace(was, event=compacted_event(was.event)))
    late = machine("late")
    assert [*late.events()] == [*one.events()]
    mine, theirs = (tables(copy_on(tmp_path, each)) for each in ("one", "other"))
    assert mine == theirs
    for each in ("one", "other", "late"):
        assert damage(copy_on(tmp_path, each)) == []
    again = other.compaction.compact(terms, now=FAR)
    assert (again.events, again.packed) == ({}, 0)


def test_leases_go_by_the_clock_of_the_server(address: HomeAddress, tmp_path: Path) -> None:
    def opened(name: str) -> PostgresLedger:
        return PostgresLedger(copy_on(tmp_path, name), address, by_server_time=True)

    with closing(opened("slow")) as slow, closing(opened("fast")) as fast:
        ten_minutes = 600.0
        lease = slow.acquire("run", {}, now=1.0, ttl=ten_minutes, dead=nobody_is_dead)
        assert abs(lease.expires - time.time() - ten_minutes) < 60
        # A clock that is hours ahead takes nothing away.
        for _ in range(2):
            with pytest.raises(ConflictError, match="is held by"):
                fast.acquire("run", {}, now=time.time() + 9e9, ttl=1.0, dead=nobody_is_dead)
            lease = slow.renew(lease, now=1.0, ttl=ten_minutes)
        slow.renew(lease, now=1.0, ttl=-1.0)
        taken = fast.acquire("run", {}, now=1.0, ttl=ten_minutes, dead=nobody_is_dead)
        assert taken.token == lease.token + 1
        with pytest.raises(ConflictError, match="is no longer ours"):
            slow.append([published_event()], now=1.0, guard=Guard(lease=lease))


def test_who_may_only_read_reads_and_records_nothing(
    machine: Machine, address: HomeAddress, tmp_path: Path
) -> None:
    one = machine("one")
    one.append([published_event("first")], now=1.0)
    role = f"reader_{address.schema}"
    ask(address, f"CREATE ROLE {role} LOGIN")
    ask(address, f"GRANT USAGE ON SCHEMA {address.schema} TO {role}")
    ask(address, f"GRANT SELECT ON ALL TABLES IN SCHEMA {address.schema} TO {role}")
    guest = replace(address, dsn=address.dsn.replace("tester@", f"{role}@"))
    with closing(PostgresLedger(copy_on(tmp_path, "guest"), guest)) as reader:
        assert reader.state(PROD) == one.state(PROD)
        one.append([published_event("second")], now=1.0)
        assert {*reader.state(PROD).heads["features"].partitions} == {"first", "second"}
        for write in (
            lambda: reader.append([published_event("third")], now=1.0),
            lambda: reader.acquire("run", {}, now=1.0, ttl=1.0, dead=nobody_is_dead),
        ):
            with pytest.raises(StorageError, match=r"may not do that .*GRANT SELECT, INSERT"):
                write()
        assert reader.state(PROD).seq == 2


def write_all(ledger: Ledger, history: list[list[Event]]) -> None:
    for now, events in enumerate(history):
        ledger.append(events, now=float(now))


_END_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE pid <> pg_backend_pid() AND application_name = 'tidemill'"
)


def test_a_copy_is_read_as_it_is_only_where_that_is_allowed(
    postgres_url: str, new_home: Callable[[], str], tmp_path: Path
) -> None:
    schema, folder = new_home().rpartition("=")[2], tmp_path / "cut"
    folder.mkdir()
    with proxy_to(postgres_url, folder) as proxy:
        address = as_address(f"{proxy.url}&schema={schema}")
        path = copy_on(tmp_path, "one")
        with closing(PostgresLedger(path, address)) as ledger:
            ledger.append([published_event("p1")], now=1.0)
        proxy.go_away()
        with closing(PostgresLedger(path, address, when_used=True)) as ledger:
            with pytest.raises(StorageError, match="can't be reached"):
                ledger.state("prod")
            ledger.read_copy(while_away=True)
            assert ledger.state("prod").seq == 1
            with pytest.raises(StorageError, match="can't be reached"):
                ledger.append([published_event("p2")], now=2.0)
            ledger.read_copy(while_away=False)
            with pytest.raises(StorageError, match="can't be reached"):
                ledger.state("prod")
            proxy.come_back()
            assert ledger.state("prod").seq == 1
            # Whether it is away is asked anew each time.
            with closing(PostgresLedger(copy_on(tmp_path, "two"), address)) as other:
                other.append([published_event("p2")], now=2.0)
            ledger.read_copy(while_away=True)
            assert ledger.state("prod").seq == 2
        # A machine that has no copy has nothing to read.
        proxy.go_away()
        none = copy_on(tmp_path, "none")
        with closing(PostgresLedger(none, address, when_used=True)) as ledger:
            ledger.read_copy(while_away=True)
            with pytest.raises(StorageError, match="can't be reached"):
                ledger.state("prod")
