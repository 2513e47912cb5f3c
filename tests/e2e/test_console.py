"""The console in a real browser."""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.support.browser import axe_violations, save_screenshot
from tests.support.commands import process
from tests.support.console import write_project
from tests.support.running_console import RunningConsole
from tests.support.users import USER
from tidemill.console.resources import NAVIGATION
from tidemill.project.recorded_project import open_recorded

if TYPE_CHECKING:
    from playwright.sync_api import Page

Pages = Callable[..., "Page"]
# Text, sizes and requests of a page that nobody has seen before.
MOST_BYTES, MOST_REQUESTS = 100_000, 10


@pytest.fixture(scope="module")
def running(
    built_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningConsole]:
    """The console of a bakery, for all tests here; some run it again."""
    folder = tmp_path_factory.mktemp("running") / "bakery"
    shutil.copytree(built_template, folder)
    with RunningConsole(folder) as found:
        yield found


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_is_well_for_everybody(
    running: RunningConsole, page_at: Pages, theme: str
) -> None:
    """No page has an error, a request to others, a violation of axe, or a part that is too wide."""
    for width in (1440, 390):
        page = page_at(theme, width)
        page.goto(running.new_link())
        for name, parts, _ in NAVIGATION:
            page.goto(f"{running.url}/{'/'.join(parts)}")
            assert page.locator("h1").count() == 1, name
            assert axe_violations(page) == [], (name, width)
            too_wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert page.evaluate(too_wide) == 0, (name, width)
            save_screenshot(page, f"console-{parts[0]}")


def test_the_first_page_is_small(running: RunningConsole, page_at: Pages) -> None:
    page = page_at()
    seen: list[Any] = []
    page.on("requestfinished", lambda request: seen.append(request))
    page.goto(running.new_link())
    # Now it also follows what changes.
    page.wait_for_selector("body[data-connected=true]")
    sizes = [request.sizes() for request in seen]
    assert len(sizes) <= MOST_REQUESTS
    assert (
        sum(each["responseBodySize"] + each["responseHeadersSize"] for each in sizes) <= MOST_BYTES
    )


def test_a_run_shows_up_by_itself_in_twelve_tabs(running: RunningConsole, page_at: Pages) -> None:
    """A browser has six connections for a host, and one stream for all its tabs."""
    first = page_at()
    first.goto(running.new_link())
    tabs = [first, *(first.context.new_page() for _ in range(11))]
    for tab in tabs:
        tab.goto(f"{running.url}/runs")
    rows = first.locator("tbody tr").count()
    assert process("run", cwd=running.folder).returncode == 0
    for tab in tabs:
        tab.bring_to_front()
        tab.locator("tbody tr").nth(rows).wait_for()


def test_a_page_that_was_left_is_up_to_date_when_one_comes_back(
    running: RunningConsole, page_at: Pages
) -> None:
    page = page_at()
    page.goto(running.new_link())
    page.goto(f"{running.url}/runs")
    rows = page.locator("tbody tr").count()
    page.locator("tbody tr a").first.click()
    page.wait_for_url("**/runs/2*")
    assert process("run", cwd=running.folder).returncode == 0
    page.go_back()
    page.locator("tbody tr").nth(rows).wait_for()
    page.go_forward()
    assert "/runs/2" in page.url


def test_the_palette_leads_anywhere_by_keyboard(running: RunningConsole, page_at: Pages) -> None:
    page = page_at()
    page.goto(running.new_link())
    page.keyboard.press("Control+k")
    page.keyboard.type("score")
    page.keyboard.press("Enter")
    page.wait_for_url("**/scorecard")


@pytest.mark.parametrize(
    ("typed", "place"),
    [
        ("last month", "**/costs?since=last-month"),
        ("who reads", "**/lineage"),
        ("roll back", "**/models"),
        ("approve", "**/reviews"),
        # A column and a run, which this page doesn't list.
        ("hour features", "**/lineage/features/hour"),
        ("tidemill run", "**/runs/2*"),
    ],
)
def test_the_palette_knows_what_there_is(
    running: RunningConsole, page_at: Pages, typed: str, place: str
) -> None:
    page = page_at()
    page.goto(running.new_link())
    page.goto(f"{running.url}/settings")
    with page.expect_response("**/api/v1/places"):
        page.keyboard.press("Control+k")
    listed = page.get_by_role("option").all_inner_texts()
    assert len(set(listed)) == len(listed) >= len(NAVIGATION)
    page.keyboard.type("nothing is called so")
    page.get_by_text("Nothing found").wait_for()
    page.locator("#palette-field").fill(typed)
    page.keyboard.press("Enter")
    page.wait_for_url(place)


def test_the_palette_asks_again_until_it_is_answered(
    running: RunningConsole, page_at: Pages
) -> None:
    page = page_at(expected=["503"])
    page.goto(running.new_link())
    page.route("**/api/v1/places", lambda route: route.fulfill(status=503), times=1)
    page.keyboard.press("Control+k")
    page.get_by_text("Looking for stages").wait_for()
    page.keyboard.type("features.hour")
    page.get_by_role("option", name="hour column of features").wait_for()
    page.keyboard.press("Enter")
    page.wait_for_url("**/lineage/features/hour")


@pytest.mark.parametrize("path", ["stages/sales", "stages/sales/contract", "stages/demand"])
def test_tables_fit_on_a_phone(running: RunningConsole, page_at: Pages, path: str) -> None:
    page = page_at("light", 390)
    page.goto(running.new_link())
    page.goto(f"{running.url}/{path}")
    scrolled = "tables => tables.filter((each) => each.scrollWidth > each.clientWidth).length"
    assert page.locator(".wide").evaluate_all(scrolled) == 0


def test_a_phone_has_a_menu(running: RunningConsole, page_at: Pages) -> None:
    """The page that is shown is named where one looks for the others, also without scripts."""
    page = page_at("light", 390)
    page.goto(running.new_link())
    context = page.context.browser.new_context(  # type: ignore[union-attr]
        java_script_enabled=False,
        viewport={"width": 390, "height": 844},
        storage_state=page.context.storage_state(),
    )
    try:
        plain = context.new_page()
        plain.goto(f"{running.url}/runs")
        plain.get_by_text("Menu: Runs").click()
        assert plain.get_by_role("button", name="Log out").is_visible()
        for name, _, _ in NAVIGATION:
            assert plain.get_by_role("link", name=name, exact=True).is_visible()
        plain.get_by_role("link", name="Lineage").click()
        plain.get_by_text("Menu: Lineage").wait_for()
    finally:
        context.close()


def test_the_theme_is_remembered(running: RunningConsole, page_at: Pages) -> None:
    page = page_at("light")
    page.goto(running.new_link())
    button = page.get_by_role("button", name="Theme")
    paper = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(paper)
    button.click()
    button.click()
    assert button.inner_text() == "Theme: dark"
    assert page.evaluate(paper) != before
    page.reload()
    assert page.evaluate(paper) != before


def test_times_are_those_of_who_looks(running: RunningConsole, page_at: Pages) -> None:
    page = page_at()
    assert page.context.browser is not None
    context = page.context.browser.new_context(timezone_id="Asia/Kathmandu")
    try:
        there = context.new_page()
        there.goto(running.new_link())
        shown = there.locator("time").first
        title = shown.get_attribute("title")
        assert title is not None
        assert title.endswith(" UTC")
        assert shown.inner_text()[11:16] != title[11:16]
    finally:
        context.close()


def test_it_works_without_scripts(running: RunningConsole, page_at: Pages) -> None:
    page = page_at()
    assert page.context.browser is not None
    context = page.context.browser.new_context(java_script_enabled=False)
    try:
        plain = context.new_page()
        plain.goto(running.new_link())
        plain.get_by_role("link", name="Runs", exact=True).click()
        plain.locator("tbody tr a").first.click()
        assert plain.locator("h1").inner_text().startswith("Run ")
    finally:
        context.close()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[RunningConsole]:
    """The console of a project of one stage, in which an incident is open."""
    folder = tmp_path / "shop"
    folder.mkdir()
    write_project(folder)
    report(folder, "first")
    with RunningConsole(folder) as found:
        yield found


def report(folder: Path, title: str) -> None:
    with closing(open_recorded(folder)) as project:
        project.incidents.report(title, severity="page", reason="seen")


def test_the_header_tells_what_is_wrong_whatever_a_page_is_about(
    small: RunningConsole, page_at: Pages
) -> None:
    page = page_at()
    page.goto(small.new_link())
    page.goto(f"{small.url}/audit")
    page.locator("#counts").get_by_text("1 wrong").wait_for()
    page.wait_for_selector("body[data-connected=true]")
    content = page.locator("#content").inner_html()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(urlsplit(request.url).path))
    report(small.folder, "second")
    page.locator("#counts").get_by_text("2 wrong").wait_for()
    assert {*asked} - {"/events"} == {"/counts"}
    assert page.locator("#content").inner_html() == content


def test_a_page_without_its_console_says_so(small: RunningConsole, page_at: Pages) -> None:
    page = page_at(expected=("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING"))
    page.goto(small.new_link())
    page.wait_for_selector("body[data-connected=true]")
    line = page.locator("#connection")
    assert not line.is_visible()
    before = page.locator("#main").bounding_box()
    small.process.send_signal(signal.SIGTERM)
    small.process.wait(60)
    # Its stream had ended; uvicorn would wait for it, and complain.
    assert "timeout" not in small.text
    line.filter(has_text=re.compile(r"^not connected: as of \d\d:\d\d$")).wait_for()
    assert page.locator("#main").bounding_box() == before


def test_it_ends_when_it_is_told_to(built: Path) -> None:
    with RunningConsole(built) as running:
        asked = process("console", "--link", cwd=built)
        assert asked.stdout.startswith(f"{running.url}/?link="), asked.stderr
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(60) in (0, 130, -signal.SIGINT)
    done = process("console", "--link", cwd=built)
    assert (done.returncode, "no console runs here" in done.stderr) == (2, True)


def test_it_refuses_to_be_open_to_everybody(built: Path) -> None:
    done = process("console", "--host", "0.0.0.0", "--port", "0", cwd=built)
    assert done.returncode == 2
    assert "declare [tool.tidemill.roles] first" in done.stderr


def test_links_lead_to_the_public_address(built: Path) -> None:
    settings = built / "pyproject.toml"
    text = settings.read_text(encoding="utf-8")
    text += '\n[tool.tidemill.console]\nurl = "https://console.example.org/"\n'
    settings.write_text(text, encoding="utf-8")
    refused = process("console", "--port", "0", cwd=built)
    assert refused.returncode == 2
    assert "at console.example.org other machines reach the console" in refused.stderr
    settings.write_text(f'{text}\n[tool.tidemill.roles]\n{USER} = "admin"\n', encoding="utf-8")
    with RunningConsole(built) as running:
        place, _, code = running.new_link().partition("/?link=")
        assert place == "https://console.example.org"
        with closing(HTTPConnection(running.url.removeprefix("http://"))) as connection:
            asked = {"Host": "console.example.org"}
            connection.request("GET", f"/?link={code}", headers=asked)
            cookie = connection.getresponse().headers["Set-Cookie"]
        assert cookie.startswith("__Host-tidemill-")
        assert "Secure" in cookie
