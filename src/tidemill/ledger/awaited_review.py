"""Say how runs ended in which nothing failed, but people are asked to decide."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from tidemill.ledger.run import Failure, RunInfo, Status


def shown_run(run: RunInfo, open_reviews: Collection[str]) -> RunInfo:
    """A run as it is shown: one that only asked people waits while a review is open, or is decided.

    It and its receipt are recorded as failed, because what they were asked about didn't happen in it.
    """
    receipt = run.receipt
    if receipt is None or not receipt.only_asks:
        return run
    is_open = any(failure.review in open_reviews for failure in receipt.failures)
    status, failures = Status.WAITING, receipt.failures
    if not is_open:
        status, failures = Status.DECIDED, tuple(map(_past, failures))
    shown = replace(receipt, status=status, failures=failures)
    return replace(run, status=status, receipt=shown)


def _past(failure: Failure) -> Failure:
    return replace(failure, why=failure.why.replace("waits for review", "waited for review"))
