"""`tidemill audit prove` and `check-proof`: one decision, without the ledger."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.audit.test_commands import SETTINGS
from tests.support.commands import edit, tidemill


def test_a_decision_is_proved_to_somebody_without_the_project(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tidemill("keys", "create", "../audit.pem").code == 0
    edit(built / "pyproject.toml", "[tool.tidemill]\n", SETTINGS)
    assert tidemill("audit", "checkpoint").code == 0
    entries = tidemill("audit", "show", "--what", "made live", "--json").document["entries"]
    ended = tidemill("audit", "prove", str(entries[0]["seq"]), "-o", "../proof.json")
    assert f"wrote the proof of event {entries[0]['seq']}" in ended.out
    assert tidemill("audit", "prove", "1", "-o", "../proof.json").code == 2
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    proof, key = built.parent / "proof.json", built.parent / "audit.pem.pub"
    monkeypatch.chdir(elsewhere)
    ended = tidemill("audit", "check-proof", str(proof), "--key", str(key))
    assert ended.code == 0
    assert "(Delivered, " in ended.out
    proof.write_text(proof.read_text().replace('\\"kind\\":\\"Delivered\\"', '\\"kind\\":\\"X\\"'))
    ended = tidemill("audit", "check-proof", str(proof), "--key", str(key), "--json")
    assert ended.code == 1
    assert ended.document["proves"] is False
    assert "it proves nothing: event" in ended.err
    document = json.loads(proof.read_text())
    proof.write_text(json.dumps({**document, "body": "no JSON"}))
    ended = tidemill("audit", "check-proof", str(proof), "--key", str(key), "--json")
    assert (ended.code, ended.document["body"]) == (1, "no JSON")
