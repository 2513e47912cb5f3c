"""Measure the CPU seconds of appends in this process, and print them as JSON."""

from __future__ import annotations

import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.ledger_history import Batch, history
from tidemill.adapters.sqlite import projections
from tidemill.adapters.sqlite.ledger import SqliteLedger

EVENTS, TURNS = 10_000, 9


def appended(batches: Sequence[Batch], *, indexed: bool) -> float:
    """CPU seconds to append the batches to a new ledger, as its users do."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        SqliteLedger(path).close()
        if not indexed:
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("DROP INDEX events_by_stage")
                connection.execute("DROP INDEX events_by_partition")
        ledger = SqliteLedger(path)
        began = time.process_time()
        for at, events in batches:
            ledger.append(events, now=at)
        took = time.process_time() - began
        ledger.close()
        return took


def without_indexes(batches: Sequence[Batch]) -> float:
    """The same without indexes and subjects."""
    with patch.object(projections, "subjects_of", lambda event: ()):
        return appended(batches, indexed=False)


if __name__ == "__main__":
    batches = list(history(EVENTS))
    found: dict[str, list[float]] = {"with": [], "without": []}
    for _ in range(TURNS):
        found["with"].append(appended(batches, indexed=True))
        found["without"].append(without_indexes(batches))
    print(json.dumps(found))
