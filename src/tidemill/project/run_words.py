"""Say how runs ended in which nothing failed, but people are asked to decide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tidemill.governance.io.recorded_reviews import open_reviews
from tidemill.ledger.awaited_review import run_words
from tidemill.ledger.run import RunInfo
from tidemill.ports.ledger import Ledger


def read_run_words(ledger: Ledger, runs: Iterable[RunInfo]) -> Mapping[str, str]:
    """The words for the runs that wait for people, or did so, by run; the status says it of all others."""
    asking = [run for run in runs if run_words((run,), ())]
    places = {run.environment for run in asking}
    return run_words(asking, [id for place in places for id in open_reviews(ledger, place)])
