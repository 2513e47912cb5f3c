"""`tidemill attest write` and `verify`: what they print, their documents and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

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
    assert "forecast/2026-01-06.parquet (SHA-256 " in ended.out
    assert "no attestation is about it" in ended.out
    ended = tidemill("attest", "verify", "demand", "--against", "pyproject.toml")
    assert ended.code == 1
    assert "INVALID: " in ended.out
    assert "pyproject.toml (SHA-256 " in ended.out
    assert "no attestation names it" in ended.out
    assert tidemill("attest", "verify", str(file), "--against", "out", "--partial").code == 1
    # A version that goes live by hand is attested, unless it is already.
    assert tidemill("deliver", "demand", "live").code == 0


def test_help_is_that_of_the_group() -> None:
    ended = tidemill("attest", "--help")
    assert "Verify an attestation." in ended.out
    assert tidemill("attest").code == 2
