"""`tidemill verify`: what it says, its exit codes and its document."""

from __future__ import annotations

from pathlib import Path

from tests.support.commands import tidemill
from tests.support.damage import flip
from tests.support.tables import execute


def stored(root: Path) -> list[Path]:
    return sorted((root / ".tidemill" / "objects").rglob("*.parquet"))


def test_nothing_is_damaged(built: Path) -> None:
    ended = tidemill("verify", "--deep")
    assert (ended.code, ended.err) == (0, "")
    first, last = ended.out.splitlines()
    assert first.startswith("verified ")
    assert "objects" in first
    assert last == "nothing is damaged"


def test_damage_is_listed_and_repaired(built: Path) -> None:
    path = max(stored(built), key=lambda path: path.stat().st_size)
    flip(path, 60)
    ended = tidemill("verify", "--json")
    assert ended.code == 1
    found = ended.document
    assert found["schema"] == "tidemill.verification/1"
    [fault] = found["verification"]["problems"]
    assert (fault["kind"], fault["object"], fault["repaired"]) == ("object", path.name, False)
    assert "damaged: " in ended.err
    assert "`tidemill verify --repair`" in ended.err
    ended = tidemill("verify", "--repair")
    assert ended.code == 0
    assert "repaired: " in ended.out
    assert tidemill("verify").code == 0


def test_a_damaged_ledger_is_all_that_is_verified(built: Path) -> None:
    execute(built / ".tidemill" / "ledger.db", "UPDATE people SET name = name || 'x'")
    ended = tidemill("verify")
    assert ended.code == 1
    assert ended.out.startswith(
        "verified the ledger, and nothing else: it is damaged\ndamaged: ledger.db: "
    )
