"""Who can't have the lease of a run is told why."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.core.errors import ConflictError
from tidemill.runs.io.lease import take_lease


@pytest.mark.parametrize("wait_s", [None, 0.0])
def test_a_ledger_that_something_else_locks_is_no_run(tmp_path: Path, wait_s: float | None) -> None:
    path = tmp_path / "ledger.db"
    with (
        closing(SqliteLedger(path, busy_timeout_s=0.01)) as ledger,
        closing(sqlite3.connect(path, isolation_level=None)) as other,
    ):
        tools: Any = SimpleNamespace(ledger=ledger, clock=time.time)
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(
            ConflictError, match=r"the ledger .*ledger\.db is busy: held by another"
        ):
            take_lease(tools, "prod", {"host": "tern"}, wait_s)
        other.execute("ROLLBACK")
        take_lease(tools, "prod", {"host": "tern"}, wait_s).close()
