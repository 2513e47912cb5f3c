"""The review that a refused step waits for, which its message names in its last line."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tidemill.ledger.run import Attempt, Failure, Outcome, RunInfo

_SHOWN = re.compile(r"^look at it with: tidemill review show (\S+)$", re.MULTILINE)
# How a run ended in which nothing failed, but people are asked, or have answered since.
WAITING, DECIDED = "waiting", "decided"


def review_command(review: str) -> str:
    """What a message says about a review that it waits for."""
    return f"look at it with: tidemill review show {review}"


def awaited_by_attempt(attempt: Attempt) -> str:
    """The review that an attempt waits for; "" if it doesn't wait for any."""
    return named_review(attempt.message) if attempt.outcome is Outcome.REFUSED else ""


def awaited_by_failure(failure: Failure) -> str:
    """The review that a stage waits for in a run; "" if it failed, or if gates refused it."""
    return "" if failure.messages else named_review(failure.advice)


def named_review(text: str) -> str:
    """The review that the message of a refusal says it waits for; "" if it names none."""
    found = _SHOWN.search(text)
    return found[1] if found else ""


def run_words(runs: Iterable[RunInfo], open_reviews: Iterable[str]) -> dict[str, str]:
    """How runs ended of which nothing failed except that people are asked, by run.

    Each waits while one of its reviews is open; then people have decided.
    """
    known, found = {*open_reviews}, {}
    for run in runs:
        failures = run.receipt.failures if run.receipt is not None else ()
        reviews = {awaited_by_failure(failure) for failure in failures}
        if reviews and "" not in reviews:
            found[run.id] = WAITING if reviews & known else DECIDED
    return found
