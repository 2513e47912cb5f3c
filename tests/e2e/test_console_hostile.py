"""No text of data or people runs, leads elsewhere, hides or breaks a page, in a real browser."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import pytest

from tests.support.console_guests import ConsoleGuest, new_token
from tests.support.hostile_shop import EVIL, KEY, LONG, OWNED, hostile_shop
from tests.support.running_console import RunningConsole
from tests.support.users import USER
from tidemill.console.resources import RESOURCES

if TYPE_CHECKING:
    from playwright.sync_api import Page

Guests = Callable[..., ConsoleGuest]
# What is wrong with a page as it stands in the browser.
FAULTS = f"""() => {{
  const found = [];
  if ({OWNED} !== undefined) found.push("a script ran");
  const tooWide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  if (tooWide > 0) {{
    const scrolled = (each) =>
      each && (getComputedStyle(each).overflowX !== "visible" || scrolled(each.parentElement));
    const parts = [...document.body.querySelectorAll("*")].filter(
      (each) => each.getBoundingClientRect().right > innerWidth + 1 && !scrolled(each.parentElement));
    found.push(`${{tooWide}} px too wide: ${{parts.at(-1)?.outerHTML.slice(0, 200)}}`);
  }}
  for (const each of document.querySelectorAll("*")) {{
    const tag = each.outerHTML.slice(0, 120);
    if (["IMG", "IFRAME", "OBJECT", "EMBED", "BASE"].includes(each.tagName)) found.push(tag);
    if (each.tagName === "SCRIPT" && !each.src.startsWith(`${{location.origin}}/static/`)) found.push(tag);
    for (const {{name, value}} of each.attributes) {{
      if (name.startsWith("on") || name === "style") found.push(`${{name}} of ${{tag}}`);
      if (!/^(href|src|action|formaction|xlink:href)$/.test(name)) continue;
      const own = new URL(value, location.href).origin === location.origin;
      if (!own && each.rel !== "icon") found.push(`${{name}} of ${{tag}}`);
    }}
  }}
  const shown = document.title + document.body.innerText;
  const odd = shown.match(/[\\u202a-\\u202e\\u2066-\\u2069\\u200b\\ufeff\\u2028\\0\\x1b]/);
  if (odd) {{
    const code = odd[0].codePointAt(0).toString(16);
    found.push(`the character ${{code}} after ${{shown.slice(odd.index - 60, odd.index)}}`);
  }}
  return found;
}}"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    with RunningConsole(hostile_shop(tmp_path_factory.mktemp("hostile") / "shop")) as found:
        yield found


@pytest.fixture
def guest(running: RunningConsole, page_at: Callable[..., Page]) -> ConsoleGuest:
    token = new_token(running.folder, USER, "run", "review", "deliver", "admin")
    # Pages that refuse have a status that the browser reports.
    return ConsoleGuest(page_at(expected=["status of 40"]), running, token)


def faults_of(guest: ConsoleGuest, path: str, statuses: tuple[int, ...] = (200,)) -> list[str]:
    """What is wrong with a page, on a desk and on a phone."""
    page, found = guest.page, []
    page.set_viewport_size({"width": 1440, "height": 900})
    answer = page.goto(guest.running.url + path)
    assert answer is not None
    if answer.status not in statuses:
        found.append(f"status {answer.status}: {guest.words[:300]}")
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        found += [f"{path[:120]} at {width}: {fault}" for fault in page.evaluate(FAULTS)]
    return found


def arguments(guest: ConsoleGuest) -> Mapping[str, list[dict[str, str]]]:
    """The arguments by which each page is looked at, by the placeholders of its path."""
    runs = [each["id"] for each in guest.api("/runs")["runs"]]
    reviews = guest.api("/reviews?which=all")
    versions = guest.api("/models/choice")["versions"]
    columns = [each["name"] for each in guest.api("/stages/raw/contract")["contract"]["columns"]]
    return {
        "stage": [{"stage": "raw"}],
        "run": [{"run": run} for run in runs],
        "review": [{"review": each["id"]} for each in reviews["open"] + reviews["ended"]],
        "model": [{"model": "choice"}],
        "version": [{"version": each["version"]} for each in versions],
        "endpoint": [{"endpoint": "choice"}],
        "incident": [{"incident": each["id"]} for each in guest.api("/incidents")["incidents"]],
        "decision": [{"decision": each["id"]} for each in guest.api("/settings/decisions")["decisions"]],
        "environment": [{"environment": "prod"}, {"environment": "dev"}],
        "column": [{"column": column} for column in columns],
        "row": [{"row": "0"}],
    }  # fmt: skip


def paths(guest: ConsoleGuest) -> Iterator[str]:
    """Every page of everything that there is."""
    known = arguments(guest)
    for resource in RESOURCES:
        if not resource.template:
            continue
        choices = [known[name] for name in resource.placeholders]
        for chosen in itertools.product(*choices):
            path = resource.path.replace(":path}", "}")
            for name, value in (each for given in chosen for each in given.items()):
                path = path.replace(f"{{{name}}}", quote(value, safe=""))
            yield path
            if resource.name in ("stage", "stage-log", "explain", "stage-contract"):
                yield path.replace("/raw", "/broken")
            if "partition" in resource.parameters and "/raw" in path:
                yield f"{path}?{urlencode({'partition': KEY})}"


def test_every_page_is_harmless(guest: ConsoleGuest) -> None:
    dialogs: list[str] = []
    guest.page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    found, seen = [], 0
    for path in paths(guest):
        seen += 1
        # A stage may have no drift, no quarantine, or no such partition.
        # There is nothing to compare the only version with, and no quarantine without a partition.
        is_refused = path.endswith(
            ("/compare", "/quarantine/partition", "/quarantine/rows", "/rows/0")
        )
        found += faults_of(guest, path, (400,) if is_refused else (200,))
    assert found == []
    assert dialogs == []
    assert seen > len(RESOURCES)


def test_whatever_is_asked_for_is_harmless(guest: ConsoleGuest) -> None:
    """Filters and names that nobody has are said again by pages that refuse them."""
    found = []
    for text in (EVIL, LONG):
        for resource in RESOURCES:
            texts = [each.name for each in resource.parameters.values() if each.kind == "str"]
            wanted = {name: text for name in texts if name not in resource.placeholders}
            if resource.template and wanted and not resource.placeholders:
                query = {name: value[:2_000] for name, value in wanted.items()}
                found += faults_of(guest, f"{resource.path}?{urlencode(query)}", (200, 400))
        for path in ("/", "/runs/", "/stages/", "/models/", "/settings/decisions/", "/login?then="):
            found += faults_of(guest, path + quote(text[:2_000], safe=""), (200, 400, 404))
    assert found == []
