"""Files are decoded once in a process if they are small: tables have another record at each change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.ledger.event import EnvironmentCreated
from tidemill.testing import records as samples


def test_what_is_large_is_not_kept(tmp_path: Path) -> None:
    small, seen = samples.source_file("small"), samples.source_seen_event()
    large = replace(small, path="large", rows={f"{n:016}": n * n for n in range(1_000)})
    ledger = SqliteLedger(tmp_path / "ledger.db")
    ledger.append(
        [EnvironmentCreated(environment="prod"), replace(seen, files=(small, large))], now=1.0
    )
    first = ledger.state("prod").sources["flights"]
    ledger.append([samples.settled_event()], now=2.0)
    second = ledger.state("prod").sources["flights"]
    assert first == second == {"small": small, "large": large}
    assert first["small"] is second["small"]
    assert first["large"] is not second["large"]
    ledger.close()
