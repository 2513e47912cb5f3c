"""Environments: what differs from production, and how they are dropped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.console import Visitor
from tests.support.console_shop import console_shop
from tidemill.project.project import open_project


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[Visitor]:
    project = open_project(console_shop(tmp_path))
    (tmp_path / "orders.csv").write_text("id\n1\n")
    project.run(inline=True)
    project.environments.create("trial", ttl="14d")
    project.environments.create("inner", parent="trial")
    project.close()
    trial = open_project(tmp_path, env="trial")
    (tmp_path / "orders.csv").write_text("id\n1\n2\n")
    trial.run(inline=True)
    trial.close()
    with Visitor(tmp_path) as found:
        yield found


def test_environments_are_listed_and_compared(guest: Visitor) -> None:
    prod, trial, inner = guest.api("/environments")["environments"]
    assert (prod["name"], prod["is_production"], prod["expires"]) == ("prod", True, None)
    assert (trial["parent"], inner["parent"]) == ("prod", "trial")
    found = guest.api("/environments/trial")
    (orders,) = found["stages"]
    assert (orders["stage"], orders["changed"], orders["columns"]) == ("orders", 1, {"id": 1})
    assert found["branches"] == ["inner"]
    page = guest.page("/environments/trial")
    assert "What differs from prod" in page.words
    assert guest.api("/environments/trial?against=inner")["stages"][0]["changed"] == 1
    assert "have the same data" in guest.page("/environments/inner").words
    assert guest.api("/environments/prod")["stages"] == []
    guest.page("/environments/nope", status=400)


def test_an_environment_is_dropped_if_its_name_is_repeated(guest: Visitor) -> None:
    page = guest.page("/environments/inner")
    wrong = guest.send(page, "/environments/inner/drop", {"confirm": "trial"})
    assert (wrong.status, "repeat its name" in wrong.words) == (400, True)
    page = guest.send(page, "/environments/inner/drop", {"confirm": "inner"})
    assert "Dropped inner." in page.words
    assert [each["name"] for each in guest.api("/environments")["environments"]] == [
        "prod",
        "trial",
    ]
    refused = guest.send(page, "/environments/prod/drop", {"confirm": "prod"})
    assert (refused.status, "can't be dropped" in refused.words) == (400, True)
    status, found = guest.post("/environments/drop-expired", {})
    assert (status, found["told"]) == (200, "No environment has expired.")


def test_an_environment_begins_as_a_branch(guest: Visitor) -> None:
    page = guest.page("/environments")
    fields = {"name": "dev", "parent": "prod", "ttl": "7d", "sample": "0.5", "profile": ""}
    page = guest.send(page, "/environments", fields)
    assert page.url.endswith("/environments/dev")
    assert "dev is a new branch of prod." in page.words
    dev = guest.api("/environments")["environments"][-1]
    assert (dev["name"], dev["sample"], dev["has_expired"]) == ("dev", 0.5, False)
    assert guest.send(page, "/environments", fields).status == 409
    half = {**fields, "name": "other", "sample": "half"}
    assert guest.send(page, "/environments", half).status == 400
    status, empty = guest.post("/environments", {"name": "empty", "parent": ""})
    assert (status, empty["told"]) == (200, "empty is new and empty.")
