"""The stream of what changes."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.console.io import ledger_watch
from tidemill.console.io.ledger_watch import LedgerWatch
from tidemill.core.errors import StorageError
from tidemill.ledger.event import EnvironmentCreated, EnvironmentDropped


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    opened = SqliteLedger(tmp_path / "ledger.db")
    add(opened, "first")
    yield opened
    opened.close()


def add(ledger: SqliteLedger, name: str) -> int:
    return ledger.append([EnvironmentCreated(environment=name)], now=0.0)


@contextmanager
def watched(ledger: SqliteLedger, folder: Path) -> Iterator[LedgerWatch]:
    watch = LedgerWatch(ledger, folder)
    watch.start()
    try:
        yield watch
    finally:
        watch.close()


def parsed(message: bytes) -> tuple[int, list[str]]:
    id, kind, data = message.decode().strip().split("\n")
    assert kind == "event: change"
    return int(id.removeprefix("id: ")), json.loads(data.removeprefix("data: "))["topics"]


async def next_of(messages: Any) -> tuple[int, list[str]]:
    return parsed(await asyncio.wait_for(anext(messages), 60.0))


@pytest.mark.parametrize("has_inotify", [True, False])
def test_what_is_recorded_is_told(
    ledger: SqliteLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_inotify: bool
) -> None:
    if not has_inotify:

        class NoInotify:
            def __init__(self) -> None:
                raise OSError("none")

        monkeypatch.setattr(ledger_watch, "Inotify", NoInotify)

    async def play() -> None:
        with watched(ledger, tmp_path) as watch:
            messages = watch.messages(watch.seq)
            waiting = asyncio.create_task(next_of(messages))
            await asyncio.sleep(0)
            seq = await asyncio.to_thread(add, ledger, "second")
            assert await waiting == (seq, ["environments"])
            await messages.aclose()

    asyncio.run(play())


def test_who_comes_back_misses_nothing(ledger: SqliteLedger, tmp_path: Path) -> None:
    """Every event is told to a reader that reconnects after each message, in order."""

    async def play() -> None:
        with watched(ledger, tmp_path) as watch:
            after, told = watch.seq, 0
            last = 0
            for number in range(20):
                last = await asyncio.to_thread(add, ledger, f"e{number}")
            while after < last:
                messages = watch.messages(after)
                after, topics = await next_of(messages)
                assert topics == ["environments"]
                told += 1
                await messages.aclose()
            assert 1 <= told <= 20

    asyncio.run(play())


def test_who_was_away_for_long_looks_at_everything(
    ledger: SqliteLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_watch, "_MOST", 3)

    async def play() -> None:
        for number in range(5):
            add(ledger, f"e{number}")
        with watched(ledger, tmp_path) as watch:
            assert await next_of(watch.messages(0)) == (watch.seq, ["*"])
            # It was restored from a backup, or the number is made up.
            assert await next_of(watch.messages(watch.seq + 7)) == (watch.seq, ["*"])
            assert await next_of(watch.messages(watch.seq - 2)) == (watch.seq, ["environments"])

    asyncio.run(play())


def test_the_stream_ends_with_the_console(ledger: SqliteLedger, tmp_path: Path) -> None:
    async def play() -> None:
        with watched(ledger, tmp_path) as watch:
            messages = watch.messages(watch.seq)
            waiting = asyncio.create_task(anext(messages, b"over"))
            await asyncio.sleep(0)
        assert await asyncio.wait_for(waiting, 60.0) == b"over"

    asyncio.run(play())


def test_environments_that_end_are_told_too(ledger: SqliteLedger, tmp_path: Path) -> None:
    async def play() -> None:
        with watched(ledger, tmp_path) as watch:
            before = watch.seq
            event = EnvironmentDropped(environment="first")
            seq = await asyncio.to_thread(lambda: ledger.append([event], now=1.0))
            assert await next_of(watch.messages(before)) == (seq, ["environments"])

    asyncio.run(play())


def test_the_stream_ends_for_who_logged_out(ledger: SqliteLedger, tmp_path: Path) -> None:
    async def play() -> None:
        with watched(ledger, tmp_path) as watch:
            sessions = ["ana"]

            async def is_wanted() -> bool:
                return bool(sessions)

            messages = watch.messages(0, is_wanted)
            assert await next_of(messages) == (watch.seq, ["environments"])
            sessions.clear()
            assert await anext(messages, b"over") == b"over"

    asyncio.run(play())


def test_a_ledger_that_cannot_be_reached_for_a_while_is_followed_again(
    ledger: SqliteLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = [PermissionError("not now"), StorageError("not now")]
    look = LedgerWatch._look

    def look_later(watch: LedgerWatch) -> None:
        if failures:
            raise failures.pop()
        look(watch)

    async def play() -> None:
        monkeypatch.setattr(LedgerWatch, "_look", look_later)
        with watched(ledger, tmp_path) as watch:
            before = watch.seq
            seq = await asyncio.to_thread(add, ledger, "second")
            assert await next_of(watch.messages(before)) == (seq, ["environments"])
        assert not failures

    asyncio.run(play())


@pytest.mark.parametrize("is_in_place", [True, False])
def test_a_ledger_that_was_replaced_is_followed_from_its_end(
    ledger: SqliteLedger, tmp_path: Path, is_in_place: bool
) -> None:
    """A restored copy is another file, or is written over the one that was there."""
    backup = tmp_path / "backup.db"
    with (
        closing(sqlite3.connect(tmp_path / "ledger.db")) as source,
        closing(sqlite3.connect(backup)) as copy,
    ):
        source.backup(copy)
    for number in range(5):
        add(ledger, f"e{number}")

    def restore() -> None:
        if is_in_place:
            with (
                closing(sqlite3.connect(backup)) as source,
                closing(sqlite3.connect(tmp_path / "ledger.db")) as copy,
            ):
                source.backup(copy)
            return
        ledger.close()
        for file in tmp_path.glob("ledger.db*"):
            file.unlink()
        shutil.copy(backup, tmp_path / "ledger.db")

    async def play() -> None:
        with watched(ledger, tmp_path) as watch:
            before, known = watch.seq, watch.ledger_id
            messages = watch.messages(before, ledger=known)
            waiting = asyncio.create_task(next_of(messages))
            await asyncio.sleep(0)
            await asyncio.to_thread(restore)
            assert await waiting == (1, ["*"])
            assert (watch.generation, watch.seq) == (1, 1)
            seq = await asyncio.to_thread(add, ledger, "second")
            assert await next_of(messages) == (seq, ["environments"])
            # Numbers of the ledger of before tell nothing.
            for after in (0, before):
                assert await next_of(watch.messages(after)) == (seq, ["*"])
            # Also once there are as many events as before.
            for number in range(7):
                seq = await asyncio.to_thread(add, ledger, f"again{number}")
            while watch.seq < seq:
                await asyncio.sleep(0.01)
            assert await next_of(watch.messages(before, ledger=known)) == (seq, ["*"])
            await messages.aclose()

    asyncio.run(play())
