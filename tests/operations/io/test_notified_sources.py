"""A process listens to databases; what it tells, and that it ends, is noticed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from select import select

import psycopg
import pytest

from tests.support.servers import postgres_server
from tests.support.waiting import PATIENCE_S
from tidemill.operations.io import notified_sources as module
from tidemill.operations.io.notified_sources import NotifiedSources
from tidemill.operations.io.watcher import SeenChange
from tidemill.operations.supervision import SourcePlace

LISTENER = "tidemill.project.listen_worker"
BEGUN = SeenChange("orders", "its database can be listened to")
NOTIFIED = SeenChange("orders", "a notification on shop")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres_server() as url:
        yield url


class Listening:
    """What listens to the channel of one stage."""

    def __init__(self, url: str, listener: str = LISTENER) -> None:
        self.numbers: list[int] = []
        self.sources = NotifiedSources(listener)
        self.sources.follow((SourcePlace(stage="orders", url=url, channel="shop"),), self.register)

    def register(self, old: int | None, new: int | None) -> None:
        if old is not None:
            self.numbers.remove(old)
        if new is not None:
            self.numbers.append(new)

    def until(self, happened: Callable[[], object], now: float = 0.0) -> list[SeenChange]:
        """What is told until something has happened."""
        found = [*self.sources.read(now)]
        while not happened():
            assert select(self.numbers, [], [], PATIENCE_S)[0]
            found += self.sources.read(now)
        return found


def do(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


def test_notifications_are_changes_and_a_lost_connection_is_made_again(server: str) -> None:
    found = Listening(server)
    sources = found.sources
    assert sources.listening == frozenset()
    assert found.until(lambda: sources.listening) == [BEGUN]
    assert [*sources.notes] == []
    do(server, "NOTIFY shop")
    assert select(found.numbers, [], [], PATIENCE_S)[0]
    assert [*sources.read(0.0)] == [NOTIFIED]
    kill = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tidemill'"
    )
    do(server, kill)
    assert found.until(lambda: not sources.listening) == []
    (note,) = sources.notes
    assert note.startswith("orders is only asked: postgresql://")
    # It connects again by itself, and what was missed meanwhile is looked for.
    assert found.until(lambda: sources.listening) == [BEGUN]
    assert [*sources.notes] == []
    sources.close()
    assert found.numbers == []


def test_a_process_that_ends_is_replaced_after_a_pause() -> None:
    found = Listening("postgresql://x/y", "tests.support.nothing_there")
    sources = found.sources
    assert found.until(lambda: sources.start_at is not None, 5.0) == []
    assert sources.start_at == 15.0
    assert sources.notes == (
        "orders is only asked: the process that listens to its database has ended",
    )
    assert found.numbers == []
    assert [*sources.read(14.0)] == []
    assert found.numbers == []
    assert [*sources.read(15.0)] == []
    assert len(found.numbers) == 1
    sources.close()


def test_no_process_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise BlockingIOError("too many processes")

    monkeypatch.setattr(module, "JobProcess", refuse)
    sources = Listening("postgresql://x/y").sources
    assert sources.notes == ("orders is only asked: no process can be started: too many processes",)


def test_a_url_is_no_argument_of_a_process(tmp_path: Path) -> None:
    found = Listening("postgresql://ana:sesame-open@127.0.0.1:1/shop")
    process = found.sources._process
    assert process is not None
    listed = Path(f"/proc/{process.pid}/cmdline")
    if listed.exists():
        assert b"sesame" not in listed.read_bytes()
    found.until(lambda: found.sources.notes)
    assert "sesame" not in found.sources.notes[0]
    # The same again changes nothing, and nothing ends it.
    place = SourcePlace(
        stage="orders", url="postgresql://ana:sesame-open@127.0.0.1:1/shop", channel="shop"
    )
    found.sources.follow((place,), found.register)
    assert found.sources._process is process
    assert "sesame" not in repr(place)
    found.sources.follow((), found.register)
    assert found.numbers == []
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)
