"""Tokens: their texts are shown once, and never again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.support.console import Visitor
from tests.support.console_shop import HOSTILE, console_shop, require_harmless
from tests.support.users import USER
from tidemill.project.project import open_project


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[Visitor]:
    with Visitor(console_shop(tmp_path)) as found:
        yield found


def create(guest: Visitor, **fields: str) -> tuple[str, dict[str, str]]:
    """Create a token by the form; return the page, and the headers with which it came."""
    form_key = guest.page("/settings/tokens").field("form_key")
    sent = {"form_key": form_key, "holder": "ana", "scopes": "read", **fields}
    answer = guest.client.post("/settings/tokens", content=urlencode(sent), follow_redirects=True)
    return answer.text, dict(answer.headers)


def test_a_text_is_shown_once_on_a_page_that_nothing_keeps(guest: Visitor) -> None:
    assert "There are no tokens." in guest.page("/settings/tokens").words
    page, headers = create(guest, ttl="7d", note="for the till")
    text = page.partition('value="tm_')[2].partition('"')[0]
    assert text
    assert headers["cache-control"] == "no-store"
    listed = guest.page("/settings/tokens")
    assert text not in listed.text
    assert text not in str(guest.api("/settings/tokens"))
    (token,) = guest.api("/settings/tokens")["tokens"]
    assert (token["holder"], token["scopes"], token["state"]) == ("ana", ["read"], "valid")
    assert (token["by"], token["note"], token["workflows"]) == (USER, "for the till", ["shop"])
    assert "digest" not in token
    # It logs in.
    with Visitor(guest.root, token=f"tm_{text}") as ana:
        assert ana.api("/settings")["who"]["name"] == "ana"


def test_who_loads_the_page_again_creates_no_second_token(guest: Visitor) -> None:
    form_key = guest.page("/settings/tokens").field("form_key")
    sent = {"form_key": form_key, "holder": "ana", "scopes": "read"}
    answer = guest.client.post("/settings/tokens", content=urlencode(sent), follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings/tokens")
    # Another page that is opened meanwhile doesn't lose the text.
    assert "tm_" not in guest.page("/settings/rules").text
    assert 'value="tm_' in guest.page("/settings/tokens").text
    assert 'value="tm_' not in guest.page("/settings/tokens").text
    assert len(guest.api("/settings/tokens")["tokens"]) == 1


def test_the_api_has_the_text_as_well(guest: Visitor) -> None:
    status, found = guest.post("/settings/tokens", {"holder": "ben", "scopes": "read, run"})
    assert status == 200
    assert found["text"].startswith("tm_")
    assert found["token"]["scopes"] == ["read", "run"]
    status, refused = guest.post("/settings/tokens", {"holder": "ben", "scopes": "fly"})
    assert (status, "'fly' is not a scope" in refused["detail"]) == (400, True)


def test_revoked_tokens_stay_in_the_list(guest: Visitor) -> None:
    create(guest)
    (token,) = guest.api("/settings/tokens")["tokens"]
    page = guest.page("/settings/tokens")
    page = guest.send(page, f"/settings/tokens/{token['id']}/revoke", {"reason": "lost"})
    assert "is revoked" in page.words
    assert f"by {USER}: lost" in page.words
    assert guest.api("/settings/tokens")["tokens"][0]["state"] == "revoked"


def test_pages_of_tokens_follow_each_other(guest: Visitor) -> None:
    ids = [guest.post("/settings/tokens", {"holder": f"p{n}"})[1]["token"]["id"] for n in range(3)]
    first = guest.api("/settings/tokens?limit=2")
    assert [each["id"] for each in first["tokens"]] == ids[:0:-1]
    rest = guest.api(f"/settings/tokens?limit=2&after={first['next']}")
    assert ([each["id"] for each in rest["tokens"]], rest["next"]) == (ids[:1], "")


def test_who_may_not_manage_tokens_can_revoke_only_the_own_one(guest: Visitor) -> None:
    project = open_project(guest.root)
    own = project.tokens.create("ana", scopes=["read"])
    other = project.tokens.create("ben", scopes=["read"]).issued.token.id
    another = project.tokens.create("ana", scopes=["admin"]).issued.token.id
    project.close()
    with Visitor(guest.root, token=own.text) as ana:
        page = ana.page("/settings/tokens")
        assert page.text.count("/revoke") == 1
        assert ana.send(page, f"/settings/tokens/{other}/revoke", {}).status == 403
        assert ana.send(page, f"/settings/tokens/{another}/revoke", {}).status == 403
        assert ana.send(page, "/settings/tokens", {"holder": "eve"}).status == 403


def test_hostile_notes_stay_text(guest: Visitor) -> None:
    page, _ = create(guest, note=HOSTILE, ttl="never")
    assert "<script>alert(1)" not in page
    require_harmless(guest.page("/settings/tokens").text)
