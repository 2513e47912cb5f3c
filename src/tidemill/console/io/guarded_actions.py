"""Do what people decide, if what it is about is still as they saw it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from weakref import WeakValueDictionary

from tidemill.console.entity_tag import etag_of
from tidemill.console.io.shared_answers import ViewCalls
from tidemill.console.resource import PageAction
from tidemill.console.resources import RESOURCES
from tidemill.console.view_calls import ViewAnswer, refused_answer


class GuardedActions:
    """Does actions; of those that are bound to what was seen, one at a time in an environment."""

    def __init__(self, projects: ViewCalls) -> None:
        self._projects = projects
        self._by_name = {resource.name: resource for resource in RESOURCES}
        # Between the look and the action nobody else decides.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def call(
        self,
        action: PageAction,
        arguments: Mapping[str, Any],
        environment: str,
        token: str,
        version: str,
    ) -> ViewAnswer:
        """Do an action for somebody who saw a `version` of what it guards, or say why it isn't done."""
        if not action.guards:
            return await self._projects.call(action, arguments, environment, token)
        lock = self._locks.setdefault(environment, asyncio.Lock())
        async with lock:
            refused = await self._refusal(action, arguments, environment, token, version)
            return refused or await self._projects.call(action, arguments, environment, token)

    async def _refusal(
        self,
        action: PageAction,
        arguments: Mapping[str, Any],
        environment: str,
        token: str,
        version: str,
    ) -> ViewAnswer | None:
        guarded = self._by_name[action.guards]
        # Somebody else may just have decided; and what it is about is as the page named it.
        self._projects.forget()
        named = {name: arguments[name] for name in guarded.parameters if name in arguments}
        seen = await self._projects.call(guarded, named, environment, token)
        if seen.status != 200:
            return seen
        if not version:
            return refused_answer(428, "say which version you saw: If-Match with its entity tag")
        if version != etag_of(seen.body.encode()):
            return refused_answer(412, "look at it again, and decide then")
        return None
