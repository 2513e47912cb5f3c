"""Call views of an open project for whoever asks, and say what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from tidemill.console.problems import problem, status_of
from tidemill.console.resource import load_view
from tidemill.console.shown_once import mask_others
from tidemill.core.errors import TidemillError, describe_error
from tidemill.core.json_values import to_json_values
from tidemill.core.lazy_dataclass import dataclass
from tidemill.project.identity import token_actor
from tidemill.project.project import Project

# So many people's services stay open, which remember what they read.
_MOST_ACTORS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewCall:
    """A view to call with arguments, for the holder of `token`, or without one for this process's user."""

    view: str
    arguments: Mapping[str, Any]
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewAnswer:
    """A status of HTTP and a document as JSON."""

    status: int
    body: str


class ViewCaller:
    """Calls views of one project in one environment; each actor has services of their own."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._acting: dict[str, Project] = {}

    def call(self, call: ViewCall) -> ViewAnswer:
        """Call a view; what it raises is an answer as well."""
        try:
            project = self._project_of(call.token)
            found = load_view(call.view)(project, **call.arguments)
            mask = mask_others(project.workspace.redactor.mask)
            return ViewAnswer(status=200, body=_json(to_json_values(found, mask)))
        except TidemillError as error:
            return self._refusal(status_of(error), str(error))
        except Exception as error:  # noqa: BLE001 - whoever asks gets an answer
            return self._refusal(500, describe_error(error))

    def _refusal(self, status: int, detail: str) -> ViewAnswer:
        masked = self._project.workspace.redactor.redact(detail)
        return ViewAnswer(status=status, body=_json(problem(status, masked)))

    def _project_of(self, token: str) -> Project:
        """The project for the holder of a token, who is looked up each time: tokens are revoked."""
        if not token:
            return self._project
        tools = self._project.tools
        actor = token_actor(tools.ledger, token, now=tools.clock(), place="the session")
        found = self._acting.pop(actor.token, None)
        if found is None or found.workspace.actor != actor:
            found = self._project.acting_as(actor, token)
        while len(self._acting) >= _MOST_ACTORS:
            del self._acting[next(iter(self._acting))]
        self._acting[actor.token] = found
        return found

    def end_idle(self) -> None:
        """Forget what nobody needs now."""
        self._project.drop_old()

    def close(self) -> None:
        """Close the project."""
        self._project.close(report=lambda _: None)


def _json(document: object) -> str:
    return json.dumps(document, ensure_ascii=False, allow_nan=False)
