"""A long upgrade of a ledger says what is going on, and an interrupted one loses nothing."""

import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from tests.support.tables import earlier, tables
from tidemill.adapters.sqlite import connections
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.adapters.sqlite.upgrade_watch import upgrade_notice, watch_upgrade
from tidemill.ledger.event_subjects import KINDS_WITH_SUBJECTS
from tidemill.testing.records import events_of_every_kind

COUNT = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT {}) SELECT max(i) FROM n"


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as found:
        yield found


def ticking(seconds: float) -> Callable[[], float]:
    """A clock that each look advances by some seconds."""
    moments = count()
    return lambda: next(moments) * seconds


def test_only_a_long_upgrade_is_announced_and_once(
    connection: sqlite3.Connection, tmp_path: Path
) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(bytes(1000))
    said: list[str] = []
    for step, expected in ((0.0, 0), (0.6, 1)):
        with watch_upgrade(connection, str(path), said.append, ticking(step)):
            assert connection.execute(COUNT.format(200_000)).fetchone() == (200_000,)
        assert len(said) == expected
    assert said == [upgrade_notice(str(path))]
    assert "Ctrl-C loses nothing" in said[0]


def test_a_warning_is_logged_by_default(
    connection: sqlite3.Connection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"")
    with watch_upgrade(connection, str(path), clock=ticking(9.0)):
        connection.execute(COUNT.format(200_000)).fetchone()
    assert [record.getMessage() for record in caplog.records] == [upgrade_notice(str(path))]


def test_an_interrupt_ends_the_statement(
    connection: sqlite3.Connection, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    def interrupt(_: str) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    path = tmp_path / "ledger.db"
    path.write_bytes(b"")
    # A program that was started in the background ignores it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    with (
        pytest.raises(KeyboardInterrupt),
        watch_upgrade(connection, str(path), interrupt, ticking(9.0)),
    ):
        # It would take hours.
        connection.execute(COUNT.format(10**11)).fetchone()
    assert connection.execute(COUNT.format(200_000)).fetchone() == (200_000,)


def test_errors_of_statements_stay_as_they_are(connection: sqlite3.Connection) -> None:
    with (
        pytest.raises(sqlite3.OperationalError, match="no such table"),
        watch_upgrade(connection, "ledger.db"),
    ):
        connection.execute("SELECT * FROM nowhere")


def test_an_interrupted_upgrade_begins_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.db"
    with earlier(path, 10) as run:
        run("INSERT INTO environments (name, parent) VALUES ('prod', '')")
    before = tables(path)

    def interrupted(connection: sqlite3.Connection, version: str) -> None:
        connection.execute("CREATE TABLE half (done INTEGER)")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(connections, "migrate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            SqliteLedger(path)
    assert tables(path) == before
    ledger = SqliteLedger(path)
    assert [*ledger.state("prod").environments] == ["prod"]
    ledger.append(events_of_every_kind()[1:], now=1.0)
    ledger.close()
    assert "half" not in tables(path)
    assert len(tables(path)["subjects"]) > len(KINDS_WITH_SUBJECTS)
