"""How long to wait before something that failed is tried again."""

from __future__ import annotations

from tidemill.core.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RetriedFailure:
    """Something failed `count` times in a row, `why` the last time; it is tried again at `retry_at`.

    `run` is the run that failed then, if it was one.
    """

    count: int
    why: str
    retry_at: float
    run: str = ""


def add_failure(
    known: RetriedFailure | None, why: str, now: float, *, first: float, longest: float
) -> RetriedFailure:
    """Count one more failure: wait `first` seconds, then twice as long each time, up to `longest`."""
    count = 1 if known is None else known.count + 1
    # A larger exponent overflows; the longest wait is reached long before.
    wait = min(first * 2.0 ** min(count - 1, 40), longest)
    return RetriedFailure(count=count, why=why, retry_at=now + wait)
