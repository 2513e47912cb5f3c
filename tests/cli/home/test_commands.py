"""`tidemill home`: back up a home, verify the backup, restore it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.commands import tidemill


def test_a_home_is_backed_up_and_restored(built: Path) -> None:
    target = built.parent / "copy"
    ended = tidemill("home", "backup", str(target))
    assert ended.code == 0, ended.err
    assert ended.out.startswith(f"backed up to {target}: ")
    again = tidemill("home", "backup", str(target), "--json").document
    assert again["schema"] == "tidemill.backup/1"
    assert again["backup"]["new_objects"] == 0
    ended = tidemill("home", "restore", str(target))
    assert ended.code == 2
    assert "isn't empty (it has .gitignore, " in ended.err
    assert "name another folder with --into, or move it away" in ended.err
    shutil.rmtree(built / ".tidemill")
    ended = tidemill("home", "verify-backup", str(target))
    assert (ended.code, ended.out.splitlines()[-1]) == (0, "nothing is damaged")
    # Verifying begins no home.
    assert not (built / ".tidemill").exists()
    ended = tidemill("home", "restore", str(target))
    assert ended.code == 0, ended.err
    assert ended.out.startswith(f"restored {built / '.tidemill'} as it was ")
    assert tidemill("verify").code == 0
    assert {s["ran"] for s in tidemill("run", "--json").document["receipt"]["stages"]} == {0}


def test_a_damaged_backup_is_an_error(built: Path) -> None:
    target = built.parent / "copy"
    tidemill("home", "backup", str(target))
    damaged = next((target / "objects").rglob("*.parquet"))
    damaged.write_bytes(b"")
    ended = tidemill("home", "verify-backup", str(target))
    assert ended.code == 1
    assert f"damaged: {damaged} is damaged" in ended.out
    advice = f"`tidemill home backup {target}` writes anew what the home still has"
    assert ended.out.splitlines()[-1] == advice
    ended = tidemill("home", "verify-backup", str(target), "--json")
    assert (ended.code, len(ended.document["check"]["faults"])) == (1, 1)
    ended = tidemill("home", "backup", str(target))
    assert ended.out.splitlines()[1] == "wrote 1 damaged file of the backup anew"
    assert tidemill("home", "verify-backup", str(target)).code == 0
    assert tidemill("home", "backup", str(target), "--quick").code == 0
    (target / "backup.json").unlink()
    ended = tidemill("home", "verify-backup", str(target))
    assert ended.code == 2
    assert "has no complete backup" in ended.err


@pytest.mark.parametrize("command", ["plan", "runs", "status", "up"])
def test_a_home_that_is_restored_partly_is_refused(built: Path, command: str) -> None:
    target = built.parent / "copy"
    tidemill("home", "backup", str(target))
    shutil.rmtree(built / ".tidemill")
    (built / ".tidemill" / "restoring").mkdir(parents=True)
    ended = tidemill(command)
    assert ended.code == 1
    assert (
        f"{built / '.tidemill'} is being restored, or that was interrupted: wait for" in ended.err
    )
    ended = tidemill("doctor")
    assert ended.code == 1
    assert f"fault  home             {built / '.tidemill'} is being restored, or" in ended.out
    assert [path.name for path in (built / ".tidemill").iterdir()] == ["restoring"]
    assert tidemill("home", "restore", str(target)).code == 0
    assert tidemill("status").code == 0


def test_an_empty_home_knows_no_token(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = built.parent / "copy"
    tidemill("home", "backup", str(target))
    shutil.rmtree(built / ".tidemill")
    monkeypatch.setenv("TIDEMILL_TOKEN", "tm_0123456789")
    ended = tidemill("home", "restore", str(target))
    assert (ended.code, "restore without TIDEMILL_TOKEN" in ended.err) == (7, True)
    monkeypatch.delenv("TIDEMILL_TOKEN")
    assert tidemill("home", "restore", str(target)).code == 0
