"""People who look at a running console, each in a browser of their own, with a token of their own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.running_console import RunningConsole
from tests.support.users import USER
from tidemill.console.resource import API
from tidemill.ledger.event import Event
from tidemill.project.recorded_project import open_recorded

if TYPE_CHECKING:
    from playwright.sync_api import Page

# More steps than any page of a small project has.
MOST_TABS = 400
ROLES = f"""
[tool.tidemill.roles]
{USER} = "admin"
rita = "reviewer"
ruth = "reviewer"
vera = "viewer"
"""
# What has the focus: its words, where it leads, and its tag.
_FOCUSED = """() => {
  const found = document.activeElement;
  const label = found.labels?.length ? found.labels[0].innerText : found.innerText;
  return [label ?? "", found.getAttribute("href") ?? "", found.tagName];
}"""


def project_of_people(template: Path, folder: Path) -> Path:
    """Copy a project into a folder, and give it people with roles."""
    shutil.copytree(template, folder)
    with (folder / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write(ROLES)
    return folder


def new_token(folder: Path, holder: str, *scopes: str) -> str:
    """The text of a new token of somebody."""
    with closing(open_recorded(folder)) as project:
        return project.tokens.create(holder, scopes=scopes).text


def recorded(folder: Path, *kinds: type[Event]) -> list[Any]:
    """The events of some kinds, in the order in which they were recorded."""
    with closing(open_recorded(folder)) as project:
        names = [kind.__name__ for kind in kinds]
        return [each.event for each in project.tools.ledger.events(kinds=names)]


class ConsoleGuest:
    """Somebody who is logged in, with a page that shows nothing yet."""

    def __init__(self, page: Page, running: RunningConsole, token: str) -> None:
        self.page, self.running = page, running
        self._headers = {"Authorization": f"Bearer {token}"}
        answer = page.context.request.post(
            f"{running.url}/login", form={"token": token}, max_redirects=0
        )
        assert answer.status == 303, answer.text()

    def go(self, path: str) -> None:
        """Open a page."""
        answer = self.page.goto(self.running.url + path)
        assert answer is not None
        assert answer.status == 200, (path, self.page.locator("main").inner_text())

    def api(self, path: str) -> Any:
        """The document of the API."""
        answer = self.page.context.request.get(
            f"{self.running.url}{API}{path}", headers=self._headers
        )
        assert answer.status == 200, answer.text()
        return answer.json()

    def post(self, path: str, body: Mapping[str, object], tag: str = "") -> tuple[int, Any]:
        """Do something by the API."""
        headers = {**self._headers, **({"If-Match": tag} if tag else {})}
        answer = self.page.context.request.post(
            f"{self.running.url}{API}{path}", headers=headers, data=body
        )
        return answer.status, answer.json()

    def tag(self, path: str) -> str:
        """The entity tag of a document; "" if there is none."""
        answer = self.page.context.request.get(
            f"{self.running.url}{API}{path}", headers=self._headers
        )
        return answer.headers.get("etag", "")

    @property
    def words(self) -> str:
        """What the page says."""
        return " ".join(self.page.locator("main").inner_text().split())

    def tab_to(self, is_it: Callable[[str, str], bool], tags: Collection[str] = ("A",)) -> None:
        """Press Tab until what has the focus is it, by its words and where it leads."""
        for _ in range(MOST_TABS):
            self.page.keyboard.press("Tab")
            words, href, tag = self.page.evaluate(_FOCUSED)
            if tag in tags and is_it(words, href):
                return
        raise AssertionError("Tab never led there")
