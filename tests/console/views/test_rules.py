"""Rules, their waivers, and decisions by them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.console import Visitor
from tests.support.console_shop import HOSTILE, console_shop, require_harmless
from tests.support.governed_shop import record_decision
from tests.support.users import USER


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return console_shop(tmp_path)


@pytest.fixture
def guest(shop: Path) -> Iterator[Visitor]:
    with Visitor(shop) as found:
        yield found


def test_rules_say_when_they_apply_and_how_often_they_did(shop: Path) -> None:
    record_decision(shop, "d-1", {"sampled": True})
    with Visitor(shop) as guest:
        sample, shift = guest.api("/settings/rules")["rules"]
        assert (sample["id"], sample["effect"], sample["condition"]) == (
            "no-sample", "deny", "sampled",
        )  # fmt: skip
        assert (sample["hits"], shift["hits"]) == (1, 0)
        assert (shift["people"], shift["approvers"], shift["author_may_approve"]) == (
            2, ["ops-leads"], False,
        )  # fmt: skip
        words = guest.page("/settings/rules").words
        assert "prediction_shift > 0.1" in words
        assert "approved by ops-leads, not the author" in words


def test_a_waiver_begins_and_ends_by_a_form(guest: Visitor) -> None:
    page = guest.page("/settings/rules")
    fields = {"rule": "shift", "scope": "orders", "ttl": "7d", "reason": HOSTILE}
    page = guest.send(page, "/settings/rules/waivers", fields)
    assert "shift is waived for orders" in page.words
    require_harmless(page.text)
    found = guest.api("/settings/rules")
    (waiver,) = found["waivers"]
    assert (waiver["actor"], waiver["in_force"]) == (USER, True)
    assert found["rules"][1]["waivers"] == [waiver["id"]]
    page = guest.send(page, f"/settings/rules/waivers/{waiver['id']}/end", {})
    assert f"The waiver {waiver['id']} of shift is over." in page.words
    assert guest.api("/settings/rules")["waivers"][0]["in_force"] is False
    refused = guest.send(page, "/settings/rules/waivers", {**fields, "scope": "nothing"})
    assert (refused.status, "matches no stage" in refused.words) == (400, True)


def test_decisions_are_explained(shop: Path) -> None:
    for number in range(3):
        record_decision(shop, f"d-{number}", {"sampled": number == 2})
    with Visitor(shop) as guest:
        first = guest.api("/settings/decisions?limit=2")
        assert [each["id"] for each in first["decisions"]] == ["d-2", "d-1"]
        rest = guest.api(f"/settings/decisions?before={first['next']}")
        assert ([each["id"] for each in rest["decisions"]], rest["next"]) == (["d-0"], 0)
        assert "refused" in guest.page("/settings/decisions").words
        found = guest.api("/settings/decisions/d-2")
        assert [rule["hit"]["rule"] for rule in found["explained"]["rules"]] == ["no-sample"]
        assert ["sampled", "true"] in found["facts"]
        page = guest.page("/settings/decisions/d-2").words
        assert "train on all rows" in page
        assert "Rules that didn't apply: shift." in page
        guest.page("/settings/decisions/nope", status=404)


def test_without_decisions_the_page_says_what_is_decided(guest: Visitor) -> None:
    assert "No decision is recorded here." in guest.page("/settings/decisions").words


def test_without_rules_the_page_says_where_to_write_them(shop: Path) -> None:
    (shop / "tidemill.rules.toml").unlink()
    with Visitor(shop) as guest:
        assert guest.api("/settings/rules")["file"] == ""
        assert "There are no rules." in guest.page("/settings/rules").words


def test_faults_of_the_rules_are_shown(shop: Path) -> None:
    (shop / "tidemill.rules.toml").write_text('[[rule]]\nid = "x"\n')
    with Visitor(shop) as guest:
        page = guest.page("/settings/rules", status=422)
        assert "tidemill.rules.toml" in page.words
