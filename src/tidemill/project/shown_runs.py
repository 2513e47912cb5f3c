"""Read how runs ended of which people are asked to decide something."""

from __future__ import annotations

from collections.abc import Sequence

from tidemill.governance.io.recorded_reviews import open_reviews
from tidemill.history.io.runs import LAST as LAST
from tidemill.ledger.awaited_review import shown_run
from tidemill.ledger.run import RunInfo
from tidemill.ports.ledger import Ledger


def shown_runs(ledger: Ledger, runs: Sequence[RunInfo]) -> tuple[RunInfo, ...]:
    """The runs as they are shown: those that only asked people wait, or are decided."""
    asking = [run for run in runs if run.receipt is not None and run.receipt.only_asks]
    places = {run.environment for run in asking}
    open_ids = {id for place in places for id in open_reviews(ledger, place)}
    return tuple(shown_run(run, open_ids) for run in runs)
