"""People decide in a real browser: by keyboard, at once, and only what they may."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.support.console_guests import ConsoleGuest, new_token, project_of_people, recorded
from tests.support.running_console import RunningConsole
from tests.support.shop_models import retrain
from tidemill.console.resources import ACTIONS, RESOURCES
from tidemill.ledger.event import EVENTS, Delivered
from tidemill.ledger.governance_events import Voted

if TYPE_CHECKING:
    from playwright.sync_api import Page

Pages = Callable[..., "Page"]
Guests = Callable[..., ConsoleGuest]
GUARDED = {each.name: each for each in RESOURCES}


@pytest.fixture(scope="module")
def running(
    shops_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningConsole]:
    """The console of a project whose model waits for a review, for all tests here."""
    folder = project_of_people(shops_template, tmp_path_factory.mktemp("decisions") / "shops")
    with RunningConsole(folder) as found:
        yield found


@pytest.fixture
def guest(running: RunningConsole, page_at: Pages) -> Guests:
    """Logs somebody in who may do what some scopes of a token allow."""

    def log_in(name: str, *scopes: str, expected: tuple[str, ...] = ()) -> ConsoleGuest:
        page = page_at(expected=expected)
        return ConsoleGuest(page, running, new_token(running.folder, name, *scopes))

    return log_in


def open_review(guest: ConsoleGuest) -> str:
    """The id of the review that is open; a new candidate asks if none is."""
    if not guest.api("/reviews")["open"]:
        asked = len(guest.api("/reviews?which=all")["ended"])
        retrain(guest.running.folder, 20 + asked)
    [found] = guest.api("/reviews")["open"]
    return str(found["id"])


def test_whoever_cannot_approve_reads_why_at_the_top(guest: Guests) -> None:
    rita, vera = guest("rita", "review"), guest("vera", "run")
    review = open_review(rita)
    for each, is_asked in ((rita, True), (vera, False)):
        each.go(f"/reviews/{review}")
        page = each.page
        assert ("1 waits for you" in page.locator("#counts").inner_text()) == is_asked
        assert ("You can't approve this:" in page.locator("p.state").inner_text()) != is_asked
        assert page.get_by_role("button", name="Approve").is_enabled() == is_asked
        # The header stays above the place that a link of the page leads to.
        page.get_by_role("link", name="Decide").click()
        places = "['.head', '#decide'].map((each) => document.querySelector(each).getBoundingClientRect())"
        assert page.evaluate(
            f"(([head, place]) => head.bottom <= place.top && head.top >= 0)({places})"
        )


def test_a_review_is_approved_by_keyboard_alone(guest: Guests) -> None:
    rita = guest("rita", "review")
    review = open_review(rita)
    page = rita.page
    rita.go("/now")
    rita.tab_to(lambda _, href: href == f"/reviews/{review}")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/reviews/{review}")
    rita.tab_to(lambda _, href: href == "#decide")
    page.keyboard.press("Enter")
    rita.tab_to(lambda words, _: words.startswith("Reason"), ("TEXTAREA",))
    page.keyboard.type("better in every slice")
    rita.tab_to(lambda words, _: words == "Approve", ("BUTTON",))
    page.keyboard.press("Enter")
    # That were three activations.
    page.get_by_role("status").filter(has_text="is live").wait_for()
    assert page.url.endswith(f"/reviews/{review}")
    found = rita.api(f"/reviews/{review}")
    assert (found["review"]["outcome"], found["votes"][0]["actor"]) == ("approved", "rita")
    [entry] = rita.api(f"/audit?what={review}&who=rita&kinds=Voted")["entries"]
    assert (entry["entry"]["who"], entry["entry"]["reason"]) == ("rita", "better in every slice")


def test_a_model_is_rolled_back(guest: Guests) -> None:
    ruth = guest("ruth", "review", "deliver")
    if not ruth.api("/models/demand")["rollback_to"]:
        path = f"/reviews/{open_review(ruth)}"
        vote = {"choice": "approve", "reason": "first"}
        assert ruth.post(f"{path}/votes", vote, ruth.tag(path))[0] == 200
    before = ruth.api("/models/demand")
    ruth.go("/models/demand")
    page = ruth.page
    page.get_by_label("Version to go back to").select_option(before["rollback_to"][0]["version"])
    target = page.get_by_label("Version to go back to").input_value()
    assert target == before["rollback_to"][0]["version"]
    page.get_by_label("Reason").fill("it forecasts too much")
    page.get_by_role("button", name="Roll back").click()
    page.get_by_role("status").filter(has_text=target).wait_for()
    live = page.locator("p.state")
    assert live.locator("a").first.inner_text() == target
    assert "by ruth (rollback): it forecasts too much" in live.inner_text()
    found = ruth.api("/models/demand")["live"]
    assert (found["version"], found["actor"], found["is_rollback"]) == (target, "ruth", True)
    delivery = recorded(ruth.running.folder, Delivered)[-1].delivery
    assert (delivery.artifact.id, delivery.reason) == (target, "it forecasts too much")


def test_who_decides_second_is_told_and_keeps_the_reason(guest: Guests) -> None:
    rita, ruth = guest("rita", "review"), guest("ruth", "review", expected=["status of 412"])
    review = open_review(rita)
    before = len(recorded(rita.running.folder, Voted))
    live = rita.api("/models/demand/live")
    for each in (rita, ruth):
        each.go(f"/reviews/{review}#decide")
        each.page.get_by_label("Reason").fill(f"{each is rita} because of the rye")
    # What is written stays also when the focus is elsewhere, and when other tabs show what changed.
    ruth.page.keyboard.press("Tab")
    inbox = ruth.page.context.new_page()
    inbox.goto(f"{ruth.running.url}/reviews")
    inbox.get_by_role("link", name=review).wait_for()
    rita.page.get_by_role("button", name="Ask for changes").click()
    rita.page.get_by_role("status").wait_for()
    inbox.get_by_text("Nothing waits for a review.").wait_for()
    ruth.page.bring_to_front()
    ruth.page.get_by_role("status").filter(has_text="has changed").wait_for()
    assert ruth.page.get_by_label("Reason").input_value() == "False because of the rye"
    ruth.page.get_by_role("button", name="Approve").click()
    ruth.page.get_by_role("alert").wait_for()
    assert "Somebody else changed or decided it meanwhile, so that nothing was done." in ruth.words
    assert "False because of the rye" in ruth.page.locator("dl").inner_text()
    votes = recorded(rita.running.folder, Voted)[before:]
    assert [each.vote.actor for each in votes] == ["rita"]
    assert rita.api("/models/demand/live") == live
    ruth.page.get_by_role("link", name="Look at it again").click()
    ruth.page.get_by_text("True because of the rye").first.wait_for()
    assert ruth.page.get_by_role("button", name="Approve").count() == 0


def test_a_page_stays_live_around_what_somebody_types(guest: Guests) -> None:
    rita, ruth = guest("rita", "run"), guest("ruth", "run")
    page = rita.page
    rita.go("/incidents")
    page.get_by_text("Report an incident that you see yourself").click()
    page.get_by_label("What is wrong").fill("the till is sil")
    page.keyboard.press("Home")
    assert ruth.post("/incidents", {"title": "no rye at all"})[0] == 200
    page.get_by_text("no rye at all").first.wait_for()
    page.keyboard.type("now ")
    assert page.get_by_label("What is wrong").input_value() == "now the till is sil"
    assert page.locator("#changed").is_hidden()


def test_who_wants_to_see_what_changed_can(guest: Guests) -> None:
    rita, ruth = guest("rita", "review"), guest("ruth", "review")
    review = open_review(rita)
    ruth.go(f"/reviews/{review}")
    ruth.page.get_by_label("Reason").fill("not yet")
    path = f"/reviews/{review}"
    vote = {"choice": "reject", "reason": "too sweet"}
    assert rita.post(f"{path}/votes", vote, rita.tag(path))[0] == 200
    line = ruth.page.get_by_role("status").filter(has_text="has changed")
    line.get_by_role("button").click()
    ruth.page.get_by_text("too sweet").first.wait_for()
    assert ruth.page.locator("#changed").is_hidden()
    assert ruth.page.get_by_label("Reason").count() == 0


def test_a_form_that_is_refused_comes_back_as_it_was(guest: Guests) -> None:
    rita = guest("rita", "run")
    page = rita.page
    rita.go("/incidents")
    page.get_by_text("Report an incident that you see yourself").click()
    page.get_by_label("What is wrong").fill("the till")
    page.get_by_label("Stage, if it is about one").fill("tills")
    page.get_by_role("button", name="Open the incident").click()
    page.get_by_role("alert").filter(has_text="there is no stage 'tills'").wait_for()
    assert page.url.endswith("/incidents#refused")
    assert page.get_by_label("What is wrong").input_value() == "the till"


# What a viewer would send to do it, if it were allowed.
PLAUSIBLE: dict[str, object] = {
    "stage": "sales", "partition": "2024-01-05", "reason": "so", "choice": "approve", "ruling": 1,
    "row": 0, "cells": '{"price": "1"}', "source": "dev", "model": "demand", "endpoint": "demand",
    "title": "till", "ttl": "1h", "holder": "vera", "scopes": "admin", "rule": "any", "scope": "*",
    "schedule": "nightly", "name": "mine", "environment": "dev", "confirm": "dev", "target": "sales",
    "channel": "oncall", "incident": "last", "silence": "s1", "waiver": "w1", "pin": "p1",
}  # fmt: skip
# The project has none of what they are about: so there is nothing to refuse. Rows are tried by who may read.
ABOUT_NOTHING = {
    "release-rows", "drop-rows", "undo-ruling", "correct-row", "silence-incident",
}  # fmt: skip
WITH_FORMS = (
    "/models/demand", "/settings/tokens", "/incidents", "/silences", "/settings/rules", "/environments",
    "/settings/retention", "/settings/retention?preview=true", "/endpoints/demand", "/scorecard/week",
    "/settings/alerts",
)  # fmt: skip


def test_a_viewer_changes_nothing(guest: Guests) -> None:
    vera = guest("vera", "read")
    known = {**PLAUSIBLE, "review": open_review(vera)}
    known["version"] = known["to"] = vera.api("/models/demand")["versions"][0]["version"]
    known["token"] = new_token(vera.running.folder, "rita", "review").split("_")[1]
    before = recorded(vera.running.folder, *EVENTS)
    for action in ACTIONS:
        if action.name == "try-row":
            continue
        path = filled(action.path, known)
        body = {
            name: known[name]
            for name in action.parameters
            if name in known and name not in action.placeholders
        }
        tag = vera.tag(filled(GUARDED[action.guards].path, known)) if action.guards else ""
        if tag:
            assert vera.post(path, body)[0] == 428, action.name
        status, told = vera.post(path, body, tag)
        wanted = (400, 404) if action.name in ABOUT_NOTHING else (403,)
        assert status in wanted, (action.name, told)
    assert recorded(vera.running.folder, *EVENTS) == before
    for path in (f"/reviews/{known['review']}", *WITH_FORMS):
        vera.go(path)
        buttons = vera.page.locator("main form[method=post] button:enabled").all_text_contents()
        # Everybody may revoke what they hold themselves.
        assert [text for text in buttons if not text.startswith("Revoke")] == [], path
        assert bool(buttons) == (path == "/settings/tokens"), path


def filled(path: str, known: dict[str, Any]) -> str:
    """A path with what its placeholders stand for."""
    return re.sub(r"\{(\w+)\}", lambda found: quote(str(known[found[1]]), safe=""), path)
