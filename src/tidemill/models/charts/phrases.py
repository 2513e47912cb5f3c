"""Sentences that charts share."""

from __future__ import annotations

from collections.abc import Iterable

from tidemill.core.counts import are, plural

# The charts of one sentence per row would be too long to be read aloud.
_READ_ALOUD = 40


def rows_left_out(count: int) -> tuple[str, ...]:
    """A note on rows that can't be drawn."""
    if not count:
        return ()
    return (f"{are(count, 'row')} left out: the label, the prediction or the day is missing.",)


def percent(confidence: float) -> str:
    """`95%`."""
    return f"{confidence * 100:.6g}%"


def interval_phrase(confidence: float, *, over_days: bool) -> str:
    """Name an interval by what it takes for independent: days, or rows."""
    if over_days:
        return f"{percent(confidence)} intervals over days"
    return f"{percent(confidence)} intervals over rows, taken as independent"


def read_aloud(head: str, lines: Iterable[str]) -> str:
    """A description of a chart: what it shows, then its values, as long as there are not too many."""
    values = list(lines)
    if len(values) > _READ_ALOUD:
        more = f"and {plural(len(values) - _READ_ALOUD, 'value')} more"
        values = [*values[:_READ_ALOUD], more]
    return f"{head} {'; '.join(values)}." if values else head


def between(value: float, low: float | None, high: float | None) -> str:
    """A value with its interval, if it is known: `1.5 (1 to 2)`."""
    if low is None or high is None or low != low or high != high:
        return f"{value:.4g}"
    return f"{value:.4g} ({low:.4g} to {high:.4g})"
