"""Call views of an open project for whoever asks, and say what came of it."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from tidemill.console.entity_tag import document_text
from tidemill.console.problems import problem, status_of
from tidemill.console.resource import call_view
from tidemill.console.shown_once import mask_others
from tidemill.core.errors import TidemillError, describe_error
from tidemill.core.json_values import to_json_values
from tidemill.core.lazy_dataclass import dataclass
from tidemill.project.identity import token_actor
from tidemill.project.project import Project
from tidemill.workflow.environment import PRODUCTION

_LOG = logging.getLogger("tidemill.console")
# So many people's services stay open, which remember what they read, for so long (seconds) without calls.
_MOST_ACTORS, _KEPT_S = 16, 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewCall:
    """A view to call with arguments, for the holder of `token`, or without one for this process's user.

    It `acts` if it changes anything; with `in_dropped` it is also made in an environment that was dropped.
    """

    view: str
    arguments: Mapping[str, Any]
    token: str = field(default="", repr=False)
    acts: bool = False
    in_dropped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewAnswer:
    """A status of HTTP and a document as JSON."""

    status: int
    body: str


def refused_answer(status: int, detail: str) -> ViewAnswer:
    """The answer to a call that failed, or that isn't made."""
    return ViewAnswer(status=status, body=document_text(problem(status, detail)))


class ViewCaller:
    """Calls views of one project in one environment; each actor has services of their own."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._acting: dict[str, tuple[float, Project]] = {}
        self._used = time.monotonic()

    def call(self, call: ViewCall) -> ViewAnswer:
        """Call a view; what it raises is an answer as well."""
        try:
            project = self._project_of(call.token)
            _require_environment(project, project.environment, call)
            found = call_view(call.view, project, call.arguments)
            mask = mask_others(project.workspace.redactor.mask)
            return ViewAnswer(status=200, body=document_text(to_json_values(found, mask)))
        except TidemillError as error:
            return self._refusal(status_of(error), str(error))
        except Exception as error:  # noqa: BLE001 - whoever asks gets an answer
            text = "".join(traceback.format_exception(error))
            _LOG.error("%s broke\n%s", call.view, self._project.workspace.redactor.redact(text))
            return self._refusal(500, describe_error(error))

    def find_refusal(self, call: ViewCall, environment: str) -> ViewAnswer | None:
        """Why a call isn't made in an environment, which isn't opened; None if it may be."""
        try:
            _require_environment(self._project_of(call.token), environment, call)
        except TidemillError as error:
            return self._refusal(status_of(error), str(error))
        return None

    def _refusal(self, status: int, detail: str) -> ViewAnswer:
        return refused_answer(status, self._project.workspace.redactor.redact(detail))

    def _project_of(self, token: str) -> Project:
        """The project for the holder of a token, or for this process's user.

        Who that is is looked up each time: tokens are revoked, and people log out.
        """
        if not token:
            return self._own_project()
        tools = self._project.tools
        actor = token_actor(tools.ledger, token, now=tools.clock(), place="the request")
        _, found = self._acting.pop(actor.token, (0.0, None))
        if found is None or found.workspace.actor != actor:
            found = self._project.acting_as(actor, token)
        while len(self._acting) >= _MOST_ACTORS:
            del self._acting[next(iter(self._acting))]
        self._acting[actor.token] = time.monotonic(), found
        return found

    def _own_project(self) -> Project:
        self._used = time.monotonic()
        actor = self._project.workspace.find_actor()
        if actor != self._project.workspace.actor:
            self._project = self._project.acting_as(actor)
        return self._project

    def end_idle(self) -> None:
        """Forget what nobody needed in the last while."""
        first = time.monotonic() - _KEPT_S
        self._acting = {token: each for token, each in self._acting.items() if each[0] >= first}
        if self._used < first:
            self._project.drop_services()
        else:
            self._project.drop_old()

    def close(self) -> None:
        """Close the project."""
        self._project.close(report=lambda _: None)


def _require_environment(project: Project, environment: str, call: ViewCall) -> None:
    if environment != PRODUCTION:
        project.environments.require(environment, or_dropped=call.in_dropped)
