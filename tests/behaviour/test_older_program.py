"""A process of an older Tidemill that has the ledger open records nothing after a newer one upgraded it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.tables import execute, tables
from tidemill.adapters.sqlite.integrity import find_damage
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.adapters.sqlite.migrations import SCHEMA_VERSION
from tidemill.core.errors import StorageError
from tidemill.testing.records import PROD, published_event

# The first schema whose programs look at it in each transaction.
LOOKING = 14

# Opens a ledger as a program of an earlier schema, and appends an event for each line that it is given.
PROGRAM = """
import sys
from pathlib import Path
from tidemill.adapters.sqlite import connections, migrations, projections
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.testing.records import published_event

path, version, looking = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
connections.SCHEMA_VERSION = version
known = migrations.migrations
migrations.migrations = lambda after: [each for each in known(after) if each[0] <= version]
if version < looking:
    connections.allow_appends = lambda connection: None
    connections.Connections._require_same_schema = lambda self, connection: None
if version < 15:
    # Its ledger has no tables of listings.
    projections.note_for_listings = lambda *_: None
ledger = SqliteLedger(path)
print("open", flush=True)
for line in sys.stdin:
    try:
        print(ledger.append([published_event(line.strip())], now=1.0), flush=True)
    except Exception as error:
        print(f"{type(error).__name__}: {error}", flush=True)
"""


class Program:
    """Another process that has a ledger open."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def says(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def append(self, partition: str) -> str:
        """Let it append an event; return what it says of it."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{partition}\n")
        self._process.stdin.flush()
        return self.says()


@contextmanager
def opened(path: Path, version: int) -> Iterator[Program]:
    command = [sys.executable, "-c", PROGRAM, str(path), str(version), str(LOOKING)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        program = Program(process)
        assert program.says() == "open"
        yield program


def test_an_older_one_can_append_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with opened(path, LOOKING - 1) as older:
        assert older.append("2013-03-07") == "1"
        newer = SqliteLedger(path)
        refused = older.append("2013-03-08")
        assert refused.startswith("StorageError: ")
        assert "a_newer_tidemill_upgraded_this_ledger_so_end_this_process" in refused
        assert newer.append([published_event("2013-03-09")], now=2.0) == 2
        assert "upgraded" in older.append("2013-03-10")
        newer.close()
    assert [*SqliteLedger(path).state(PROD).heads["features"].partitions] == [
        "2013-03-07",
        "2013-03-09",
    ]
    assert find_damage(path) == []


def test_one_that_looks_says_what_happened(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    newer = SCHEMA_VERSION + 1
    with opened(path, SCHEMA_VERSION) as older:
        assert older.append("2013-03-07") == "1"
        execute(
            path,
            f"INSERT INTO migrations VALUES ({newer}, '3.2.1')",
            f"PRAGMA user_version = {newer}",
        )
        before = tables(path)
        refused = older.append("2013-03-08")
    assert refused.startswith(
        f"StorageError: Tidemill 3.2.1 upgraded the ledger {path} to schema version {newer} while this"
    )
    assert "this was not recorded: end this process, and start it again" in refused
    assert tables(path) == before


def test_one_that_reads_what_it_cannot_understand_says_what_happened(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger(path)
    ledger.append([published_event("2013-03-07")], now=1.0)
    newer = SCHEMA_VERSION + 1
    execute(
        path,
        f"PRAGMA user_version = {newer}",
        "DROP TRIGGER events_refuse_update",
        "UPDATE events SET body = x'fd00'",
    )
    said = (
        f"a newer Tidemill upgraded the ledger {path} to schema version {newer} while this process"
    )
    with pytest.raises(StorageError, match=re.escape(said)):
        [*ledger.events()]
    ledger.close()


def test_a_lease_is_refused_too(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db")
    lease = ledger.acquire("run", {"pid": "1"}, now=1.0, ttl=9.0, dead=lambda _: False)
    execute(tmp_path / "ledger.db", f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(Exception, match="a newer Tidemill upgraded the ledger"):
        ledger.renew(lease, now=2.0, ttl=9.0)
    ledger.close()
