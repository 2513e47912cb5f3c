"""The work that waits, as it was recorded last."""

from __future__ import annotations

from pathlib import Path

from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.ledger.off_peak_events import WorkDeferred
from tidemill.offpeak.io.recorded_works import recorded_works
from tidemill.testing.off_peak_records import deferred_work


def test_the_last_record_of_the_environment_counts(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db")
    assert recorded_works(ledger, "prod") == ()
    work = deferred_work()
    for environment, works in (("prod", ()), ("prod", (work,)), ("dev", ())):
        ledger.append([WorkDeferred(environment=environment, works=works)], now=1.0)
    assert recorded_works(ledger, "prod") == (work,)
    assert recorded_works(ledger, "dev") == ()
    ledger.close()
