"""`tidemill attest write` and `verify`: what they print, their documents and exit codes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.support.commands import tidemill


def test_attestations_are_written_and_verified(built: Path, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    assert tidemill("keys", "create", str(key)).code == 0
    ended = tidemill("attest", "demand", "--sign")
    assert (ended.code, "there is no key to sign with" in ended.err) == (2, True)
    settings = (built / "pyproject.toml").read_text()
    (built / "pyproject.toml").write_text(f'{settings}\n[tool.tidemill.attest]\nkey = "{key}"\n')
    bare = json.loads(tidemill("attest", "demand").out)
    assert bare["predicateType"] == "https://slsa.dev/provenance/v1"
    ended = tidemill("attest", "write", "demand", "live", "--sign", "--json")
    assert ended.document["statement"] == bare
    assert (
        f"wrote {ended.document['path']}, signed by {ended.document['signed_by'][:12]}" in ended.err
    )
    ended = tidemill("attest", "verify", "demand")
    assert (ended.code, ended.out.startswith("valid: ")) == (0, True)
    assert "1 file as attested" in ended.out
    file = tmp_path / "forecast.json"
    assert tidemill("attest", "forecast", "2026-01-05", "--sign", "-o", str(file)).code == 0
    document = json.loads(file.read_text())
    document["payload"] = "e30="
    file.write_text(json.dumps(document))
    ended = tidemill("attest", "verify", str(file), "--json")
    assert ended.code == 1
    assert ended.document["valid"] is False
    assert f"INVALID: {file}: its signature by " in ended.err
    ended = tidemill("attest", "verify", "forecast")
    assert ended.code == 1
    assert (
        ended.out.count("no attestation is about it: `tidemill attest write forecast --sign`") == 1
    )
    assert "  forecast/2026-01-06.parquet .. forecast/2026-" in ended.out
    ended = tidemill("attest", "verify", "demand", "--against", "pyproject.toml")
    assert ended.code == 1
    assert "INVALID: " in ended.out
    assert "pyproject.toml (SHA-256 " in ended.out
    assert "no attestation names it" in ended.out
    assert tidemill("attest", "verify", str(file), "--against", "out", "--partial").code == 1
    # A version that goes live by hand is attested, unless it is already.
    assert tidemill("deliver", "demand", "live").code == 0


def test_nobody_needs_the_project_to_verify(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "key.pem"
    tidemill("keys", "create", str(key))
    settings = (built / "pyproject.toml").read_text()
    (built / "pyproject.toml").write_text(f'{settings}\n[tool.tidemill.attest]\nkey = "{key}"\n')
    sent = tmp_path / "sent"
    shutil.copytree(built / "out" / "forecast", sent / "forecast")
    tidemill("attest", "forecast", "--sign", "-o", str(sent / "forecast.dsse.json"))
    monkeypatch.chdir(sent)
    files = ("forecast.dsse.json", "--key", f"{key}.pub", "--against")
    for place in ("forecast", "."):
        ended = tidemill("attest", "verify", *files, place)
        assert (ended.code, ended.out.startswith("valid: forecast.dsse.json: ")) == (0, True)
    days = sorted((sent / "forecast").iterdir())
    days[0].rename(sent / "kept")
    days[1].rename(days[0])
    (sent / "kept").rename(days[1])
    ended = tidemill("attest", "verify", *files, "forecast")
    assert ended.code == 1
    assert all(f"forecast/{day.name} has the SHA-256 " in ended.out for day in days[:2])
    days[0].unlink()
    (sent / "forecast" / "2030-01-01.parquet").write_bytes(b"x")
    ended = tidemill("attest", "verify", *files, "forecast", "--partial")
    assert "it is missing in forecast" in ended.out
    assert "no attestation names it" not in ended.out
    assert "no attestation names it" in tidemill("attest", "verify", *files, "forecast").out
    # A file that isn't there, and one that is no attestation.
    ended = tidemill("attest", "verify", "none.json", *files[1:], "forecast")
    assert (ended.code, "none.json can't be read" in ended.err) == (2, True)
    (sent / "bad.json").write_bytes(b'{"payload": "\\ud800"}')
    ended = tidemill("attest", "verify", "bad.json", *files[1:], "forecast")
    assert (ended.code, "has half of a surrogate pair" in ended.out) == (1, True)


def test_help_is_that_of_the_group() -> None:
    ended = tidemill("attest", "--help")
    assert "Verify an attestation." in ended.out
    assert tidemill("attest").code == 2
