"""Compact ledgers as if sweeps had removed what nothing needs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tidemill.adapters.sqlite.compaction import SqliteCompaction
from tidemill.adapters.sqlite.integrity import find_damage
from tidemill.ledger.compaction_report import CompactionReport, CompactionTerms

FAR = 1e9


# The results that a sweep removes: of no run that goes on, and bound nowhere.
_FORGET = """
DELETE FROM traces
WHERE seq NOT IN (SELECT seq FROM bindings UNION SELECT seq FROM past_bindings)
  AND seq NOT IN (SELECT seq FROM events WHERE run IN (SELECT id FROM runs WHERE status = 'running'))
"""


def forget_superseded(path: Path) -> None:
    """Remove the results that nothing is bound to, and their pins, as a sweep does."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(_FORGET)
        gone = "SELECT seq FROM results WHERE key NOT IN (SELECT key FROM traces)"
        connection.execute(f"DELETE FROM pins WHERE seq IN ({gone})")
        connection.execute(f"DELETE FROM results WHERE seq IN ({gone})")
        connection.commit()


def damage(path: Path) -> list[str]:
    """What is wrong with a ledger, but for what `forget_superseded` removed without an event."""
    removed = [
        f"the table {name} isn't what the events give" for name in ("pins", "results", "traces")
    ]
    return [fault for fault in find_damage(path) if fault not in removed]


def compact(
    path: Path, *, batch: int = 500, now: float = FAR, dry_run: bool = False
) -> CompactionReport:
    """Compact all events of a ledger, however young."""
    terms = CompactionTerms(after_s=0.0, batch=batch)
    return SqliteCompaction(path).compact(terms, now=now, actor="ana", dry_run=dry_run)
