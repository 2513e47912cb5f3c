"""Numbers over time in a real browser: people read them value by value, zoom, and hide lines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.browser import axe_violations, save_screenshot
from tests.support.console_guests import ConsoleGuest, new_token, project_of_people
from tests.support.running_console import RunningConsole
from tests.support.users import USER
from tidemill.ledger.event import Served
from tidemill.ledger.usage import ServedUsage
from tidemill.project.clock import VARIABLE, set_clock
from tidemill.project.recorded_project import open_recorded

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

Guests = Callable[..., ConsoleGuest]
DAY = 86_400.0
SCORECARD, COSTS, MODEL = "/scorecard", "/costs", "/models/demand"
VERSION = "/models/demand/versions/live"


def serve(folder: Path, cpu_s: float, *, ago: float = 0.0) -> None:
    """Record that two endpoints answered requests."""
    usages = [
        ServedUsage(
            endpoint=name, version="v1", requests=9, rows=9, cpu_s=cpu_s * share, idle_cpu_s=0.0,
            memory_gb_s=0.0, wall_s=1.0,
        )
        for name, share in (("demand", 3.0), ("busy", 1.0))
    ]  # fmt: skip
    with closing(open_recorded(folder)) as project:
        now = time.time() - ago
        served = Served(
            environment="prod", since=now - 9, until=now, usages=tuple(usages), cpu_hour=3600.0,
            currency="EUR",
        )  # fmt: skip
        project.tools.ledger.append([served], now=now)


@pytest.fixture(scope="module")
def running(
    shops_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningConsole]:
    """The console of a project with costs on several days, errors of several weeks, and two versions."""
    root = tmp_path_factory.mktemp("series")
    folder = project_of_people(shops_template, root / "shops")
    with (folder / "pyproject.toml").open("a") as file:
        file.write('[tool.tidemill.scorecard]\nrecover_within = "2h"\n')
    for ago in range(4, 0, -1):
        serve(folder, 1.0 + ago, ago=ago * DAY)
    clock = root / "clock"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(clock))
        set_clock(clock, time.time() - 9 * DAY)
        with closing(open_recorded(folder)) as project:
            for number, ago in enumerate((23, 16, 9, 2), 1):
                at = time.time() - ago * DAY
                set_clock(clock, at)
                made = project.incidents.report("odd", severity="page", stage="sales")
                set_clock(clock, at + 1_800 * number)
                project.incidents.resolve(made.id, reason="mended")
    with RunningConsole(folder) as found:
        yield found


@pytest.fixture
def guest(running: RunningConsole, page_at: Callable[..., Page]) -> Guests:
    """Logs somebody in who may read."""

    def log_in(theme: str = "light", width: int = 1440) -> ConsoleGuest:
        token = new_token(running.folder, USER, "read")
        return ConsoleGuest(page_at(theme, width), running, token)

    return log_in


def opened(page: Page) -> Locator:
    """The first chart of a page, once it can be used."""
    box = page.locator("[data-series]").first
    box.scroll_into_view_if_needed()
    box.locator("canvas").wait_for()
    return box


def read_out(box: Locator) -> str:
    return box.locator("output").inner_text()


def press(box: Locator, *keys: str) -> str:
    """What is read after some keys."""
    for key in keys:
        box.locator(".area").press(key)
    return read_out(box)


def test_the_values_of_the_api_are_read_by_keyboard(guest: Guests) -> None:
    ana = guest()
    ana.go(SCORECARD)
    plot = next(each["plot"] for each in ana.api(SCORECARD)["numbers"] if each["plot"])
    box = opened(ana.page)
    assert read_out(box) == plot["hints"][-1]
    assert press(box, "ArrowLeft", "ArrowLeft", "ArrowRight") == plot["hints"][-2]
    assert box.locator("output").get_attribute("aria-live") == "polite"

    ana.go(COSTS)
    found = ana.api(COSTS)
    box = opened(ana.page)
    read = press(box, "Home")
    assert read.startswith(
        f"{found['dates'][0]}: together {found['by_day'][0]['parts'][0]['text']}, "
    )
    assert "endpoint demand " in read

    ana.go(VERSION)
    card = ana.api(VERSION)["scores"][0]
    box = opened(ana.page)
    value = card["daily"][card["metrics"][0]["name"]][0]
    assert press(box, "Home") == f"{card['days'][0]}: {value:.4g}"

    ana.go(MODEL)
    oldest = ana.api(MODEL)["versions"][-1]
    box = opened(ana.page)
    read = press(box, "Home")
    assert read.endswith(f": {oldest['figures']['mae']:.4g}, version {oldest['version']}")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_pages_with_charts_are_well_for_everybody(guest: Guests, theme: str, width: int) -> None:
    """A chart is as high as the drawing in its place, and the page as wide."""
    ana = guest(theme, width)
    assert ana.page.context.browser is not None
    plain = ana.page.context.browser.new_context(
        java_script_enabled=False,
        viewport=ana.page.viewport_size,
        storage_state=ana.page.context.storage_state(),
    )
    try:
        drawn = plain.new_page()
        for path in (SCORECARD, COSTS, MODEL, VERSION):
            drawn.goto(ana.running.url + path)
            drawing = drawn.locator("[data-series]").first
            assert drawing.locator("svg").is_visible()
            ana.go(path)
            box = opened(ana.page)
            before, after = drawing.bounding_box(), box.bounding_box()
            assert before is not None
            assert after is not None
            assert (after["height"], after["width"]) == (before["height"], before["width"])
            assert axe_violations(ana.page) == [], path
            too_wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert ana.page.evaluate(too_wide) == 0, path
            save_screenshot(ana.page, f"console-series-{path.split('/')[-1]}")
    finally:
        plain.close()


def test_lines_are_hidden_and_values_zoomed(guest: Guests) -> None:
    ana = guest()
    ana.go(COSTS)
    box = opened(ana.page)
    whole = press(box, "Home")
    box.get_by_role("button", name="endpoint busy").press("Enter")
    assert box.get_by_role("button", name="endpoint busy").get_attribute("aria-pressed") == "false"
    assert "endpoint busy" in whole
    assert "endpoint busy" not in read_out(box)
    for is_shown in (True, False):
        while box.get_by_role("button", pressed=is_shown).count():
            box.get_by_role("button", pressed=is_shown).first.click()
    assert read_out(box) == whole
    last = press(box, "End")
    # Closer to the last day, the first one can't be seen.
    assert press(box, "+", "Home") not in (whole, last)
    assert press(box, "Escape", "Home") == whole
    area = box.locator(".u-over").bounding_box()
    assert area is not None
    ana.page.mouse.move(area["x"] + area["width"] * 0.55, area["y"] + 20)
    ana.page.mouse.down()
    ana.page.mouse.move(area["x"] + area["width"] - 2, area["y"] + 20, steps=5)
    ana.page.mouse.up()
    assert press(box, "Home") != whole
    box.locator(".u-over").dblclick()
    assert press(box, "Home") == whole


def test_a_chart_follows_the_theme_and_what_changes(guest: Guests) -> None:
    ana = guest()
    ana.go(COSTS)
    page, box = ana.page, opened(ana.page)
    picture = box.locator("canvas")
    light = picture.evaluate("canvas => canvas.toDataURL()")
    page.locator("[data-does=theme]").first.click()
    page.locator("[data-does=theme]").first.click()
    assert picture.evaluate("canvas => canvas.toDataURL()") != light
    before = press(box, "+", "End")
    serve(ana.running.folder, 70.0)
    page.wait_for_function(
        "before => document.querySelector('[data-series]').shadowRoot"
        ".querySelector('output').textContent !== before",
        arg=before,
    )
    assert ana.api(COSTS)["by_day"][-1]["parts"][0]["text"] in read_out(box)
    # Whoever reads goes on there.
    assert page.evaluate("document.activeElement.shadowRoot.activeElement.className") == "area"
    assert press(box, "Home") != press(box, "Escape", "Home")


def test_times_are_those_of_who_looks(guest: Guests) -> None:
    ana = guest()
    assert ana.page.context.browser is not None
    context = ana.page.context.browser.new_context(
        timezone_id="Asia/Kathmandu", storage_state=ana.page.context.storage_state()
    )
    try:
        there = context.new_page()
        there.goto(ana.running.url + MODEL)
        trained = there.locator("td[data-label=trained] time").first.inner_text()
        assert read_out(opened(there)).startswith(f"{trained}: ")
    finally:
        context.close()


def test_only_pages_with_charts_load_what_they_need(guest: Guests) -> None:
    ana = guest()
    asked: list[str] = []
    ana.page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    ana.go("/now")
    ana.page.wait_for_selector("body[data-connected=true]")
    assert {"series.js", "uplot.min.js"}.isdisjoint(asked)
    ana.go(COSTS)
    opened(ana.page)
    assert {"series.js", "uplot.min.js"} <= {*asked}
