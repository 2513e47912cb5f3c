"""Channels of alerts, without their addresses."""

from __future__ import annotations

from pathlib import Path

from tests.support.console import Visitor
from tests.support.console_shop import console_shop
from tests.support.governed_shop import governed_shop


def test_channels_are_listed_and_tested_without_their_addresses(tmp_path: Path) -> None:
    with Visitor(console_shop(tmp_path)) as guest:
        found = guest.api("/settings/alerts")
        assert [(each["name"], each["kind"]) for each in found["channels"]] == [
            ("oncall", "command"), ("hook", "webhook"),
        ]  # fmt: skip
        assert "secret-path" not in str(found)
        page = guest.page("/settings/alerts")
        assert "secret-path" not in page.text
        assert "team-orders" in page.words
        page = guest.send(page, "/settings/alerts/oncall/test", {})
        assert "oncall accepted a test." in page.words
        assert guest.send(page, "/settings/alerts/nope/test", {}).status == 404


def test_without_channels_the_page_says_that_nobody_is_told(tmp_path: Path) -> None:
    governed_shop(tmp_path)
    with Visitor(tmp_path) as guest:
        assert "nobody is told of incidents" in guest.page("/settings/alerts").words
