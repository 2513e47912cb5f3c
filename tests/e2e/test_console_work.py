"""What people see of runs and data in a real browser while they work: by itself, and where they left it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.commands import held_run, in_labels, process
from tests.support.console_guests import ConsoleGuest, new_token, project_of_people, recorded
from tests.support.running_console import RunningConsole
from tests.support.users import USER
from tests.support.waiting import until
from tidemill.console.resources import NAVIGATION
from tidemill.ledger.event import Ruled

if TYPE_CHECKING:
    from playwright.sync_api import Page

Guests = Callable[..., ConsoleGuest]
MONDAY, NEXT_MONDAY = "2026-01-05", "2026-01-12"
# Nobody decides on its rows here.
SATURDAY = "2026-01-17"
HELD = "/stages/sales/quarantine/partition?partition="


@pytest.fixture(scope="module")
def running(
    built_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningConsole]:
    """The console of a bakery that has quarantined rows, for all tests here."""
    folder = project_of_people(built_template, tmp_path_factory.mktemp("work") / "bakery")
    with RunningConsole(folder) as found:
        yield found


@pytest.fixture
def guest(running: RunningConsole, page_at: Callable[..., Page]) -> Guests:
    """Logs somebody in who may do what some scopes of a token allow."""

    def log_in(name: str = USER, *scopes: str, expected: tuple[str, ...] = ()) -> ConsoleGuest:
        token = new_token(running.folder, name, *(scopes or ("run", "review", "deliver", "admin")))
        return ConsoleGuest(page_at(expected=expected), running, token)

    return log_in


def test_rows_are_released(guest: Guests) -> None:
    rita = guest("rita", "review", "run")
    rita.go(HELD + MONDAY)
    form = rita.page.locator("form").filter(has=rita.page.get_by_role("button", name="Release"))
    form.get_by_label("all 1").check()
    form.get_by_label("Reason").fill("the till counted <b>right</b>")
    form.get_by_role("button").click()
    rita.page.get_by_role("status").filter(has_text="1 quarantined row released").wait_for()
    assert "waits for a run" in rita.page.locator(".rulings").inner_text()
    assert "the till counted <b>right</b>" in rita.words
    api = "/stages/sales/quarantine/partition?partition="
    [ruling] = rita.api(api + MONDAY)["held"]["rulings"]
    assert ruling["is_pending"]
    done = recorded(rita.running.folder, Ruled)[-1]
    assert (done.partition, done.ruling.actor) == (MONDAY, "rita")
    assert done.ruling.reason == "the till counted <b>right</b>"


def test_a_row_is_corrected(guest: Guests) -> None:
    rita = guest("rita", "review", "run")
    page = rita.page
    rita.go(HELD + NEXT_MONDAY)
    page.get_by_role("link", name="look at it and correct it").click()
    page.get_by_label("sold").fill("17")
    page.get_by_label("Reason").fill("counted again")
    page.get_by_role("button", name="Replace").click()
    page.get_by_role("status").filter(has_text="1 quarantined row replaced").wait_for()
    assert NEXT_MONDAY in page.url
    [ruling] = rita.api(HELD + NEXT_MONDAY)["held"]["rulings"]
    assert "counted again" in ruling["text"]
    assert recorded(rita.running.folder, Ruled)[-1].ruling.reason == "counted again"


def test_a_viewer_decides_on_no_row(guest: Guests) -> None:
    vera = guest("vera", "read")
    quarantine = "/stages/sales/quarantine"
    # A Saturday: its till sent a row twice.
    day = {"partition": "2026-01-10", "reason": "so"}
    ruling = {**day, "choice": "rows", "rows": "0"}
    somebody = guest()
    # What one may do is a part of what one sees.
    seen = somebody.tag(f"{quarantine}/partition?partition={day['partition']}")
    assert somebody.post(f"{quarantine}/drop", ruling, seen)[0] == 200
    before = recorded(vera.running.folder, Ruled)
    tags = {
        path: vera.tag(f"{quarantine}/{path}?partition={day['partition']}")
        for path in ("partition", "rows/0")
    }
    for path, seen, body in (
        ("release", "partition", {"choice": "all"}),
        ("drop", "partition", {"choice": "all"}),
        ("undo", "partition", {"ruling": 1}),
        ("rows/0", "rows/0", {"cells": '{"sold": "5"}'}),
    ):
        status, told = vera.post(f"{quarantine}/{path}", {**day, **body}, tags[seen])
        assert status == 403, told
    for path in ("partition", "rows/0"):
        vera.go(f"{quarantine}/{path}?partition={day['partition']}")
        assert vera.page.locator("main form[method=post] button:enabled").count() == 0
    assert recorded(vera.running.folder, Ruled) == before


def test_a_run_shows_how_far_it_is_by_itself(guest: Guests) -> None:
    somebody = guest()
    page, folder = somebody.page, somebody.running.folder
    flow = (folder / "bakery.py").read_text(encoding="utf-8")
    log = page.context.new_page()
    try:
        with held_run(folder, words="all counted", stdout=subprocess.DEVNULL) as run:
            id = somebody.api("/runs")["runs"][0]["id"]
            for each, path in ((page, f"/runs/{id}"), (log, f"/runs/{id}/log")):
                each.goto(somebody.running.url + path)
                # A page that is loaded again forgets this.
                each.evaluate("window.stays = true")
            page.bring_to_front()
            page.locator("progress").wait_for()
            assert page.locator(".title .status").inner_text().strip() == "running"
            (folder / "hold").unlink()
            run.communicate()
        page.locator(".title .status.ok").wait_for()
        assert page.locator("progress").count() == 0
        assert page.evaluate("window.stays")
        log.bring_to_front()
        log.locator("#log p").filter(has_text="all counted").first.wait_for()
        log.locator("#log:not([data-more])").wait_for()
        assert log.evaluate("window.stays")
    finally:
        (folder / "bakery.py").write_text(flow, encoding="utf-8")


def test_a_run_that_fails_is_wrong_in_every_tab(guest: Guests) -> None:
    somebody = guest()
    folder = somebody.running.folder
    somebody.go("/now")
    somebody.page.evaluate("window.stays = true")
    text = (folder / "bakery.py").read_text(encoding="utf-8")
    try:
        in_labels(folder, "raise ValueError('no flour')")
        assert process("run", "labels", cwd=folder).returncode == 1
        wrong = somebody.page.locator(".panel").filter(has_text="Wrong").locator(".facts li")
        wrong.filter(has_text="labels").first.wait_for()
        somebody.page.locator("#counts .failed").wait_for()
        assert somebody.page.evaluate("window.stays")
    finally:
        (folder / "bakery.py").write_text(text, encoding="utf-8")


def test_filters_are_in_the_address(guest: Guests) -> None:
    somebody, other = guest(), guest("rita", "run")
    page = somebody.page
    somebody.go("/stages")
    page.locator("select[name=kind]").select_option("ingest")
    page.wait_for_url("**kind=ingest*")
    page.get_by_label("Name, owner").fill("weather")
    page.keyboard.press("Enter")
    page.wait_for_url("**text=weather*")
    rows = page.locator("tbody tr")
    assert rows.count() == 1
    rows.get_by_role("link", name="weather").first.click()
    page.wait_for_url("**/stages/weather")
    page.go_back()
    page.wait_for_url("**text=weather*")
    assert page.locator("select[name=kind]").input_value() == "ingest"
    assert rows.count() == 1
    shown = page.locator("tbody").inner_text()
    other.go(page.url.removeprefix(somebody.running.url))
    assert other.page.locator("tbody").inner_text() == shown
    page.go_back()
    page.wait_for_url("**kind=ingest*")
    page.wait_for_function("document.querySelectorAll('tbody tr').length === 2")


# The elements that a person can use, in the order of the page; of radio buttons of a group Tab reaches one.
_USABLE = """() => {
  const usable = "a[href], button:enabled, input:enabled:not([type=hidden]), select:enabled, " +
    "textarea:enabled, summary, [tabindex='0']";
  const first = (each) => (each.form ?? document).querySelector(`input[type=radio][name="${each.name}"]`);
  const found = [...document.querySelectorAll(usable)]
    .filter((each) => each.checkVisibility({visibilityProperty: true}))
    .filter((each) => each.type !== "radio" || each === first(each));
  window.look = (each) => [each, ...each.querySelectorAll("*")].map((part) => {
    const style = getComputedStyle(part);
    return [style.outline, style.stroke, style.strokeWidth, style.top].join();
  }).join();
  found.forEach((each, number) => Object.assign(each, {order: number, before: window.look(each)}));
  return found.length;
}"""
_SEEN = """() => {
  const each = document.activeElement;
  const box = each.getBoundingClientRect();
  const isSeen = box.width > 0 && box.height > 0 && window.look(each) !== each.before;
  return [each.order ?? -1, isSeen, each.outerHTML.slice(0, 120)];
}"""
PAGES = (
    *("/".join(("", *parts)) for _, parts, _ in NAVIGATION),
    HELD + SATURDAY, "/stages/sales", "/models/demand", "/runs/last", "/settings/tokens",
)  # fmt: skip


def open_charts(page: Page) -> None:
    """Look at all charts, which have more to use from then on."""
    for chart in page.locator("[data-series]").all():
        chart.scroll_into_view_if_needed()
    # The policy of the page doesn't let it evaluate text again and again by itself.
    are_open = "[...document.querySelectorAll('[data-series]')].every((chart) => chart.shadowRoot)"
    until(lambda: bool(page.evaluate(are_open)))


def test_tab_leads_through_every_page(guest: Guests) -> None:
    somebody = guest()
    page = somebody.page
    for path in PAGES:
        somebody.go(path)
        open_charts(page)
        count = page.evaluate(_USABLE)
        for number in range(count):
            page.keyboard.press("Tab")
            while page.evaluate("document.activeElement.shadowRoot !== null"):
                # Within a chart, which has tests of its own.
                page.keyboard.press("Tab")
            order, is_seen, element = page.evaluate(_SEEN)
            assert order == number, (path, number, element)
            assert is_seen, (path, element)
    page.keyboard.press("Control+k")
    assert page.locator("#palette").is_visible()
    page.keyboard.press("Escape")
    page.locator("#palette").wait_for(state="hidden")
