"""Names stand beside the events: an erased one is nowhere in the file, and no event changes."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.tables import bodies, execute
from tidemill.adapters.sqlite.event_chain import chain_faults
from tidemill.adapters.sqlite.event_files import export_events, import_events
from tidemill.adapters.sqlite.integrity import find_damage, rebuild_from
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.adapters.sqlite.people import (
    KnownPeople,
    add_people,
    copy_people,
    erase_person,
    find_people_faults,
    json_text,
    read_people,
)
from tidemill.adapters.sqlite.stamps import stamp
from tidemill.core.errors import ConflictError, StorageError
from tidemill.ledger.event import Attempted, RunStarted
from tidemill.ledger.governance_events import Erased, TokenRevoked
from tidemill.ledger.person_reference import person_reference
from tidemill.ports.ledger import Guard
from tidemill.testing.governance_records import governance_events
from tidemill.testing.records import (
    PROD,
    attempted_event,
    delivered_event,
    published_event,
    token_revoked_event,
)

NAME = 'Ana "Grüße" O\'Neil'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    with closing(SqliteLedger(path)) as ledger:
        delivered = delivered_event()
        ledger.append(
            [
                replace(token_revoked_event(), actor=NAME),
                replace(token_revoked_event(), actor="ben"),
                replace(delivered, delivery=replace(delivered.delivery, actor=NAME)),
                RunStarted(
                    run="r", environment=PROD, command="run", holder={"user": NAME}, steps=1
                ),
            ],
            now=1.0,
        )
    return path


def reference(path: Path, name: str) -> str:
    return next(ref for ref, (known, _) in read_people(path).items() if known == name)


def actors(path: Path) -> list[str]:
    with closing(SqliteLedger(path)) as ledger:
        facts = ledger.events(kinds=("TokenRevoked",))
        return [fact.event.actor for fact in facts if isinstance(fact.event, TokenRevoked)]


def test_events_hold_references_and_are_read_with_names(path: Path) -> None:
    assert actors(path) == [NAME, "ben"]
    people = read_people(path)
    assert sorted(name for name, _ in people.values()) == sorted([NAME, "ben"])
    assert all(ref == person_reference(name, salt) for ref, (name, salt) in people.items())
    stored = "".join(bodies(path))
    with closing(sqlite3.connect(path)) as connection:
        holder = connection.execute("SELECT holder FROM runs").fetchone()[0]
    assert "Ana" not in stored + holder
    with closing(SqliteLedger(path)) as ledger:
        state = ledger.state(PROD)
    assert [live.actor for live in state.live.values()] == [NAME]
    assert [run.holder for run in state.open_runs] == [{"user": NAME}]
    assert find_damage(path) == []


def test_an_erased_person_leaves_the_chain_whole(path: Path) -> None:
    with closing(SqliteLedger(path)) as ledger:
        erased = next(e for e in governance_events() if isinstance(e, Erased))
        ledger.append([replace(erased, column="", person=NAME)], now=1.5)
    ref = erase_person(path, NAME)
    assert actors(path) == [f"erased person {ref[7:15]}", "ben"]
    assert find_damage(path) == find_people_faults(path) == []
    with closing(sqlite3.connect(path)) as connection:
        assert [*chain_faults(connection)] == []
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for file in path.parent.glob("ledger.db*"):
        assert b"Ana" not in file.read_bytes()
    assert "Ana" not in "".join(bodies(path))
    assert erase_person(path, NAME) == ""
    # Who comes back is another one.
    with closing(SqliteLedger(path)) as ledger:
        ledger.append([replace(token_revoked_event(), actor=NAME)], now=2.0)
    assert actors(path) == [f"erased person {ref[7:15]}", "ben", NAME]


def test_an_export_has_the_names_and_a_rebuilt_ledger_too(path: Path, tmp_path: Path) -> None:
    export_events(path, tmp_path / "events.jsonl")
    found = import_events(tmp_path / "events.jsonl")
    assert (found.faults, found.people) == ((), read_people(path))
    rebuild_from(found.events, tmp_path / "new.db", is_complete=True)
    assert actors(tmp_path / "new.db")[1].startswith("erased person")
    add_people(tmp_path / "new.db", found.people)
    assert actors(tmp_path / "new.db") == [NAME, "ben"]


def test_a_name_that_looks_like_a_reference_is_a_name(path: Path) -> None:
    name = person_reference("x", "y")
    with closing(SqliteLedger(path)) as ledger:
        ledger.append([replace(token_revoked_event(), actor=name, reason="person:")], now=2.0)
    assert actors(path)[-1] == name


def test_a_damaged_name_is_noticed(path: Path) -> None:
    execute(path, "UPDATE people SET name = 'ben' WHERE name LIKE 'ben%'")
    [fault] = find_damage(path)
    assert fault.endswith("is not what was recorded: its checksum is another one")
    assert find_people_faults(path) == [fault]
    with pytest.raises(StorageError, match="damaged"):
        actors(path)
    assert [name for name, _ in read_people(path).values()] == [NAME]
    assert read_people(path.with_name("none.db")) == {}


def test_a_name_of_somebody_else_is_noticed(path: Path) -> None:
    ref = reference(path, "ben")
    execute(path, f"UPDATE people SET name = '{stamp('mallory')}' WHERE ref = '{ref}'")
    fault = f"the name of {ref} is not what was recorded: it was changed to 'mallory'"
    assert find_people_faults(path) == [fault]


def test_a_person_whom_nobody_erased_is_missed(path: Path) -> None:
    with closing(SqliteLedger(path)) as ledger:
        # A text may have anything.
        said = f"see {person_reference('x', 'y')}"
        ledger.append([replace(token_revoked_event(), reason=said)], now=2.0)
    assert find_people_faults(path) == []
    ref = reference(path, NAME)
    execute(path, f"DELETE FROM people WHERE ref = '{ref}'")
    fault = f"the name of {ref} is missing, and nobody erased that person"
    assert find_people_faults(path) == [fault]


def test_people_that_cannot_be_read_are_said_to_be(path: Path) -> None:
    path.write_bytes(b"no database" * 100)
    [fault] = find_people_faults(path)
    assert fault.startswith("the names of people can't be read")


def test_a_name_that_a_reader_keeps_in_the_log_is_removed_later(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger(path)
    ledger.append([token_revoked_event()], now=1.0)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM events").fetchone()
        ledger.append([token_revoked_event()], now=2.0)
        with pytest.raises(ConflictError, match="another process is reading the ledger"):
            erase_person(path, "ana")
    # The name is gone, and so is the log now.
    assert erase_person(path, "ana") == ""
    log = path.with_name("ledger.db-wal")
    assert b"ana" not in (log.read_bytes() if log.exists() else b"")
    ledger.close()


def test_one_damaged_name_costs_no_other() -> None:
    with (
        closing(sqlite3.connect(":memory:")) as source,
        closing(sqlite3.connect(":memory:")) as target,
    ):
        for each in (source, target):
            each.execute("CREATE TABLE people (ref TEXT PRIMARY KEY, name TEXT UNIQUE, salt TEXT)")
        source.text_factory = bytes
        names = [("p1", "ana"), ("p2", b"\xff\xfe"), ("p3", "ben")]
        source.executemany("INSERT INTO people VALUES (?, CAST(? AS TEXT), 's')", names)
        copy_people(source, target)
        kept = target.execute("SELECT ref FROM people ORDER BY ref").fetchall()
    assert kept == [("p1",), ("p3",)]


def test_texts_that_mention_people_refer_to_them_too(path: Path) -> None:
    said = f"ben and {NAME}: asked; benjamin did not"
    trace = f"/home/ben/x.py\n{NAME}\nbenÿ"
    attempt = attempted_event()
    failed = replace(attempt, attempt=replace(attempt.attempt, message=said, trace=trace))
    with closing(SqliteLedger(path)) as ledger:
        start = RunStarted(
            run="r2", environment=PROD, command="run --by ben", holder={"user": "ben"}, steps=1
        )
        ledger.append([failed, start, replace(token_revoked_event(), actor="x")], now=2.0)
        (found,) = (fact.event for fact in ledger.events(kinds=("Attempted",)))
        (_, run) = ledger.state(PROD).open_runs
    assert found == failed
    assert run.command == "run --by ben"
    tried, started, *_ = bodies(path)[4:]
    assert "Ana" not in tried
    assert "ben " not in tried + started
    assert "benjamin did not" in tried
    ref = erase_person(path, NAME)
    erase_person(path, "ben")
    for file in path.parent.glob("ledger.db*"):
        assert not re.search(rb"Ana|\bben\b(?!\xc3)", file.read_bytes())
    assert not re.search(r"Ana|\bben\b(?!ÿ)", "".join(bodies(path)))
    with closing(SqliteLedger(path)) as ledger:
        (found,) = (fact.event for fact in ledger.events(kinds=("Attempted",)))
        assert isinstance(found, Attempted)
        assert f"and erased person {ref[7:15]}: asked; benjamin did not" in found.attempt.message
    assert find_damage(path) == []


def test_a_person_of_a_transaction_that_failed_is_added_later(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with closing(SqliteLedger(path)) as ledger:
        ben = replace(token_revoked_event(), actor="ben", reason="ben asked")
        with pytest.raises(ConflictError):
            ledger.append([ben, published_event()], now=1.0, guard=Guard(find_missing=_conflict))
        for _ in range(2):
            ledger.append([ben], now=2.0)
            assert {actor for actor in actors(path)} == {"ben"}
        ref = erase_person(path, "ben")
        ledger.append([ben], now=3.0)
        # Who was erased by another connection is somebody new.
        assert actors(path) == [f"erased person {ref[7:15]}"] * 2 + ["ben"]
        execute(path, "UPDATE people SET name = 'x' WHERE name LIKE 'ben%'")
        ledger.append([replace(token_revoked_event(), actor="cleo", reason="ben asked")], now=4.0)
    assert [name for name, _ in read_people(path).values()] == ["cleo"]


def _conflict(_: object) -> dict[str, str]:
    raise ConflictError("lost")


def test_names_without_a_word_are_found() -> None:
    known = KnownPeople()
    known.add("(-)", "person:1")
    known.add("Ana O'Neil", "person:2")
    assert known.in_json('{"a":"x\\nAna O\'Neil"}') == ["Ana O'Neil"]
    assert known.in_json('{"a":"(-)"}') == ["(-)"]
    assert known.in_json('{"a":"Ana O"}') == []


@pytest.mark.parametrize(
    "text",
    [
        r"asked CORP\ben",
        "a\\b\nben",
        "\x1bben",
        'said "ben"',
        r'raise ValueError("by\nben")',
        r"\nnben\nben",
    ],
)
def test_names_beside_escapes_are_found(text: str) -> None:
    known = KnownPeople()
    known.add("ben", "person:1")
    assert known.in_json(json_text(text)) == ["ben"]


def test_a_name_that_ends_another_word_stays_there(path: Path) -> None:
    said = "C:\\banana, by\\nana: ban and C:\\nina"
    with closing(SqliteLedger(path)) as ledger:
        for name in ("anan", "ana", "nina"):
            ledger.append([replace(token_revoked_event(), actor=name, reason=said)], now=2.0)
        facts = [*ledger.events(kinds=("TokenRevoked",))]
    assert re.search(r"banana, by\\\\nperson:\w+: ban and C:\\\\person:", bodies(path)[-1])
    assert [f.event.reason for f in facts if isinstance(f.event, TokenRevoked)][-1] == said


@pytest.mark.parametrize("people", [3, 300])
def test_texts_refer_to_whoever_is_known_however_many_there_are(
    tmp_path: Path, people: int
) -> None:
    path = tmp_path / "ledger.db"
    names = [f"nina{n} roß" for n in range(people)]
    told = f"as {names[-1]} asked, not {names[0]}s"
    with closing(SqliteLedger(path)) as ledger:
        ledger.append([replace(token_revoked_event(), actor=name) for name in names], now=1.0)
        ledger.append([replace(token_revoked_event(), actor="ben", reason=told)], now=2.0)
        *_, last = ledger.events(kinds=("TokenRevoked",))
    assert isinstance(last.event, TokenRevoked)
    assert last.event.reason == told
    assert names[-1] not in bodies(path)[-1]
    assert f"not {names[0]}s" in bodies(path)[-1]
