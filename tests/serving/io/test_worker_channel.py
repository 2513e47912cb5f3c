"""Records arrive whole and in order, and the end of the other side is noticed."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from tidemill.serving.io.worker_channel import WorkerChannel, packed, receive_first
from tidemill.serving.worker_messages import ServerView

LONG = ServerView(status=b"x" * 3_000_000)


def test_records_arrive_in_order() -> None:
    async def exchange() -> list[ServerView | None]:
        ours, theirs = socket.socketpair()
        one = await WorkerChannel.open(ours, ServerView)
        other = await WorkerChannel.open(theirs, ServerView)
        one.send(ServerView(processes=2))
        one.send(LONG)
        found = [await other.receive(), await other.receive()]
        await one.close()
        one.send(LONG)
        found.append(await other.receive())
        await other.close()
        return found

    assert asyncio.run(exchange()) == [ServerView(processes=2), LONG, None]


def test_what_nobody_reads_is_not_kept_without_end() -> None:
    async def flood() -> list[bool]:
        ours, theirs = socket.socketpair()
        channel = await WorkerChannel.open(ours, ServerView)
        for _ in range(20):
            channel.send(LONG)
        reader = await WorkerChannel.open(theirs, ServerView)
        closing = asyncio.create_task(channel.close())
        found = []
        while (record := await reader.receive()) is not None:
            found.append(record == LONG)
        await closing
        await reader.close()
        return found

    found = asyncio.run(flood())
    assert all(found)
    assert 2 <= len(found) < 10


def test_a_record_of_another_version_ends_the_channel() -> None:
    async def exchange() -> ServerView | None:
        ours, theirs = socket.socketpair()
        with theirs:
            channel = await WorkerChannel.open(ours, ServerView)
            theirs.sendall(packed({"processes": "two"}))
            found = await channel.receive()
            await channel.close()
        return found

    assert asyncio.run(exchange()) is None


def test_the_first_record_is_read_without_a_loop() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sender = threading.Thread(target=ours.sendall, args=(packed(LONG),))
        sender.start()
        assert receive_first(theirs, ServerView) == LONG
        sender.join()
        ours.close()
        with pytest.raises(EOFError):
            receive_first(theirs, ServerView)
