"""`tidemill tokens`: a token is shown once, opens what it says, and ends when it is revoked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.commands import Ended, tidemill
from tests.support.tables import bodies
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.project.project import open_project
from tidemill.serving.access import Access
from tidemill.serving.errors import Refusal
from tidemill.serving.issued_tokens import TOKEN_EVENTS, issued_tokens
from tidemill.serving.serve_settings import ServeSettings
from tidemill.serving.token_text import token_digest, token_id

FLOW = """
import polars as pl
import tidemill as tm

class Rows(tm.Contract, version="1.0.0", key=("id",)):
    id = tm.Int64()

flow = tm.Workflow("shop")

@flow.ingest
def rows() -> tm.Source[Rows]:
    return tm.files("rows.csv")

@flow.model(window=None)
def demand(rows: tm.Frame[Rows]) -> tm.Fitted:
    return tm.fitted(None, inputs=Rows.reads("id"), output="id")

@flow.evaluate(window=None)
def scores(demand: tm.Predictor, rows: tm.Frame[Rows]) -> tm.Scores:
    return tm.scores(demand.predict(rows), rows=pl.len())

live = flow.approve(demand, gates=[tm.beats_baseline("rows")])
flow.endpoint("demand", model=live)
"""
TEXT = re.compile(r"tm_[0-9a-z]{10}_[0-9A-Za-z]{43}")


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "shop_flow.py").write_text(FLOW)
    (tmp_path / "pyproject.toml").write_text('[tool.tidemill]\nworkflow = "shop_flow:flow"\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def create(*arguments: str) -> str:
    ended = tidemill("tokens", "create", *arguments)
    assert ended.code == 0, ended.err
    text = ended.out.removesuffix("\n")
    assert TEXT.fullmatch(text)
    assert text not in ended.err
    return text


def stored(shop: Path) -> bytes:
    home = shop / ".tidemill"
    files = [path.read_bytes() for path in home.rglob("*") if path.is_file()]
    return b"".join([*files, *map(str.encode, bodies(home / "ledger.db"))])


def test_a_token_is_shown_once_and_opens_what_it_says(shop: Path) -> None:
    ended = tidemill("tokens", "create", "checkout", "--endpoint", "demand", "--note", "ana")
    text = ended.out.strip()
    id = token_id(text.encode())
    assert re.fullmatch(
        rf"{id} for checkout opens demand of prod until .*; keep it: it can't be shown again\n",
        ended.err,
    )
    assert text.rpartition("_")[2].encode() not in stored(shop)
    assert token_digest(text.encode()).encode() in stored(shop)
    listed = tidemill("tokens", "list").out.splitlines()
    assert listed[0].split() == [
        "token",
        "holder",
        "scopes",
        "endpoints",
        "created",
        "by",
        "expires",
        "state",
    ]
    assert [listed[1].split()[at] for at in (0, 1, 2, 3, -1)] == [
        id,
        "checkout",
        "predict",
        "demand",
        "valid",
    ]


def test_a_token_that_was_revoked_opens_nothing(shop: Path) -> None:
    text = create("checkout", "--ttl", "never", "--rate", "50")
    headers = [(b"host", b"localhost"), (b"authorization", b"Bearer " + text.encode())]
    with open_project(shop) as project:
        events = project.tools.ledger.events
        access = Access(ServeSettings(), issued_tokens(events(kinds=TOKEN_EVENTS), "prod"))
        assert access.admit(headers, "demand", 0.0).token == token_id(text.encode())
        assert tidemill("tokens", "revoke", text, "--reason", "laptop lost").code == 0
        access.update(issued_tokens(events(kinds=TOKEN_EVENTS), "prod"))
        with pytest.raises(Refusal, match="was revoked"):
            access.admit(headers, "demand", 0.0)
    again = tidemill("tokens", "revoke", token_id(text.encode()), "--reason", "twice")
    assert "laptop lost" in again.out
    assert "laptop lost" in tidemill("tokens", "list").out


def test_documents(shop: Path) -> None:
    ended = tidemill("tokens", "create", "checkout", "--json")
    made = ended.document
    assert TEXT.fullmatch(made["token"])
    assert TEXT.search(ended.err) is None
    assert (made["schema"], made["endpoints"], made["revoked"]) == ("tidemill.token/1", [], None)
    (found,) = tidemill("tokens", "list", "--json").document["tokens"]
    assert found == {key: made[key] for key in made if key not in ("token", "schema")}
    revoked = tidemill("tokens", "revoke", made["id"], "--json").document
    assert revoked["revoked"] >= revoked["created"]
    assert token_digest(made["token"].encode()) not in str(found)


def test_environments_have_their_own_tokens(shop: Path) -> None:
    create("checkout")
    assert tidemill("env", "create", "dev").code == 0
    assert "there are no tokens" in tidemill("tokens", "list", "--env", "dev").out
    create("tests", "--env", "dev")
    assert tidemill("env", "drop", "dev").code == 0
    assert tidemill("env", "create", "dev").code == 0
    assert "there are no tokens" in tidemill("tokens", "list", "--env", "dev").out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("create", "x", "--endpoint", "demnd"), "no endpoint 'demnd' (did you mean 'demand'?)"),
        (("create", " "), "' ' is not a name of who holds a token"),
        (("create", "a\nb"), "is not a name of who holds a token"),
        (("create", "x", "--ttl", "soon"), "'soon' is not a duration; write for example '12h'"),
        # Nobody could list tokens again whose end no calendar has.
        (
            ("create", "x", "--ttl", "1000000000000d"),
            "1000000000000d is over 10 years: choose less",
        ),
        (("create", "x", "--ttl", "9" * 400 + "d"), "is not a duration; write for example '12h'"),
        (
            ("create", "x", "--note", "n" * 5_000),
            "the note has 5,000 characters, and 4,000 are allowed",
        ),
        (("create", "x", "--rate", "-1"), "-1.0 is not a number of requests a second"),
        (("create", "x", "--rate", "nan"), "nan is not a number of requests a second"),
        (("create", "x", "--env", "dev"), "there is no environment 'dev'"),
        (("revoke", "4kq0z7c2wm"), "there is no token '4kq0z7c2wm' (there are none)"),
    ],
)
def test_what_is_refused(shop: Path, arguments: tuple[str, ...], says: str) -> None:
    ended: Ended = tidemill("tokens", *arguments)
    assert (ended.code, says in ended.err) == (2, True), ended.err
    assert ended.out == ""
    assert "there are no tokens" in tidemill("tokens", "list").out


def test_a_token_in_a_reason_is_masked(shop: Path) -> None:
    text = create("checkout")
    ended = tidemill("tokens", "revoke", text, "--reason", f"posted {text}")
    assert f"posted tm_{token_id(text.encode())}_***" in ended.out
    assert text.rpartition("_")[2].encode() not in stored(shop)


def test_an_expired_token_is_listed_as_such(shop: Path) -> None:
    create("checkout", "--ttl", "0.001s")
    assert tidemill("tokens", "list").out.splitlines()[1].endswith("expired")


def test_the_text_is_not_in_the_representation(shop: Path) -> None:
    with open_project(shop) as project:
        made = project.tokens.create("notebook")
        assert made.text not in repr(made)
        ledger = SqliteLedger(project.home / "ledger.db")
        assert made.text not in str(list(ledger.events()))
        ledger.close()
