"""`tidemill audit`: what it shows, seals and verifies, in text, JSON and CSV."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path

import pytest

from tests.support.commands import edit, tidemill
from tests.support.tampering import unlocked
from tests.support.users import USER
from tidemill.adapters.sqlite.event_chain import count_events
from tidemill.cli.audit.commands import _write

SETTINGS = """[tool.tidemill.audit]
key = "../audit.pem"
file = "../checkpoints.jsonl"
every = "9999d"

[tool.tidemill]
"""


@pytest.fixture
def shop(built: Path) -> Path:
    assert tidemill("keys", "create", "../audit.pem").code == 0
    edit(built / "pyproject.toml", "[tool.tidemill]\n", SETTINGS)
    return built


def test_a_home_is_sealed_verified_and_a_change_noticed(shop: Path) -> None:
    events = count_events(shop / ".tidemill" / "ledger.db")
    ended = tidemill("audit", "verify")
    assert (ended.code, "sealed: none" in ended.out) == (0, True)
    ended = tidemill("audit", "checkpoint", "--json")
    assert ended.code == 0
    assert (ended.document["new"], ended.document["checkpoint"]["size"]) == (True, events)
    assert (
        f"nothing is new since the checkpoint of {events} events"
        in tidemill("audit", "checkpoint").out
    )
    ended = tidemill("audit", "verify")
    assert f"verified {events} events with 1 checkpoint\nsealed: the first {events}" in ended.out
    with unlocked(shop / ".tidemill" / "ledger.db") as connection:
        connection.execute("UPDATE events SET at = at + 1 WHERE seq = 9")
    ended = tidemill("audit", "verify", "--json")
    assert ended.code == 1
    assert ended.document["audit"]["unsealed"] == events
    assert "the hash chain is broken at event 9" in ended.err
    ended = tidemill("verify")
    assert (ended.code, "the hash chain is broken at event 9" in ended.out) == (1, True)


def test_a_checkpoint_that_is_not_written_outside_exits_with_1(shop: Path) -> None:
    (shop.parent / "checkpoints.jsonl").mkdir()
    ended = tidemill("audit", "checkpoint")
    assert (ended.code, "wasn't written outside: " in ended.out) == (1, True)


def test_a_command_warns_where_no_checkpoint_can_be_made(shop: Path) -> None:
    edit(shop / "pyproject.toml", "../audit.pem", "../missing.pem")
    edit(shop / "pyproject.toml", "9999d", "1s")
    ended = tidemill("env", "create", "dev")
    assert ended.code == 0
    assert "warning: no checkpoint was made: the key" in ended.err


def test_the_trail_shows_who_did_what(shop: Path) -> None:
    out = tidemill("audit", "show").out
    assert "started a run" in out
    assert "made live" in out
    assert "published" not in out
    assert "published" in tidemill("audit", "show", "--all").out
    ended = tidemill("audit", "show", "--who", "gates", "--what", "demand", "--json")
    actions = [entry["action"] for entry in ended.document["entries"]]
    assert actions == ["approved", "made live"]
    assert tidemill("audit", "show", "--since", "2100-01-01").out == (
        "nothing was recorded that fits\n"
    )
    assert "made live" in tidemill("audit", "show", "--since", "30d", "--until", "2100-01-01").out
    assert tidemill("audit", "show", "--until", "2013-03-07T10:00").out == (
        "nothing was recorded that fits\n"
    )
    ended = tidemill("audit", "show", "--since", "yesterday")
    assert (ended.code, "neither a date or time" in ended.err) == (2, True)
    ended = tidemill("audit", "show", "--kind", "Delivred")
    assert (ended.code, "did you mean 'Delivered'" in ended.err) == (2, True)


def test_events_are_exported_for_an_auditor(shop: Path) -> None:
    events = count_events(shop / ".tidemill" / "ledger.db")
    rows = [json.loads(line) for line in tidemill("audit", "export").out.splitlines()]
    # The export is recorded, as the last of them.
    assert [row["seq"] for row in rows] == [*range(1, events + 2)]
    assert (rows[-1]["kind"], rows[-1]["who"]) == ("Acted", USER)
    assert all(len(row["leaf"]) == 64 for row in rows)
    ended = tidemill("audit", "export", "events.csv", "--format", "csv")
    assert ended.out == f"wrote {events + 2} events to events.csv\n"
    with open("events.csv", encoding="utf-8", newline="") as file:
        read = [*csv.DictReader(file)]
    assert [row["leaf"] for row in read[:-1]] == [row["leaf"] for row in rows]
    assert tidemill("audit", "export", "events.csv").code == 2


def test_a_spreadsheet_runs_no_text_as_a_formula() -> None:
    target = StringIO()
    rows = [{"seq": 1, "who": "=HYPERLINK(1)", "reason": "a = b"}]
    assert _write(rows, "csv", target) == 1
    assert target.getvalue() == "seq,who,reason\n1,'=HYPERLINK(1),a = b\n"
