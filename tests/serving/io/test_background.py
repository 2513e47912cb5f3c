"""A part of a server that fails begins again, and ends when it is cancelled."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tidemill.serving.io import background
from tidemill.serving.io.background import cancel, spawn


def test_a_part_that_fails_begins_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(background, "AGAIN_S", 0.0)
    begun: list[int] = []

    async def main() -> None:
        works, ended = asyncio.Event(), asyncio.Event()

        async def part() -> None:
            begun.append(len(begun))
            if len(begun) < 3:
                raise KeyError("odd")
            works.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        task = spawn(part)
        await works.wait()
        await cancel([task])
        assert task.cancelled()
        assert ended.is_set()

    with caplog.at_level(logging.ERROR):
        asyncio.run(main())
    assert begun == [0, 1, 2]
    assert [record.message.rpartition(".")[2] for record in caplog.records] == [
        "part failed; it begins again"
    ] * 2


def test_a_part_that_ends_is_not_begun_again() -> None:
    async def main() -> None:
        begun: list[int] = []

        async def part() -> None:
            begun.append(1)

        await spawn(part)
        assert begun == [1]

    asyncio.run(main())
