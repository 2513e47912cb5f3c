"""`tidemill ledger`: events as a backup, and a ledger made of them."""

from __future__ import annotations

from pathlib import Path

from tests.support.commands import tidemill
from tests.support.tables import execute, store_as_text
from tests.support.tampering import unlocked


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


def test_a_ledger_is_compacted(built: Path) -> None:
    ended = tidemill("ledger", "compact")
    assert (ended.code, ended.out) == (0, "no event is old enough to be compacted\n")
    project = built / "pyproject.toml"
    project.write_text(f'{project.read_text()}\n[tool.tidemill.ledger]\ncompact_after = "1d"\n')
    store_as_text(built / ".tidemill" / "ledger.db")
    with unlocked(built / ".tidemill" / "ledger.db") as connection:
        connection.execute("UPDATE events SET at = at - 200000")
    ended = tidemill("ledger", "compact", "--dry-run")
    assert ended.code == 0
    assert "2 events would lose details (Attempted 1, RunEnded 1)" in ended.out
    found = tidemill("ledger", "compact", "--json").document
    assert found["schema"] == "tidemill.compaction/1"
    assert found["compaction"]["events"] == {"Attempted": 1, "RunEnded": 1}
    assert found["compaction"]["file_after"] < found["compaction"]["file_before"]


def test_an_export_that_was_cut_off_is_refused(built: Path) -> None:
    target, cut = built / "events.jsonl", built / "cut.jsonl"
    tidemill("ledger", "export", str(target))
    lines = target.read_text().splitlines(keepends=True)
    cut.write_text("".join(lines[:100]))
    shown = tidemill("runs").out
    ended = tidemill("ledger", "rebuild", "--from", str(cut))
    assert ended.code == 1
    assert (
        "cut.jsonl is not a complete export: it ends after event 100, without the line" in ended.err
    )
    assert f"(the ledger that it would replace has {len(lines) - 1} events)" in ended.err
    assert tidemill("runs").out == shown
    # It has all that a run recorded together, or nothing.
    ended = tidemill("ledger", "rebuild", "--from", str(cut), "--skip-damaged")
    assert ended.code == 0
    assert "newer than" in ended.err
    assert tidemill("run", "labels").code == 0
    assert tidemill("verify").code == 0


def test_an_export_from_before_the_last_run_is_accepted_with_a_warning(built: Path) -> None:
    target = built / "events.jsonl"
    tidemill("ledger", "export", str(target))
    sales = built / "data" / "sales" / "2026-01-05.csv"
    sales.write_text("".join(sales.read_text().splitlines(keepends=True)[:-1]))
    assert tidemill("run").code == 0
    ended = tidemill("ledger", "rebuild", "--from", str(target))
    assert ended.code == 0
    assert f"newer than {target}: they are only in the old file" in ended.err


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


def test_a_file_of_an_earlier_version_is_copied_once(built: Path) -> None:
    path = built / ".tidemill" / "ledger.db"
    bulk = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)"
    execute(
        path,
        "PRAGMA journal_mode = DELETE",
        "PRAGMA auto_vacuum = NONE",
        "VACUUM",
        f"CREATE TABLE bulk AS {bulk} SELECT hex(randomblob(1000)) FROM n",
        "DROP TABLE bulk",
        "PRAGMA journal_mode = WAL",
    )
    ended = tidemill("ledger", "compact")
    first, second = ended.out.splitlines()
    assert (ended.code, first) == (0, "no event is old enough to be compacted")
    assert second.startswith("the file: ")
    assert tidemill("ledger", "compact").out == f"{first}\n"


def test_nothing_is_compacted_under_a_legal_hold(built: Path) -> None:
    project = built / "pyproject.toml"
    table = "[tool.tidemill.retention]\n"
    assert table in project.read_text()
    project.write_text(project.read_text().replace(table, f"{table}hold = true\n"))
    for options in ((), ("--dry-run",)):
        ended = tidemill("ledger", "compact", *options)
        assert ended.code == 2
        assert "nothing is compacted while a workflow of this home keeps everything" in ended.err
