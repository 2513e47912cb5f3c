"""Read the sums of a scorecard from the ledger of a project, from scratch and kept, and compute numbers."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.ledger.price import Price, PriceBook
from tidemill.project.clock import read_clock
from tidemill.scorecard.cost_number import cost_number
from tidemill.scorecard.delivery_number import delivery_number
from tidemill.scorecard.freshness_number import freshness_number
from tidemill.scorecard.inference_report import inference_report
from tidemill.scorecard.io.scorecard_reader import ScorecardReader
from tidemill.scorecard.recovery_number import recovery_number
from tidemill.scorecard.scorecard_sums import HORIZON_S, ScorecardSums, empty_sums
from tidemill.scorecard.window import score_windows

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.ledger_history import PROD

DAY = 86_400.0
BOOK = PriceBook(prices=(Price(cpu_hour=0.04, memory_gb_hour=0.01),))
WITHIN = {f"table_{number:02}": 2 * DAY for number in range(1, 46)}


def main() -> None:
    ledger, now = SqliteLedger(Path(".tidemill/ledger.db")), read_clock(Path("clock"))
    kept = Path("kept") / "sums.bin"
    kept.unlink(missing_ok=True)
    started = time.perf_counter()
    sums = _numbers(ledger, kept, now)
    scratch_s = time.perf_counter() - started
    kept_s = []
    for _ in range(5):
        started = time.perf_counter()
        _numbers(ledger, kept, now)
        kept_s.append(time.perf_counter() - started)
    whole = inference_report(sums.costs, now - 2 * HORIZON_S, now, now)
    report = {
        "events": sums.events,
        "scratch_s": scratch_s,
        "kept_s": kept_s,
        "kept_bytes": kept.stat().st_size,
        "charged": whole.charges,
        "spent": whole.spent,
    }
    print(json.dumps(report))


def _numbers(ledger: SqliteLedger, kept: Path, now: float) -> ScorecardSums:
    """All four numbers, by a reader of their own."""
    reader = ScorecardReader(ledger, empty_sums(PROD, "UTC", "USD"), BOOK, kept)
    sums, windows = reader.read(now), score_windows(now, 28 * DAY, "UTC")
    delivery_number(sums.changes, windows, None)
    cost_number(sums.costs, windows, None)
    recovery_number(sums.recoveries, windows, None)
    freshness_number(sums.ages, windows, WITHIN, None)
    return sums


if __name__ == "__main__":
    main()
