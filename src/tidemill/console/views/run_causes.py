"""Why stages failed in a run, or what people are asked about them."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from tidemill.contracts.finding import Finding
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import WHOLE, summarize_keys
from tidemill.ledger.awaited_review import awaited_by_attempt, awaited_by_failure
from tidemill.ledger.run import Attempt, Failure, Outcome, RunInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureCause:
    """Why some partitions of a stage failed, and what to do; `findings` are the rules that bad rows break.

    Of a long cause `why` is the beginning, and `message` all of it. If it only waits for people, `review` is
    what they decide, which `is_waiting` until they did, and `verdict` what the gates said of it.
    """

    stage: str
    partitions: str
    why: str
    message: str
    advice: str
    findings: tuple[Finding, ...]
    review: str
    is_waiting: bool
    verdict: str


def failure_causes(
    info: RunInfo, failed: Iterable[Attempt], open_ids: Collection[str]
) -> tuple[FailureCause, ...]:
    """Why stages failed: errors, then what gates refused, then what waits for people."""
    verdicts = {awaited_by_attempt(attempt): attempt.message for attempt in failed}
    found = []
    for failure in info.receipt.failures if info.receipt is not None else ():
        review = awaited_by_failure(failure)
        one = FailureCause(
            stage=failure.stage,
            partitions=summarize_keys({*failure.partitions} - {WHOLE}),
            why=failure.why,
            message=_whole_cause(failure),
            advice="" if review else failure.advice,
            findings=failure.findings,
            review=review,
            is_waiting=review in open_ids,
            verdict=verdicts.get(review, "") if review else "",
        )
        found.append((bool(review), not failure.messages, one))
    return tuple(one for *_, one in sorted(found, key=lambda each: each[:2]))


def _whole_cause(failure: Failure) -> str:
    """All that the first attempt said, if the cause has an ellipsis in place of some of it; else ""."""
    message = failure.messages[0] if failure.messages else ""
    return message if failure.why.count("…") > message.count("…") else ""


def says_more(attempt: Attempt) -> bool:
    """Whether an attempt says more than the cause that stands above it."""
    if awaited_by_attempt(attempt):
        return False
    is_retried = attempt.outcome is Outcome.RETRIED
    return bool(is_retried or attempt.trace or "\n" in attempt.message.strip())
