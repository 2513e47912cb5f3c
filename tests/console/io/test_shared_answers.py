"""One call for all who ask for the same."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from tidemill.console.io import shared_answers
from tidemill.console.io.shared_answers import SharedAnswers
from tidemill.console.resource import PageAction, Resource
from tidemill.console.view_calls import ViewAnswer

RUNS = Resource(name="runs", path="/runs", view="x:y")
STOP = PageAction(name="stop", path="/stop", view="x:y", then="/runs")


class Calls:
    """Counts calls, which wait until they may end."""

    def __init__(self) -> None:
        self.made = 0
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.is_closed = self.is_tended = False

    async def call(
        self, resource: Resource, arguments: Mapping[str, Any], environment: str, token: str
    ) -> ViewAnswer:
        self.made += 1
        number = self.made
        await self.may_end.wait()
        return ViewAnswer(status=200, body=str(number))

    def forget(self) -> None:
        """Nothing is remembered here."""

    def end_idle(self) -> None:
        self.is_tended = True

    def close(self) -> None:
        self.is_closed = True


def test_those_who_ask_for_the_same_share_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_answers, "_KNOWN_S", 1e9)

    async def play() -> None:
        calls = Calls()
        shared = SharedAnswers(calls, lambda: 7)
        calls.may_end.clear()
        waiting = [asyncio.create_task(shared.call(RUNS, {"a": 1}, "prod", "")) for _ in range(20)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        calls.may_end.set()
        answers = await asyncio.gather(*waiting[1:])
        assert {each.body for each in answers} == {"1"}
        for arguments, environment, token in (
            ({"a": 2}, "prod", ""),
            ({"a": 1}, "trial", ""),
            ({"a": 1}, "prod", "tm_other"),
        ):
            await shared.call(RUNS, arguments, environment, token)
        assert calls.made == 4

    asyncio.run(play())


def test_what_is_recorded_or_done_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_answers, "_KNOWN_S", 1e9)

    async def play() -> None:
        calls, seq = Calls(), [1]
        shared = SharedAnswers(calls, lambda: seq[0])
        first = await shared.call(RUNS, {}, "prod", "")
        seq[0] = 2
        second = await shared.call(RUNS, {}, "prod", "")
        await shared.call(STOP, {}, "prod", "")
        third = await shared.call(RUNS, {}, "prod", "")
        await shared.call(STOP, {}, "prod", "")
        await shared.call(STOP, {}, "prod", "")
        assert (first.body, second.body, third.body, calls.made) == ("1", "2", "4", 6)

    asyncio.run(play())


def test_what_depends_on_the_time_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_answers, "_KNOWN_S", -1.0)

    async def play() -> None:
        calls = Calls()
        shared = SharedAnswers(calls, lambda: 1)
        for _ in range(300):
            await shared.call(RUNS, {}, "prod", "")
        assert calls.made == 300
        assert len(shared._known) == 1
        shared.end_idle()
        assert not shared._known
        shared.close()
        assert (calls.is_tended, calls.is_closed) == (True, True)

    asyncio.run(play())


@pytest.mark.parametrize(("most", "text", "kept"), [(200, 1 << 30, 200), (1_000, 30, 10)])
def test_answers_that_are_kept_are_bounded(
    monkeypatch: pytest.MonkeyPatch, most: int, text: int, kept: int
) -> None:
    monkeypatch.setattr(shared_answers, "_KNOWN_S", 1e9)
    monkeypatch.setattr(shared_answers, "_MOST", most)
    monkeypatch.setattr(shared_answers, "_MOST_TEXT", text)

    async def play() -> None:
        shared = SharedAnswers(Calls(), lambda: 1)
        for number in range(400):
            await shared.call(RUNS, {"a": number}, "prod", "")
        shared.end_idle()
        # Their bodies have three digits.
        assert [key[3][0][1] for key in shared._known] == [*range(400 - kept, 400)]

    asyncio.run(play())


def test_an_answer_that_is_waited_for_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_answers, "_KNOWN_S", -1.0)

    async def play() -> None:
        calls = Calls()
        shared = SharedAnswers(calls, lambda: 1)
        calls.may_end.clear()
        waiting = asyncio.create_task(shared.call(RUNS, {}, "prod", ""))
        await asyncio.sleep(0)
        shared.end_idle()
        assert len(shared._known) == 1
        calls.may_end.set()
        assert (await waiting).body == "1"

    asyncio.run(play())
