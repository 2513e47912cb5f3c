"""The console of a project in this process, and somebody who browses it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlencode, urlsplit

from starlette.testclient import TestClient

from tidemill.console.io.app import open_app
from tidemill.console.io.ledger_watch import LedgerWatch
from tidemill.console.io.pages import Console
from tidemill.console.request_origin import AllowedHosts
from tidemill.console.resource import API, Resource
from tidemill.console.sessions import LoginLinks, Sessions
from tidemill.console.view_calls import ViewAnswer, ViewCall, ViewCaller
from tidemill.core.redaction import Redactor
from tidemill.project.composition import open_shared_ledger
from tidemill.project.project import open_project
from tidemill.project.recorded_project import open_recorded
from tidemill.project.settings import find_settings

PLACE = "http://127.0.0.1:8484"
SECRET = b"secret"


class ProjectsHere:
    """Calls views in this process, with the workflow imported where a view needs it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._callers: dict[tuple[str, bool], ViewCaller] = {}

    async def call(
        self, resource: Resource, arguments: Mapping[str, Any], environment: str, token: str
    ) -> ViewAnswer:
        key = environment, resource.needs_workflow
        if key not in self._callers:
            opened = open_project(self._root, env=environment) if key[1] else None
            project = opened or open_recorded(self._root, environment=environment)
            self._callers[key] = ViewCaller(project)
        return self._callers[key].call(
            ViewCall(view=resource.view, arguments=arguments, token=token)
        )

    def forget(self) -> None:
        """Nothing is remembered."""

    def end_idle(self) -> None:
        """Nothing runs."""

    def close(self) -> None:
        for caller in self._callers.values():
            caller.close()


@dataclass(frozen=True)
class SeenPage:
    """A page as it was sent."""

    status: int
    text: str
    url: str

    @property
    def words(self) -> str:
        """The text that people read, with single spaces."""
        found = _Words()
        found.feed(self.text)
        return " ".join("".join(found.parts).split())

    def field(self, name: str) -> str:
        """The value of a hidden field."""
        found = re.search(rf'name="{name}" value="([^"]*)"', self.text)
        assert found is not None, f"the page has no field {name}"
        return found[1].replace("&#34;", '"').replace("&quot;", '"')


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)

    def handle_endtag(self, tag: str) -> None:
        self.parts.append(
            " " if tag in ("td", "th", "li", "p", "div", "h1", "h2", "option", "dt", "dd") else ""
        )


class Visitor:
    """Somebody who looks at the console of a project; logged in as this process's user, or with a token."""

    def __init__(
        self, root: Path, *, token: str = "", is_logged_in: bool = True, url: str = ""
    ) -> None:
        settings = find_settings(root.resolve())
        self.root = root
        self._ledger = open_shared_ledger(settings, Redactor(()))
        self.links = LoginLinks(SECRET)
        self._numbers = numbers = iter(range(1_000))
        self.console = Console(
            projects=ProjectsHere(root),
            watch=LedgerWatch(self._ledger, root / settings.home),
            sessions=Sessions(lambda: f"session-{next(numbers)}", 3_600.0),
            links=self.links,
            cookie="__Host-tidemill" if url else "tidemill",
            secure=bool(url),
        )
        names = frozenset({urlsplit(url).hostname or ""})
        app = open_app(self.console, AllowedHosts(names=names, loopback=True, url=url))
        self.client = TestClient(app, base_url=url or PLACE, follow_redirects=False)
        self._token, self._is_logged_in = token, is_logged_in

    def __enter__(self) -> Visitor:
        self.client.__enter__()
        if self._is_logged_in:
            self.log_in(self._token)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.client.__exit__(kind, error, trace)
        self._ledger.close()

    def log_in(self, token: str = "") -> None:
        if token:
            answer = self.client.post("/login", content=urlencode({"token": token}))
        else:
            code = self.links.make(f"nonce{next(self._numbers)}", 4e9)
            answer = self.client.get(f"/?link={code}")
        assert answer.status_code == 303, answer.text

    def page(self, path: str, status: int = 200) -> SeenPage:
        """A page; the test fails if it has another status."""
        answer = self.client.get(path)
        assert answer.status_code == status, answer.text
        return SeenPage(answer.status_code, answer.text, str(answer.url))

    def api(self, path: str, status: int = 200) -> Any:
        """The document of the API."""
        answer = self.client.get(API + path)
        assert answer.status_code == status, answer.text
        return answer.json()

    def send(
        self, page: SeenPage, path: str, fields: Mapping[str, str], *, says_where: bool = False
    ) -> SeenPage:
        """Send a form of a page, and follow where it leads; browsers say which page that was."""
        hidden = {"form_key": page.field("form_key")}
        if 'name="seen_tag"' in page.text:
            hidden["seen_tag"] = page.field("seen_tag")
        headers = {"Referer": page.url} if says_where else {}
        answer = self.client.post(path, content=urlencode({**hidden, **fields}), headers=headers)
        if answer.status_code == 303:
            answer = self.client.get(answer.headers["location"])
        return SeenPage(answer.status_code, answer.text, str(answer.url))

    def post(self, path: str, body: Mapping[str, Any], **headers: str) -> tuple[int, Any]:
        """Do something by the API, with the key of the session."""
        session = self.console.sessions.find(self.client.cookies["tidemill"], 0.0)
        assert session is not None
        sent = {"X-Form-Key": session.form_key, **headers}
        answer = self.client.post(API + path, content=json.dumps(body), headers=sent)
        return answer.status_code, answer.json()
