"""The facts of a ledger's file are read without changing it."""

from pathlib import Path

import pytest

from tests.support.tables import earlier, execute
from tidemill.adapters.sqlite import ledger_facts
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.adapters.sqlite.ledger_facts import look_at_ledger
from tidemill.adapters.sqlite.migrations import SCHEMA_VERSION
from tidemill.testing.records import HOLDER, published_event


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger(path)
    ledger.append([published_event(), published_event("2013-03-08")], now=7.0)
    ledger.close()
    return path


def test_facts_of_a_closed_ledger(path: Path) -> None:
    before = path.read_bytes()
    found = look_at_ledger(path)
    assert (found.problem, found.damage, found.checked) == ("", "", True)
    assert (found.events, found.newest, found.version) == (2, 7.0, SCHEMA_VERSION)
    assert found.bytes == len(before)
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == ["ledger.db"]


def test_facts_of_a_ledger_in_use(path: Path) -> None:
    ledger = SqliteLedger(path)
    ledger.append([published_event("2013-03-09")], now=8.0)
    far = 4_000_000_000.0
    ledger.acquire("run:prod", HOLDER, now=far, ttl=30.0, dead=lambda _: False)
    found = look_at_ledger(path)
    assert (found.events, found.newest) == (3, 8.0)
    assert found.log_bytes > 0
    assert found.leases == {"run:prod": "pid 4711, host tern"}
    ledger.close()


def test_an_older_ledger_is_not_upgraded(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with earlier(path, 9):
        pass
    assert look_at_ledger(path).version == 9
    assert look_at_ledger(path).newest is None


def test_damage_is_named(path: Path) -> None:
    content = bytearray(path.read_bytes())
    page = 4096
    for start in range(page * 3, len(content), page):
        content[start : start + 64] = b"\xff" * 64
    path.write_bytes(content)
    found = look_at_ledger(path)
    assert found.damage or found.problem


@pytest.mark.parametrize("content", [b"", b"no database at all, but text" * 100])
def test_another_file_is_no_ledger(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(content)
    assert look_at_ledger(path).problem
    assert path.read_bytes() == content


def test_a_database_of_another_program_is_no_ledger(tmp_path: Path) -> None:
    path = tmp_path / "songs.db"
    execute(path, "CREATE TABLE songs (title TEXT)")
    assert look_at_ledger(path).problem == "it isn't a Tidemill ledger"


def test_the_structure_of_a_large_ledger_is_checked_when_asked_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_facts, "_CHECKED_BYTES", 1_000)
    # Its pages are the last ones, and none of those that the facts are read from.
    execute(path, "CREATE TABLE padding AS SELECT randomblob(9000) AS n FROM events")
    content = bytearray(path.read_bytes())
    content[-4096:-4092] = b"\xff" * 4
    path.write_bytes(content)
    found = look_at_ledger(path)
    assert (found.checked, found.damage, found.events) == (False, "", 2)
    found = look_at_ledger(path, full=True)
    assert found.checked
    assert found.damage
