"""Decisions that are bound to what was seen."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from tidemill.console.entity_tag import etag_of
from tidemill.console.io.guarded_actions import GuardedActions
from tidemill.console.resource import PageAction, Resource
from tidemill.console.resources import ACTIONS
from tidemill.console.view_calls import ViewAnswer

DROP = next(action for action in ACTIONS if action.name == "drop-rows")
HELD = {"stage": "sales", "partition": "2026-01-12"}


class Calls:
    """A document that each action changes; every call lets others go on."""

    def __init__(self) -> None:
        self.done: dict[str, int] = {}

    def document(self, environment: str) -> str:
        return str(self.done.get(environment, 0))

    async def call(
        self, resource: Resource, arguments: Mapping[str, Any], environment: str, token: str
    ) -> ViewAnswer:
        await asyncio.sleep(0)
        if isinstance(resource, PageAction):
            self.done[environment] = self.done.get(environment, 0) + 1
            return ViewAnswer(status=200, body="{}")
        assert arguments == HELD
        return ViewAnswer(status=200, body=self.document(environment))

    def forget(self) -> None:
        """Nothing is remembered here."""

    def end_idle(self) -> None:
        """Nothing runs."""

    def close(self) -> None:
        """Nothing is open."""


def test_one_of_those_who_decide_at_once_does_and_the_others_are_told() -> None:
    async def play() -> None:
        calls = Calls()
        actions = GuardedActions(calls)
        seen = etag_of(calls.document("prod").encode())
        arguments = {**HELD, "choice": "all", "reason": "torn"}
        answers = await asyncio.gather(
            *(actions.call(DROP, arguments, "prod", f"person {n}", seen) for n in range(6)),
            actions.call(DROP, arguments, "dev", "person 6", seen),
            actions.call(DROP, arguments, "prod", "person 7", ""),
        )
        assert sorted(each.status for each in answers[:6]) == [200, 412, 412, 412, 412, 412]
        assert [each.status for each in answers[6:]] == [200, 428]
        assert calls.done == {"prod": 1, "dev": 1}
        assert len(actions._locks) == 0

    asyncio.run(play())
