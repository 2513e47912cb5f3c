"""`tidemill ledger`: events as a backup, and a ledger made of them."""

from __future__ import annotations

from pathlib import Path

from tests.support.commands import tidemill


def test_a_ledger_is_exported_and_rebuilt(built: Path) -> None:
    target = built / "events.jsonl"
    ended = tidemill("ledger", "export", str(target))
    assert ended.code == 0
    assert ended.out.startswith("wrote ")
    again = tidemill("ledger", "export", str(target))
    assert again.code == 2
    (built / ".tidemill" / "ledger.db").unlink()
    ended = tidemill("ledger", "rebuild", "--from", str(target))
    assert ended.code == 0
    assert "rebuilt the ledger from" in ended.out
    assert tidemill("verify").code == 0
    assert {s["ran"] for s in tidemill("run", "--json").document["receipt"]["stages"]} == {0}


def test_a_damaged_ledger_is_said_once_with_the_ways_out(built: Path) -> None:
    path = built / ".tidemill" / "ledger.db"
    for tail in ("-wal", "-shm"):
        Path(f"{path}{tail}").unlink(missing_ok=True)
    path.write_bytes(b"\x00\x1b[31m\xff" * 5_000)
    for command in (["runs"], ["plan"], ["run"]):
        ended = tidemill(*command)
        assert ended.code == 1
        [line] = ended.err.strip().splitlines()
        assert "restore it from a backup" in line
        assert "tidemill ledger rebuild" in line
        assert line.isprintable()
    ended = tidemill("verify")
    assert ended.code == 1
    assert "ledger.db" in ended.out
    assert tidemill("ledger", "rebuild").code == 1
