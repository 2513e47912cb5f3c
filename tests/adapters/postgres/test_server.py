"""What is sent to the server: each statement fits its tables, and none is left over."""

import re
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from tidemill.adapters.postgres import server as server_module
from tidemill.adapters.postgres.address import HomeAddress
from tidemill.adapters.postgres.server import FOLDER, LedgerServer, statement
from tidemill.adapters.sqlite.statements import queries
from tidemill.core.errors import StorageError

ADAPTER = Path(server_module.__file__).parent
# What a connection sets, and not what a table has.
_WITHOUT_TABLES = {"create_schema", "vacuum_people", "clear_ledger"}


@pytest.mark.parametrize("name", queries(FOLDER))
def test_every_statement_fits_the_tables_and_is_used(name: str, address: HomeAddress) -> None:
    code = "\n".join(path.read_text() for path in ADAPTER.glob("*.py"))
    assert f'"{name}"' in code
    if name in _WITHOUT_TABLES:
        return
    with closing(LedgerServer(address, lock_s=1.0)) as opened:
        assert opened.head().seq == 0
    numbers = iter(range(1, 100))
    text = re.sub(r"%(\(\w+\))?s", lambda _: f"${next(numbers)}", statement(name))
    with psycopg.connect(address.dsn) as connection:
        connection.execute(f"SET search_path TO {address.schema}")
        if text.startswith("COPY"):
            with connection.cursor().copy(text):
                return
        connection.execute(f"PREPARE tried AS {text}")


def test_credentials_are_not_in_errors(address: HomeAddress) -> None:

    there = replace(address, dsn="postgresql://ana:s3cret99@127.0.0.1:1/team?connect_timeout=1")
    with pytest.raises(StorageError, match=r"can't be reached .*run again") as away:
        LedgerServer(there, lock_s=1.0).head()
    assert "s3cret99" not in f"{away.value} {away.value.__cause__}"


def test_a_user_who_may_not_create_a_schema_is_told_what_to_do(address: HomeAddress) -> None:
    with psycopg.connect(address.dsn, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS guest")
        connection.execute("CREATE ROLE guest LOGIN")
        connection.execute("REVOKE CREATE ON DATABASE postgres FROM PUBLIC")

    guest = replace(address, dsn=address.dsn.replace("tester@", "guest@"))
    refused = f"CREATE SCHEMA {address.schema} AUTHORIZATION"
    with (
        closing(LedgerServer(guest, lock_s=1.0)) as opened,
        pytest.raises(StorageError, match=refused),
    ):
        opened.head()
    with psycopg.connect(address.dsn, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {address.schema} AUTHORIZATION guest")
    with closing(LedgerServer(guest, lock_s=1.0)) as opened:
        assert opened.head().seq == 0


def test_a_database_of_another_encoding_is_refused(address: HomeAddress) -> None:
    with psycopg.connect(address.dsn, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS latin")
        connection.execute(
            "CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        )

    latin = replace(address, dsn=address.dsn.replace("/postgres?", "/latin?"))
    with (
        closing(LedgerServer(latin, lock_s=1.0)) as opened,
        pytest.raises(StorageError, match=r"encoding LATIN1.*UTF8"),
    ):
        opened.head()


def test_a_slow_answer_says_nothing_of_the_clock(
    address: HomeAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(LedgerServer(address, lock_s=1.0)) as opened:
        assert abs(opened.head().at - time.time()) < 60
        assert opened.offset == 0.0
        now = time.time
        # This machine's clock is an hour slow.
        monkeypatch.setattr(time, "time", lambda: now() - 3600)
        opened.head()
        assert abs(opened.offset - 3600) < 60
        known, ticks = opened.offset, iter([now() - 9000, now()])
        # It slept while the answer was under way.
        monkeypatch.setattr(time, "time", lambda: next(ticks))
        opened.head()
        assert opened.offset == known
