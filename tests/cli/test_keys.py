"""`tidemill keys create`: what it writes and says."""

from __future__ import annotations

from pathlib import Path

from tests.support.commands import tidemill


def test_a_key_is_created_once_and_outside_of_the_home(built: Path, tmp_path: Path) -> None:
    path = tmp_path / "signing.pem"
    ended = tidemill("keys", "create", str(path), "--json")
    assert ended.code == 0
    assert ended.document["public"] == f"{path}.pub"
    assert f"key {ended.document['id']}" in ended.err
    assert b"PRIVATE" in path.read_bytes()
    assert b"PUBLIC" in path.with_name("signing.pem.pub").read_bytes()
    ended = tidemill("keys", "create", str(path))
    assert (ended.code, "exists already" in ended.err) == (2, True)
    ended = tidemill("keys", "create", ".tidemill/signing.pem")
    assert (ended.code, "lies in the project's home" in ended.err) == (2, True)
